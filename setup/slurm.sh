#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: `slurm.sh start FOLDER` and `slurm.sh stop FOLDER`.
# Its commands are in FOLDER/bin. All that it writes lies in FOLDER, and it listens on ports that Slurm does not use by itself.
# Needs root and Debian's packages slurm-wlm and munge. Ends with 77 where they cannot be had.
set -euo pipefail
action=$1 folder=$(realpath "$2")
conf=$folder/slurm.conf

skip() {
  echo "skipped: $*" >&2
  exit 77
}

install_slurm() {
  for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || break
  done && return
  command -v apt-get >/dev/null || skip "no Slurm, and no apt-get to install it with"
  local log=$folder/install.log
  { timeout 60 apt-get update && DEBIAN_FRONTEND=noninteractive timeout 100 apt-get install -y \
    --no-install-recommends slurm-wlm slurmctld slurmd slurm-client munge; } >"$log" 2>&1 ||
    skip "Slurm could not be installed: $(tail -1 "$log")"
}

start() {
  [[ $(id -u) == 0 ]] || skip "a Slurm of its own needs root"
  mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
  install_slurm
  # munged trusts no folder that others can write to
  chown root: "$folder" "$folder/munge" && chmod 755 "$folder" "$folder/munge"
  head -c 1024 /dev/urandom >"$folder/munge/key" && chmod 600 "$folder/munge/key"
  # these find this Slurm also where a job has lost the variables of Slurm
  mkdir -p "$folder/bin"
  for name in srun sbatch squeue sinfo scancel scontrol; do
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$conf" "$(command -v $name)" >"$folder/bin/$name"
    chmod 755 "$folder/bin/$name"
  done
  cat >"$conf" <<CONF
ClusterName=atrous
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=30
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" ||
    skip "munged does not start: $(tail -1 "$folder/munge/log" 2>/dev/null)"
  export SLURM_CONF=$conf
  slurmctld -f "$conf" && slurmd -f "$conf" -N "$(hostname -s)" || { stop; skip "Slurm does not start"; }
  for _ in $(seq 100); do
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && return
    sleep 0.2
  done
  tail -3 "$folder/slurmctld.log" "$folder/slurmd.log" >&2 || true
  stop
  skip "the node of this Slurm does not come up"
}

# ends the processes that start began, by their own numbers, and waits for them
stop() {
  for name in slurmd slurmctld munge/pid; do
    local file=$folder/$name pid
    [[ $name == */* ]] || file=$folder/$name.pid
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
  done
}

"$action"
