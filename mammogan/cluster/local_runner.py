"""Running a job graph on this machine: processes, started in the graph's order as cores become free."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from submitit.core.utils import environment_variables
from submitit.local.local import LocalJob

from mammogan import interruption
from mammogan import machine as this_machine
from mammogan.cluster import (
    container,
    gpu_slots,
    job,
    rank_environment,
    sbatch_parameters,
    submission_ledger,
    tracking_credentials,
)
from mammogan.cluster.gpu_slots import GpuSlots
from mammogan.cluster.live_jobs import UNKNOWN
from mammogan.cluster.run_state import LIVE, NodeState, Watcher
from mammogan.config.resource import Resources
from mammogan.config.run_config import Launched
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import Node
from mammogan.train import device_choice

# How long the ranks of a failed job get to follow the first one by themselves.
GRACE_S = 5.0
STOP_S = 10.0
"""How long processes get to end by themselves when the run is stopped."""

Task = tuple[str, int]
Jobs = dict[Task, LocalJob[None]]


def run_graph(
    folder: Path, wanted: Sequence[Node], poll_s: float = 0.5, left_out: Collection[Task] = ()
) -> Iterator[tuple[NodeState, ...]]:
    """Run the `wanted` nodes, but for tasks `left_out`, telling every `poll_s` seconds where the run stands.

    A task that fails blocks what needs it and nothing else. Closing the iterator ends all processes.
    """
    watcher = Watcher(folder)
    names = {node.name for node in wanted}
    jobs: Jobs = {}
    gpus = GpuSlots(_machine_gpus(watcher.run))
    try:
        while True:
            running = {task for task, process in jobs.items() if not process.done()}
            gpus.keep(running)
            states = watcher.read()
            tried = {*jobs, *left_out}
            starting = list(_startable(watcher.run, states, names, tried, running, len(gpus.free)))
            for node, task in starting:
                lent = gpus.take((node.name, task), _gpus(watcher.run, node))
                jobs[node.name, task] = _start(watcher.run, folder, node, task, lent)
            yield states
            if not starting and not running:
                return
            _end_broken_groups(watcher.run, folder, wanted, jobs)
            time.sleep(poll_s)
    finally:
        _stop(jobs)


def preflight(run: Launched, folder: Path, wanted: Sequence[Node]) -> None:
    """See that this machine has the GPUs that the `wanted` nodes ask for, before any of them is started.

    A process of its own looks, as jobs would: PyTorch keeps a GPU that it has once looked at.

    Raises
    ------
    ClusterError
        If it has none, in PyTorch's words.
    """
    for node in {node.resource: node for node in wanted}.values():
        resource = run.site.resources.of(node.resource)
        if resource.device != "cuda":
            continue
        there = gpu_slots.lendable(resource.gpus_per_node)
        if len(there) < resource.gpus_per_node:
            claim = (
                f"resources.{node.resource}.gpus_per_node of the site '{run.site.site.name}' is "
                f"'{resource.gpus_per_node}', and "
            )
            if (visible := os.environ.get(gpu_slots.VISIBLE)) is None:
                raise ClusterError(f"{claim}this machine has {len(there)}: ask for no more.")
            raise ClusterError(
                f"{claim}{gpu_slots.VISIBLE} '{visible}' leaves {len(there)}: name more GPUs in it or unset "
                f"it, or ask for no more (--set resources.{node.resource}.device=cpu for none)."
            )
        code = "from mammogan.train.device_choice import no_gpu; print('GPU:', no_gpu())"
        command = f"{sbatch_parameters.python(run, folder, node)} -c {shlex.quote(code)}"
        script = "\n".join([*run.site.environment.setup, command])
        visible = ",".join(there[: resource.gpus_per_node])
        environ = os.environ | run.site.environment.variables | {"CUDA_VISIBLE_DEVICES": visible}
        done = subprocess.run(
            ["bash", "-c", script], env=environ, capture_output=True, text=True, check=False
        )
        reason = done.stdout.rpartition("GPU:")[2].strip() if done.returncode == 0 else done.stderr[-1000:]
        if reason:
            claim = f"resources.{node.resource}.device of the site '{run.site.site.name}'"
            raise device_choice.refusal(claim, reason, node.resource)


interruptible = interruption.answered


def _startable(
    run: Launched,
    states: Sequence[NodeState],
    names: set[str],
    tried: set[Task],
    running: set[Task],
    free_gpus: int,
) -> Iterator[tuple[Node, int]]:
    """Choose the tasks that can start now: what they need is done, their cores and GPUs are free."""
    by_name = {state.node.name: state for state in states}
    machine = this_machine.cores()
    cost = {state.node.name: _cores(run, state.node, machine) for state in states}
    free = machine - sum(cost[name] for name, _ in running)
    for state in states:
        node = state.node
        if node.name not in names or any(by_name[need].state != "done" for need in node.needs):
            continue
        places = run.site.resources.of(node.resource).array_parallelism
        places -= sum(name == node.name for name, _ in running)
        for task in range(node.tasks):
            waits = state.tasks[task] not in (*LIVE, UNKNOWN, "done") and (node.name, task) not in tried
            if waits and places > 0 and free >= cost[node.name] and free_gpus >= _gpus(run, node):
                places, free, free_gpus = places - 1, free - cost[node.name], free_gpus - _gpus(run, node)
                yield node, task


def _cores(run: Launched, node: Node, machine: int) -> int:
    resource = run.site.resources.of(node.resource)
    return min(machine, (resource.cpus_per_task or machine) * resource.tasks_per_node)


def _machine_gpus(run: Launched) -> tuple[str, ...]:
    """List the GPUs to lend; where no program lists them, as many as a class asks for."""
    classes = [run.site.resources.of(name) for name in Resources.model_fields]
    most = max(each.gpus_per_node if each.device == "cuda" else 0 for each in classes)
    return gpu_slots.lendable(most) if most else ()


def _gpus(run: Launched, node: Node) -> int:
    resource = run.site.resources.of(node.resource)
    return resource.gpus_per_node if resource.device == "cuda" else 0


def _start(run: Launched, folder: Path, node: Node, task: int, gpus: tuple[str, ...]) -> LocalJob[None]:
    submission_ledger.forget(folder, node.name, task)
    resource, machine = run.site.resources.of(node.resource), this_machine.cores()
    variables = {
        "MAMMOGAN_CPUS": resource.cpus_per_task or max(1, machine // resource.tasks_per_node),
        "MAMMOGAN_MASTER_ADDR": "127.0.0.1",
        "MAMMOGAN_MASTER_PORT": rank_environment.free_port(),
        "MAMMOGAN_SCRATCH": os.path.expandvars(run.site.storage.scratch),
        **container.variables(run.site),
        **tracking_credentials.variables(run.site),
        **run.site.environment.variables,
    }
    with environment_variables(**variables), interruption.left_to_parent():
        process: LocalJob[None] = sbatch_parameters.local(run, folder, node, gpus).submit(
            job.main, str(folder), node.name, task
        )
    submission_ledger.append(folder, node.name, process.job_id, (task,), "local")
    return process


def _end_broken_groups(run: Launched, folder: Path, wanted: Sequence[Node], jobs: Jobs) -> None:
    """End the jobs of which one rank has failed: the others would wait for it in a collective.

    A rank without others ends by itself, however long that takes.
    """
    alone = {node.name for node in wanted if run.site.resources.of(node.resource).tasks_per_node == 1}
    for (name, task), process in jobs.items():
        note = RunFolder(folder).failure(name, task)
        if (
            name not in alone
            and not process.done()
            and note.exists()
            and time.time() - note.stat().st_mtime > GRACE_S
        ):
            this_machine.end(int(process.job_id), signal.SIGTERM)


def _stop(jobs: Jobs) -> None:
    """End all processes, and wait for them: one that is just starting may not hear the first request."""
    over = time.monotonic() + STOP_S
    while left := [process for process in jobs.values() if not process.done()]:
        late = time.monotonic() > over
        for process in left:
            this_machine.end(int(process.job_id), signal.SIGKILL if late else signal.SIGTERM)
        if late:
            return
        time.sleep(0.2)
