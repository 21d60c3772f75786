#!/usr/bin/env bash
# Does context help? Trains one narrow network with four receptive fields on three real data sets
# and on a planted long-range task, and writes docs/context/results.tsv and the table of
# docs/context.md. `make context` calls it; it takes most of an hour of one core. What is finished
# is not computed again.
#
#   docs/context/run.sh ATROUS WORK [TASK SEED]
#
# ATROUS is a build with libtorch, WORK a folder for runs. With a task and a seed only these are
# trained, so that several can run side by side; without, what is missing, and then the table.
set -euo pipefail
cd "$(dirname "$0")/../.."
atrous=$(realpath "$1")
work=$2
mkdir -p "$work"
work=$(realpath "$work")
ATROUS_SHARED=$(realpath "${ATROUS_SHARED:-../shared}")
export ATROUS_SHARED

# label, dilations of kernel 3 behind a stem of 21 taps, window, batch: the receptive field is
# 21 + 2 x the sum of the dilations, and a step sees 32,768 bases
fields() {
  local d=1,2,4,8,16
  echo "100bp $d 4096 8"                                             # 83
  d=$d,32,64,128,256
  echo "1kb $d 4096 8"                                               # 1,043
  d=$d,512,1024,2048
  echo "10kb $d,1024 8192 4"                                         # 10,259
  echo "65kb $d,4096,8192,16384 32768 1"                             # 65,555
}

network() { # DILATIONS WINDOW BATCH STEPS HELD START
  cat <<TOML

[network]
channels = 32
activation = "relu"
stem = { kernel = 21, activate = true }
start = "$6"

[[network.stack]]
block = "normed-residual"
kernel = 3
dilations = [${1//,/, }]

[training]
window = $2
batch = $3
steps = $4
rate = 3e-3
warmup = 50
average = 0.99
hold = 8
hold_steps = $5
validate_every = $4
checkpoint_every = 200
keep = "last"
TOML
}

yeast() { # SET
  cat <<TOML
root = "\$ATROUS_SHARED/data"

[data]
reference = "yeast/genome.fa.gz"
mask = ["yeast/mask.bed"]

[splits]
table = "splits.tsv"
set = "$1"
TOML
}

task() { # TASK SEED: all of a training file but the network
  echo "name = \"context-$1\""
  case $1 in
    atac)
      yeast atac
      cat <<TOML

[counts]
tracks = [{ name = "insertions", file = "yeast/atac.insertions.bw" }]
cap = 20
log_bins = [{ width = 256, weight = 0.1 }]

[evaluation]
bins = [256]
TOML
      ;;
    tss)
      yeast stripe
      cat <<TOML

[counts]
tracks = [
    { name = "plus", file = "yeast/stripe.wt.plus.bw", strand = "+" },
    { name = "minus", file = "yeast/stripe.wt.minus.bw", strand = "-" },
]
cap = 50
log_bins = [{ width = 128, weight = 0.1 }]

[evaluation]
bins = [128]
TOML
      ;;
    splice)
      cat <<TOML
root = "\$ATROUS_SHARED/data"

[data]
reference = "pombe/genome.fa.gz"

[splits]
table = "splits.tsv"
set = "pombe_splice"

[splice]
annotation = "pombe/annotation.gff3.gz"
types = ["mRNA"]
site_weight = 10.0
parts = true

[[sampling]]
where = "sites"
TOML
      ;;
    planted)
      cat <<TOML
root = "$work/planted.$2"

[data]
reference = "genome.fa"

[splits]
train = ["c1", "c2", "c3", "c4", "c5", "c6"]
valid = ["c7"]
test = ["c8"]

[counts]
tracks = [{ name = "events", file = "counts.bedGraph" }]
bin = 256

[evaluation]
bins = [256]
TOML
      ;;
  esac
}

