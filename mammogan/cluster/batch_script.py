"""The two ends of a batch script, in bash: what comes before srun, and what becomes of its exit code.

Slurm's commands are on the nodes and not in the image: whatever asks Slurm for something is done here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from mammogan.cluster import container, failure_cause, tracking_credentials
from mammogan.config.site import Site
from mammogan.errors import MammoganError, StopRequestedError
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import Node

# bash runs a trap only between commands: srun goes to the background, and is waited for again after a signal.
# What stands before it in the log is of an earlier start.
START = f'echo "{failure_cause.START} ${{SLURM_RESTART_COUNT:-0}} of job $SLURM_JOB_ID on $SLURMD_NODENAME"'

SRUN = """srun() {
  command srun "$@" &
  local pid=$! rc
  while :; do wait $pid; rc=$?; kill -0 $pid 2>/dev/null || break; done
  wait $pid
}"""

# Other ranks may not know the first node by its Slurm name: its address is looked up here, where Slurm is.
# Debian has a node look up its own name as 127.0.1.1, which is another machine to every other: then it is the
# address from which this node, the first, reaches the second, or its first one. A cluster that says itself
# that its nodes are 127.0.0.1 is one machine.
# So is a port that nobody listens on, since this script runs on that node, where rank 0 will listen. Ports
# below 32768 are given to nobody by chance, and jobs that share the node begin their search elsewhere.
MASTER = r"""address_of() { scontrol -o show node "$1" | grep -o 'NodeAddr=[^ ]*' | cut -d= -f2; }
numeric_of() { getent ahostsv4 "$1" | awk 'NR==1 {print $1}' || true; }
{ read -r first; read -r second; } < <(scontrol show hostnames "$SLURM_JOB_NODELIST") || true
address=$(address_of "$first")
numeric=$(numeric_of "$address")
if [[ $numeric == 127.* && $address != 127.* ]]; then
  numeric=127.0.0.1
  if [ -n "$second" ]; then
    other=$(numeric_of "$(address_of "$second")")
    numeric=$(PATH=$PATH:/usr/sbin:/sbin ip -4 -o route get "$other" 2>/dev/null | grep -o ' src [^ ]*' |
      cut -d' ' -f3 || true)
    numeric=${numeric:-$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '\.' || true)}
  fi
fi
export MAMMOGAN_MASTER_ADDR=${numeric:-$address}
port=$((10000 + SLURM_JOB_ID % 22000))
while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((10000 + (port - 9999) % 22000)); done
export MAMMOGAN_MASTER_PORT=$port"""

# A job that was told to stop is queued again, and so is one that died, but for two reasons not to: what a
# user must mend fails again, and so does what has died twice after the same number of images. The code of
# srun is not always that of the rank that failed first, which may have left word.
# The last task of an array has the number of the array as SLURM_JOB_ID: by that, all would be queued again.
AFTERWARDS = r"""rc=$?
rm -f "$MAMMOGAN_STOP_FILE"
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID} job=${job:-$SLURM_JOB_ID}
again=no
if [ $rc -eq @STOPPED@ ]; then
  [ "${SLURM_RESTART_COUNT:-0}" -lt @REQUEUES@ ] && again=yes
elif [ $rc -ne 0 ]; then
  attempts=@ATTEMPTS@ failure=@FAILURE@
  mkdir -p "${attempts%/*}"
  at=$(grep -o '"done": [0-9]*' @PROGRESS@ 2>/dev/null | grep -o '[0-9]*')
  before=$(grep "^job=$job " "$attempts" 2>/dev/null)
  said=$(cat "$failure" 2>/dev/null)
  echo "job=$job at=${at:-0} rc=$rc time=$(date -u +%FT%TZ) node=$SLURMD_NODENAME said=$said" >> "$attempts"
  if [[ $said != *'"code": @MENDABLE@,'* ]] && [ "$(grep -c . <<< "$before")" -lt @RETRIES@ ] &&
    ! grep -q "^job=$job at=${at:-0} " <<< "$before"; then
    rm -f "$failure"
    again=yes
  fi
  [[ $said == *'"code": @MENDABLE@,'* ]] && rc=@MENDABLE@  # srun tells of those that it ended for it
fi
[ $again = yes ] && scontrol requeue "$job"
exit $rc"""


def setup(site: Site, folder: Path, node: Node, tasks: Sequence[int]) -> list[str]:
    """Lines before srun: the site's own, variables, the first node's address and port, the trap."""
    resource = site.resources.of(node.resource)
    variables = {"MAMMOGAN_CPUS": str(resource.cpus_per_task)}
    variables |= container.variables(site) | site.environment.variables
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    scratch = [f'export MAMMOGAN_SCRATCH="{site.storage.scratch}"'] if site.storage.scratch else []
    stop = f'{shlex.quote(str(RunFolder(folder).stop_requests))}/{node.name}."$SLURM_JOB_ID"'
    return [
        START,
        "set -e",
        _task(tasks),
        *site.environment.setup,
        *resource.setup,
        *exports,
        *scratch,
        *tracking_credentials.lines(site),
        MASTER,
        f"export MAMMOGAN_STOP_FILE={stop}",
        'mkdir -p "${MAMMOGAN_STOP_FILE%/*}" && rm -f "$MAMMOGAN_STOP_FILE"',
        "trap 'touch \"$MAMMOGAN_STOP_FILE\"' USR2",
        SRUN,
        "set +e",
    ]


def teardown(site: Site, folder: Path, node: Node) -> list[str]:
    """Lines after srun: queue the job again or not, and end with the exit code of srun.

    With another code a failed stage would release the next one. Each attempt that failed leaves a line in
    RUN/attempts/NODE-TASK.log, which `mammogan.cluster.failed_attempts` reads.
    """
    values = {
        "STOPPED": str(StopRequestedError.exit_code),
        "MENDABLE": str(MammoganError.exit_code),
        "REQUEUES": str(site.site.requeues),
        "RETRIES": str(site.site.retries),
        "ATTEMPTS": _of_task(RunFolder(folder).attempts, node),
        "FAILURE": _of_task(RunFolder(folder).failure, node),
        "PROGRESS": _of_task(RunFolder(folder).progress, node),
    }
    text = AFTERWARDS
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text.splitlines()


def _of_task(path: Callable[[str, int], Path], node: Node) -> str:
    """Write a task's path for bash, which alone knows the task; task 0 stands in for it."""
    folder, name = path(node.name, 0).parent, path(node.name, 0).name
    return f"{shlex.quote(str(folder))}/{name.replace('-0.', '-$task.')}"


def _task(tasks: Sequence[int]) -> str:
    """Line that tells the job which of the node's tasks it is: array index i runs ``tasks[i]``."""
    if len(tasks) == 1:
        return f"task={tasks[0]}"
    if list(tasks) == list(range(tasks[0], tasks[0] + len(tasks))):
        return f"task=$(({tasks[0]} + SLURM_ARRAY_TASK_ID))"
    return f"tasks=({' '.join(map(str, tasks))}); task=${{tasks[$SLURM_ARRAY_TASK_ID]}}"
