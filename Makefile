# One door for every task; CI goes through the same one. `make` alone lists them.

CARGO ?= cargo
LOCKED = --locked
SHARED = $(or $(ATROUS_SHARED),../shared)
PREFIX ?= $(HOME)/.local
INSTALLED = $(DESTDIR)$(PREFIX)

# libtorch (docs/install.md): LIBTORCH names one that is there already; CUDA=1 fetches what a GPU
# needs too, CUDA=0 does not; by default the machine decides. TORCH=0 leaves libtorch out of tests.
CUDA ?= $(if $(wildcard /proc/driver/nvidia/version),1,0)
SET_UP_TORCH = setup/libtorch.sh $(if $(filter 1,$(CUDA)),--cuda)
WITH_TORCH = LIBTORCH="$(CURDIR)/.libtorch"
IF_TORCH = features=; if [ "$(TORCH)" = 0 ]; then echo "without libtorch: TORCH=0"; \
  elif setup/libtorch.sh; then features="--features torch"; \
  else echo "without libtorch, for the reason above"; fi; $(WITH_TORCH)

.DEFAULT_GOAL := help
.PHONY: help demo torch demo-torch test fmt fmt-check lint doc bench compare ci models context figures \
  install install-lite dist test-cluster

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## build the default binary and run the main job on test-data
	$(CARGO) build $(LOCKED) --release
	@test-data/demo.sh $(CARGO) run $(LOCKED) --release --quiet --

torch: ## build with libtorch, for GPUs and --engine torch; fetches it once
	$(SET_UP_TORCH)
	$(WITH_TORCH) $(CARGO) build $(LOCKED) --release --features torch

demo-torch: torch ## the demo with --engine torch
	@ENGINE=torch test-data/demo.sh target/release/atrous

test: ## run every test, with libtorch where it can be had; without ATROUS_SHARED some are skipped
	@test -d "$(SHARED)/conformance" || echo "no $(SHARED)/conformance: skipping the tests on" \
	  "published weights (their licences keep them out of this repository; set ATROUS_SHARED)"
	@$(IF_TORCH) $(CARGO) test $(LOCKED) $$features

fmt: ## format the code
	$(CARGO) fmt

fmt-check: ## check the format
	$(CARGO) fmt --check

lint: ## clippy, warnings are errors
	@$(IF_TORCH) $(CARGO) clippy $(LOCKED) --all-targets $$features -- -D warnings
	$(CARGO) clippy $(LOCKED) -- -D warnings

doc: ## API documentation, warnings are errors
	@$(IF_TORCH) RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --no-deps $$features

bench: ## measure the CPU engine
	$(CARGO) bench $(LOCKED)

compare: ## measure beside PyTorch (WORK=track, snv, mutagenesis, nets, errors, start); PYTHON names one that has it
	$(CARGO) build $(LOCKED) --release
	benches/compare.py --work $(or $(WORK),track) --shared "$(SHARED)" --python $(or $(PYTHON),python3)

ci: ## what CI runs
	.ci/run

models: ## make the models of models/ again from test-data
	$(CARGO) run $(LOCKED) --quiet -- pwm -r test-data/human.windows.fa.gz \
	  -a test-data/human.windows.gff3.gz --types mRNA,transcript --held-out \
	  --name human-splice-pwm --licence MIT \
	  -o models/human-splice-pwm/model.safetensors

context: torch ## train short and long networks side by side for docs/context.md; RUNS names a folder
	@docs/context/run.sh target/release/atrous "$(or $(RUNS),target/context)"

figures: ## draw the figures of docs/dilation.md
	$(CARGO) build $(LOCKED) --release
	@docs/make-figures.sh $(CARGO) run $(LOCKED) --quiet --

install: torch ## install the full build: PREFIX/bin, lib, completions, man page (~/.local)
	@setup/install.sh target/release/atrous "$(INSTALLED)"

install-lite: ## install the CPU engine alone (no GPU, no libtorch) into cargo's bin folder
	$(CARGO) install $(LOCKED) --path .

dist: ## pack the default binary with licences, completions and checksums into dist/
	$(CARGO) build $(LOCKED) --release
	@packaging/dist.sh target/release/atrous dist

test-cluster: ## shards on a Slurm of this machine, alone and through Snakemake; says why it skips
	$(CARGO) build $(LOCKED)
	@ATROUS=target/debug/atrous tests/cluster/slurm.sh
