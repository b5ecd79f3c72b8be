#!/usr/bin/env bash
# A Slurm cluster of two nodes, n1 and n2, for as long as one command runs:
#
#     tests/cluster/slurm_cluster.sh COMMAND [ARGUMENT ...]
#
# slurmctld, two slurmd and munged are the real ones (Debian: slurmctld slurmd slurm-client munge iproute2). They live
# in namespaces of their own (mounts, network, processes, host name): nothing is left behind on the machine, and
# several of these clusters can run at once. A node is a process namespace with slurmd as its first process, so that
# `kill -9 $(cat $SLURM_CLUSTER/n1.pid)` takes the node's power away: everything on it dies with it.
#
# The command finds: sbatch, squeue and the rest, configured; SLURM_CLUSTER, a folder with n1.pid, n2.pid and the logs.
# Without a database there is no accounting, so that sacct has nothing to tell.
# Environment: SLURM_CLUSTER_LOGS=DIR keeps the logs there; SLURM_CLUSTER_CPUS=N cores of each node (default 4).
# Exit status: that of the command; 77 where root or a program is missing; 70 where the cluster does not come up.
set -euo pipefail

export PATH="$PATH:/usr/sbin:/sbin"
DAEMONS=(slurmctld slurmd sbatch squeue munged ip unshare setpriv)
NODES=(n1 n2)
SECONDS_TO_COME_UP=30

refuse() { echo "slurm_cluster: $2" >&2; exit "$1"; }

if [[ "${1:-}" != --inside ]]; then
  [[ $# -gt 0 ]] || refuse 2 "usage: $0 COMMAND [ARGUMENT ...]"
  [[ "$(id -u)" == 0 ]] || refuse 77 "needs root, for namespaces and for Slurm's own daemons"
  for program in "${DAEMONS[@]}"; do
    command -v "$program" > /dev/null || refuse 77 "$program is not installed"
  done
  unshare --mount --net --pid --uts --ipc --fork true 2> /dev/null || refuse 77 "no namespaces here"
  exec unshare --mount --net --pid --uts --ipc --fork --kill-child --mount-proc \
    --propagation private bash "$0" --inside "$@"
fi
shift

network() {
  hostname control
  ip link set lo up
  # Slurm finds no route to itself over the loopback interface alone.
  ip link add cluster0 type dummy 2> /dev/null || ip link add cluster0 type veth peer name cluster1
  ip address add 10.254.0.1/24 dev cluster0
  ip address add 10.254.0.2/24 dev cluster0
  ip address add 10.254.0.3/24 dev cluster0
  ip link set cluster0 up
  printf '127.0.0.1 localhost\n10.254.0.1 control\n10.254.0.2 n1\n10.254.0.3 n2\n' > "$SLURM_CLUSTER/hosts"
  mount --bind "$SLURM_CLUSTER/hosts" /etc/hosts
}

private_folders() {
  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /sys/fs/cgroup # slurmd insists on one it may write to
  export SLURM_CLUSTER=/run/slurm-cluster
  mkdir -p "$SLURM_CLUSTER/state" /run/munge
}

munge_key() {
  install -d -o munge -m 700 /run/munge-key
  head -c 1024 /dev/urandom > /run/munge-key/key
  chown munge: /run/munge-key/key && chmod 400 /run/munge-key/key
}

# One munged for each machine, as on a real cluster, all with the same key.
authentication() {
  mount -t tmpfs tmpfs /run/munge
  chown munge: /run/munge
  setpriv --reuid=munge --regid=munge --clear-groups munged --key-file=/run/munge-key/key \
    --pid-file=/run/munge/munged.pid --log-file=/run/munge/munged.log --seed-file=/run/munge/seed
}

node() {
  hostname "$1"
  authentication
  exec slurmd -D -N "$1"
}

configuration() {
  export SLURM_CONF="$SLURM_CLUSTER/slurm.conf"
  cat > "$SLURM_CLUSTER/cgroup.conf" <<< "CgroupPlugin=cgroup/v1"
  cat > "$SLURM_CONF" << CONFIGURATION
ClusterName=test
SlurmctldHost=control(10.254.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$SLURM_CLUSTER/state
SlurmdSpoolDir=$SLURM_CLUSTER/spool-%n
SlurmctldPidFile=$SLURM_CLUSTER/slurmctld.pid
SlurmdPidFile=$SLURM_CLUSTER/slurmd-%n.pid
SlurmctldLogFile=$SLURM_CLUSTER/slurmctld.log
SlurmdLogFile=$SLURM_CLUSTER/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
SlurmdTimeout=3
MessageTimeout=3
KillWait=5
ReturnToService=2
MaxArraySize=101
NodeName=n1 NodeHostname=n1 NodeAddr=10.254.0.2 Port=6821 CPUs=${SLURM_CLUSTER_CPUS:-4} RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname=n2 NodeAddr=10.254.0.3 Port=6822 CPUs=${SLURM_CLUSTER_CPUS:-4} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 LLN=YES State=UP
CONFIGURATION
}

start_node() {
  export -f node authentication
  # shellcheck disable=SC2016
  unshare --mount --pid --uts --fork --mount-proc bash -c 'node "$1"' node "$1" \
    > "$SLURM_CLUSTER/$1.out" 2>&1 &
  local outside=$!
  for _ in {1..50}; do
    pgrep -P "$outside" > "$SLURM_CLUSTER/$1.pid" && return
    sleep 0.1
  done
  refuse 70 "the node $1 did not start"
}

keep_logs() {
  [[ -z "${SLURM_CLUSTER_LOGS:-}" ]] || { mkdir -p "$SLURM_CLUSTER_LOGS"; cp "$SLURM_CLUSTER"/*.{log,out} "$SLURM_CLUSTER_LOGS"; }
}

wait_until_up() {
  local deadline=$((SECONDS + SECONDS_TO_COME_UP))
  until [[ "$(sinfo --noheader --Node --states=idle --format=%N 2> /dev/null | wc -l)" == "${#NODES[@]}" ]]; do
    if ((SECONDS > deadline)); then
      keep_logs
      tail -n 5 "$SLURM_CLUSTER"/*.{log,out} >&2
      refuse 70 "the cluster did not come up in $SECONDS_TO_COME_UP s"
    fi
    sleep 0.2
  done
}

private_folders
network
munge_key
authentication
configuration
slurmctld -D > "$SLURM_CLUSTER/slurmctld.out" 2>&1 &
for node in "${NODES[@]}"; do start_node "$node"; done
wait_until_up
status=0
"$@" || status=$?
keep_logs
exit "$status" # the daemons end with the namespace
