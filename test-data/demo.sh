#!/usr/bin/env bash
# The main job on real sequence, and a look at what came out. Usage: demo.sh ATROUS [ARGUMENTS...]
# ENGINE chooses the engine (cpu, torch); default: auto.
set -euo pipefail
cd "$(dirname "$0")/.."

data=test-data
out=demo-out
model=models/yeast-atac/model.safetensors
locus=chrI:68,001-76,000

mkdir -p "$out"
"$@" predict -m "$model" -r "$data/yeast.chrI.fa.gz" --engine "${ENGINE:-auto}" \
  -o "$out/accessibility.bedGraph.gz" --summary "$out/run.json"
"$@" predict -m "$model" -r "$data/yeast.chrI.fa.gz" --regions "$data/yeast.chrI.peaks.bed" \
  --engine "${ENGINE:-auto}" --table "$out/peaks.tsv"
"$@" predict -m "$model" -r "$data/yeast.chrI.fa.gz" --region "$locus" \
  --engine "${ENGINE:-auto}" --plot "$out/locus.svg" --measured "$data/yeast.chrI.atac.bedGraph.gz"

echo
echo "Accessibility of yeast chromosome I (bedGraph, with index; open it in IGV beside"
echo "$data/yeast.chrI.fa.gz): $out/accessibility.bedGraph.gz"
echo
echo "The peaks with the most predicted insertions ($out/peaks.tsv), and how many were measured:"
sum_column=$(head -1 "$out/peaks.tsv" | tr '\t' '\n' | grep -n '^insertions_sum$' | cut -d: -f1)
tail -n +2 "$out/peaks.tsv" | sort -t "$(printf '\t')" -k"$sum_column,${sum_column}gr" |
  awk 'NR <= 8' | while IFS=$'\t' read -r -a row; do
    measured=$(gzip -dc "$data/yeast.chrI.atac.bedGraph.gz" |
      awk -v start="${row[1]}" -v end="${row[2]}" \
        '$2 >= start && $3 <= end { sum += $4 * ($3 - $2) } END { print sum + 0 }')
    printf '  %s:%d-%d\tpredicted %.0f\tmeasured %d\n' \
      "${row[0]}" "${row[1]}" "${row[2]}" "${row[$((sum_column - 1))]}" "$measured"
  done
echo
echo "A picture of $locus, predicted above measured: $out/locus.svg"
echo "The model has learned from this chromosome; models/yeast-atac/CARD.md says how it does on others."
