# One door for every task; CI goes through the same one. `make` alone lists them.

CARGO ?= cargo
LOCKED = --locked
SHARED = $(or $(ATROUS_SHARED),../shared)

.DEFAULT_GOAL := help
.PHONY: help demo test fmt fmt-check lint doc bench compare ci models figures install-lite

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## build the default binary and run the main job on test-data
	$(CARGO) build $(LOCKED) --release
	@test-data/demo.sh $(CARGO) run $(LOCKED) --release --quiet --

test: ## run every test; without ATROUS_SHARED those on published weights are skipped
	@test -d "$(SHARED)/conformance" || echo "no $(SHARED)/conformance: skipping the tests on" \
	  "published weights (their licences keep them out of this repository; set ATROUS_SHARED)"
	$(CARGO) test $(LOCKED)

fmt: ## format the code
	$(CARGO) fmt

fmt-check: ## check the format
	$(CARGO) fmt --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy $(LOCKED) --all-targets -- -D warnings

doc: ## API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --no-deps

bench: ## measure the CPU engine
	$(CARGO) bench $(LOCKED)

compare: ## measure beside PyTorch; PYTHON names one that has torch, h5py and numpy
	$(CARGO) build $(LOCKED) --release
	benches/compare.py --shared "$(SHARED)" --python $(or $(PYTHON),python3)

ci: ## what CI runs
	.ci/run

models: ## make the models of models/ again from test-data
	$(CARGO) run $(LOCKED) --quiet -- pwm -r test-data/human.windows.fa.gz \
	  -a test-data/human.windows.gff3.gz --types mRNA,transcript --held-out \
	  --name human-splice-pwm --licence MIT \
	  -o models/human-splice-pwm/model.safetensors

figures: ## draw the figures of docs/dilation.md
	$(CARGO) build $(LOCKED) --release
	@docs/make-figures.sh $(CARGO) run $(LOCKED) --quiet --

install-lite: ## install the default binary (no GPU, no libtorch) into cargo's bin folder
	$(CARGO) install $(LOCKED) --path .
