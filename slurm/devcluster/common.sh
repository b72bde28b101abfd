# Sourced by up and down: where the cluster keeps its state, and which processes are its own.

ROOT=${MAMMOGAN_DEVCLUSTER:-/tmp/mammogan-devcluster}
PORT=${MAMMOGAN_DEVCLUSTER_PORT:-16817}     # slurmctld; the nodes take PORT+1 to PORT+4
NODES="n0 n1 n2 n3"
DAEMONS="slurmctld $NODES munged"           # in the order in which they stop
export SLURM_CONF=$ROOT/slurm.conf PATH=$PATH:/usr/sbin:/sbin

# The daemon's process id, if it is alive and ours: a stale pid file may name anybody's process.
pid_of() {
    local pid
    pid=$(cat "$ROOT/run/$1.pid" 2>/dev/null) || return 1
    cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ' | grep -qF "$ROOT" && echo "$pid"
}

# Wait at most $1 seconds until the rest of the line succeeds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# Serialise up and down, so that two test runs started at once share one cluster.
lock() {
    exec 9>"$ROOT.lock"
    flock -w 120 9 || { echo "devcluster: another up or down holds $ROOT.lock" >&2; exit 1; }
}
