#!/usr/bin/env bash
# Draws the figures of docs/dilation.md with the program itself; `make figures` calls it.
#
#   docs/make-figures.sh ATROUS...     how to call the program, such as: target/debug/atrous
#
# The last figure needs published weights that this repository cannot hold; without
# $ATROUS_SHARED (default ../shared) it is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
atrous=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

draw() { # FIGURE SUBJECTS AND FLAGS...
  local figure=docs/img/$1.svg
  shift
  "${atrous[@]}" inspect "$@" --svg "$figure" >/dev/null
  echo "$figure"
}

draw growth docs/networks/ordinary.toml docs/networks/doubling.toml
${CARGO:-cargo} run --quiet --example gridding -- "$work" >/dev/null
draw gridding "$work/same-rate.safetensors" "$work/hybrid.safetensors"
draw spectrum profile-trunk periodic --spectrum

shared=${ATROUS_SHARED:-../shared}
if [ -d "$shared/weights/spliceai" ]; then
  "${atrous[@]}" -q import spliceai "$shared"/weights/spliceai/spliceai1.h5 \
    --name "SpliceAI-10k, member 1" -o "$work/spliceai.safetensors"
  draw effective "$work/spliceai.safetensors" --effective --substitutions 64 \
    --reference "$shared/conformance/hg38_1m.fa.gz" --region chr1:65,000-71,000
else
  echo "docs/img/effective.svg is left as it is: no weights in $shared (set ATROUS_SHARED)"
fi