measure() { # TASK STEM: the number that the table shows
  case $1 in
    atac | planted) awk -F '\t' '$2 == "all" && $3 == "bins of 256" && $4 == "pearson_log1p" { print $5 }' "$2" ;;
    tss) awk -F '\t' '$2 == "all" && $3 == "bins of 128" && $4 == "pearson_log1p" { print $5 }' "$2" ;;
    splice) awk -F '\t' '$2 == "all" && $3 ~ /, in genes$/ && $4 == "top_k" { s += $5; n++ }
      END { printf "%.6f\n", s / n }' "$2" ;;
  esac
}

results=docs/context/results.tsv
part=$work/results.tsv
printf 'task\treceptive_field\tseed\tparameters\tsteps\tvalue\tcpu_seconds\n' >"$part"
run() { # TASK SEED STEPS
  local label dilations window batch steps=$3
  while read -r label dilations window batch; do
    local name=$1.$label.$2
    local out=$work/$name
    mkdir -p "$out"
    # where a base matters, the last quarter of the steps computes every base
    local held=$steps start=smooth
    [[ $1 != splice ]] || { held=$((steps * 3 / 4)); start=random; }
    { task "$1" "$2"; network "$dilations" "$window" "$batch" "$steps" "$held" "$start"; } >"$out/train.toml"
    if [[ ! -e $out/valid.tsv ]]; then
      "$atrous" -q train -c "$out/train.toml" --out "$out" --seed "$2" -t 1 --resume >"$out/facts"
      "$atrous" -q evaluate -m "$out/model.safetensors" -c "$out/train.toml" --split valid -o "$out/valid" -t 1
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$label" "$2" \
      "$(sed -n 's/^parameters *//p' "$out/facts")" "$steps" "$(measure "$1" "$out/valid.tsv")" \
      "$(awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "cpu_seconds") c = i } END { printf "%.0f", $c }' "$out/metrics.tsv")" |
      tee -a "$part"
  done < <(fields)
}

one() { # TASK SEED
  local steps=200
  # sites are few
  [[ $1 != splice ]] || steps=800
  if [[ $1 == planted ]]; then
    steps=500
    [[ -e $work/planted.$2/genome.fa ]] ||
      ${CARGO:-cargo} run --quiet --release --example planted -- "$work/planted.$2" "$2"
  fi
  run "$1" "$2" "$steps"
}

if (($# == 4)); then
  part=/dev/null
  one "$3" "$4"
  exit
fi
for seed in 0 1 2; do one planted "$seed"; done
for task in atac tss splice; do one "$task" 0; done
mv "$part" "$results"

# the table of the page: a row per task and seed, a column per receptive field
table=$(awk -F '\t' '
  BEGIN { name["planted"] = "planted, seed "; name["atac"] = "ATAC, bins of 256"
    name["tss"] = "starts, bins of 128"; name["splice"] = "splice sites, top-k" }
  NR > 1 {
    row = name[$1] ($1 == "planted" ? $3 : "")
    if (!(row in seen)) { seen[row] = 1; rows[++n] = row }
    value[row, $2] = sprintf("%.3f", $6); seconds[$2] += $7
  }
  END {
    split("100bp 1kb 10kb 65kb", fields, " ")
    print "| receptive field | 83 bp | 1,043 bp | 10,259 bp | 65,555 bp |"
    print "|---|---|---|---|---|"
    for (r = 1; r <= n; r++) {
      line = "| " rows[r] " |"
      for (f = 1; f <= 4; f++) line = line " " value[rows[r], fields[f]] " |"
      print line
    }
    line = "| CPU seconds of training, all rows |"
    for (f = 1; f <= 4; f++) line = line " " seconds[fields[f]] " |"
    print line
  }' "$results")
awk -v table="$table" '
  /<!-- results -->/ { print; print ""; print table; print ""; skip = 1; next }
  skip && /^Numbers are of/ { skip = 0 }
  !skip { print }' docs/context.md >"$work/context.md"
cp "$work/context.md" docs/context.md
