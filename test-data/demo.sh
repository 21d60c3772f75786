#!/usr/bin/env bash
# The main job on real sequence, and a look at what came out. Usage: demo.sh ATROUS [ARGUMENTS...]
# ENGINE chooses the engine (cpu, torch); default: auto.
set -euo pipefail
cd "$(dirname "$0")/.."

data=test-data
out=demo-out
gene=RCC1

mkdir -p "$out"
"$@" predict -m models/human-splice-pwm/model.safetensors -r "$data/human.windows.fa.gz" \
  --regions "$data/human.genes.bed" --strand bed \
  --engine "${ENGINE:-auto}" -o "$out/splice.bedGraph.gz" --table "$out/genes.tsv" --summary "$out/run.json"

echo
echo "Tracks (bedGraph, with index; open them in IGV beside $data/human.windows.fa.gz):"
ls -1 "$out"/splice.*.bedGraph.gz

echo
echo "One row per gene ($out/genes.tsv):"
head -4 "$out/genes.tsv"

# Columns 1 to 3 and 6 of the gene, then the last bases of its exons, which are its donor sites.
read -r contig start end _ < <(awk -v gene="$gene" '$4 == gene' "$data/human.genes.bed")
echo
echo "The 12 best donor scores of $gene ($contig, + strand), and whether an exon ends there:"
gzip -dc "$data/human.windows.gff3.gz" |
  awk -v contig="$contig" '$1 == contig && $3 == "exon" { print $5 - 1 }' >"$out/exon-ends.txt"
gzip -dc "$out/splice.donor.plus.bedGraph.gz" |
  awk -v contig="$contig" -v start="$start" -v end="$end" \
    '$1 == contig && $2 >= start && $3 <= end { print $2 "\t" $4 }' |
  sort -k2,2gr -k1,1n | awk 'NR <= 12' |
  awk 'NR == FNR { ends[$1]; next }
       { print "  base " $1 "\t" $2 " bits\t" ($1 in ends ? "exon end" : "-") }' \
    "$out/exon-ends.txt" -
echo
echo "A matrix of nine bases finds most real sites and many others: see models/human-splice-pwm/CARD.md."
