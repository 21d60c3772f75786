#!/usr/bin/env bash
# The cluster side of the house on a Slurm of its own (`make test-cluster`): an array of shards and
# its merge are the direct run, also when one shard is killed and requeued; the workflow gives the
# same through Snakemake, locally and through Slurm. Says why where it skips.
set -euo pipefail
cd "$(dirname "$0")/../.."
atrous=$(realpath "${ATROUS:-target/debug/atrous}")
work=$(mktemp -d)
root=$PWD
model=$root/models/human-splice-pwm/model.safetensors
fly=$root/test-data/dm6.chr4.fa.gz
failed=0

say() { printf '%s\n' "$*"; }
check() { # check NAME COMMAND...
  if "${@:2}"; then say "ok: $1"; else say "FAILED: $1"; failed=1; fi
}
finish() {
  "$root/setup/slurm.sh" stop "$work/slurm" || true
  rm -rf "$work"
}
trap finish EXIT

mkdir "$work/slurm"
code=0
setup/slurm.sh start "$work/slurm" || code=$?
if ((code == 77)); then
  say "skipped the tests on Slurm, for the reason above"
  exit 0
fi
((code == 0)) || exit "$code"
export PATH=$work/slurm/bin:$PATH ATROUS=$atrous

# until TEXT COMMAND...: waits at most a minute for the output of a command to be TEXT
until_says() {
  for _ in $(seq 300); do
    [[ $("${@:2}" 2>/dev/null) == "$1" ]] && return
    sleep 0.2
  done
  say "waited in vain for '$1' of: ${*:2}"
  return 1
}
states() { squeue --noheader --job "$1" --format %T | sort -u; }

cd "$work"
command=(predict -m "$model" -r "$fly" --track donor)
"$atrous" -q "${command[@]}" -o direct.bedGraph.gz
array() { # array NAME ARGUMENTS...: the number of the job
  PARTS=$work/$1 SHARDS=4 sbatch --parsable --array=1-4 --cpus-per-task=1 --mem=300 \
    --output="$work/$1-%a.log" --export=ALL,SHARDS=4,PARTS="$work/$1" \
    "$root/workflow/array.sbatch" "${@:2}"
}
same() { # same NAME REFERENCE: merges the parts and compares data and index
  "$atrous" -q merge "$1"/*.shard.json -o "$1.bedGraph.gz" &&
    cmp "$1.bedGraph.gz" "$2" && cmp "$1.bedGraph.gz.tbi" "$2.tbi"
}

job=$(array plain "${command[@]}")
until_says "" states "$job"
check "an array of 4 shards and its merge are the direct run" same plain direct.bedGraph.gz

# plain loops, slow enough to be caught; their last bits are others
slow=("${command[@]}" --engine oracle --tile 20000)
"$atrous" -q "${slow[@]}" -t "$(nproc)" -o slow.bedGraph.gz
job=$(array killed "${slow[@]}")
journal=killed/2.bedGraph.gz.part.journal
for _ in $(seq 600); do
  [[ -e $journal ]] && (($(wc -l <"$journal") >= 2)) && break
  sleep 0.1
done
pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/' killed/2.bedGraph.gz.lock)
kill -9 "$pid"
for _ in $(seq 100); do
  [[ -n $(scontrol show job "${job}_2" 2>/dev/null | grep -E "JobState=(FAILED|COMPLETED)") ]] && break
  sleep 0.2
done
check "a killed shard leaves no output" test ! -e killed/2.bedGraph.gz
scontrol requeue "${job}_2"
until_says "" states "$job"
check "a requeued shard goes on where it was killed" grep -q "resuming after" killed-2.log
check "a shard killed and requeued gives the same bytes" same killed slow.bedGraph.gz

snakemake=${XDG_CACHE_HOME:-$HOME/.cache}/atrous/snakemake-9/bin/snakemake
if [[ ! -x $snakemake ]]; then
  say "fetching Snakemake into ${snakemake%/bin/*}"
  { python3 -m venv "${snakemake%/bin/*}" && timeout 150 "${snakemake%/snakemake}/pip" install -q \
    snakemake==9.27.1 snakemake-executor-plugin-slurm==2.8.0 \
    snakemake-executor-plugin-cluster-generic==1.0.9; } >pip.log 2>&1 || rm -rf "${snakemake%/bin/*}"
fi
if [[ ! -x $snakemake ]]; then
  say "skipped the tests of the workflow: Snakemake could not be fetched: $(tail -1 pip.log)"
  exit "$failed"
fi

# two models: the second is the first by another name
cp "$model" "$work/second.safetensors"
{
  printf 'job\tcommand\tmodel\treference\tshards\tending\toptions\n'
  printf 'first\tpredict\t%s\t%s\t3\tbedGraph.gz\t--track donor\n' "$model" "$fly"
  printf 'second\tpredict\t%s\t%s\t3\tbw\t--track donor\n' "$work/second.safetensors" "$fly"
} >jobs.tsv
"$atrous" -q "${command[@]}" -o direct.bw
workflow() { # workflow NAME FLAGS...
  "$snakemake" -s "$root/workflow/Snakefile" --directory "$work" --quiet all "${@:2}" --config \
    jobs="$work/jobs.tsv" results="$1" atrous="$atrous" threads=1 mem_mb=300 runtime=5 \
    >"$1.log" 2>&1 || { tail -30 "$1.log"; return 1; }
  cmp "$1/first/first.bedGraph.gz" direct.bedGraph.gz && cmp "$1/second/second.bw" direct.bw &&
    (($(wc -l <"$1/summary.tsv") == 3)) && grep -q '<td>second</td>' "$1/summary.html"
}
profiles=$root/workflow/profiles
check "Snakemake: 2 models, 3 shards each, on this machine" \
  workflow local --profile "$profiles/local" --cores 2
check "Snakemake: the same through Slurm" \
  workflow slurm-run --profile "$profiles/slurm" --jobs 3 --slurm-init-seconds-before-status-checks 3
check "Snakemake: the same through a submit command" \
  workflow generic --profile "$profiles/cluster-generic" --jobs 3
exit "$failed"
