"""A site and a graph node as submitit understands them: the parameters of a job, and its batch script."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit import LocalExecutor, SlurmExecutor
from submitit.slurm.slurm import _make_sbatch_string

from mammogan.cluster import batch_script, container
from mammogan.cluster.slurm_commands import job_name
from mammogan.config.run_config import Launched
from mammogan.run_folder import RunFolder
from mammogan.steps import SHARD_STEPS
from mammogan.steps.job_graph import Node


def python(run: Launched, folder: Path, node: Node) -> str:
    """Command that starts Python in a job: the launching one, or the image's inside its container."""
    if not run.site.container.image:
        return shlex.quote(sys.executable)
    return container.python(run.site, folder, run.shards, writable=node.step in SHARD_STEPS)


def parameters(
    run: Launched, folder: Path, node: Node, tasks: Sequence[int], dependency: str = ""
) -> dict[str, Any]:
    """Parameters of a batch script for these tasks of the node, in submitit's names for Slurm's options."""
    site, resource = run.site, run.site.resources.of(node.resource)
    kind = f"{resource.gpu_type}:" if resource.gpu_type else ""
    ours = {
        "partition": resource.partition,
        "account": resource.account,
        "qos": resource.qos,
        "dependency": dependency,
        "cpus-per-task": resource.cpus_per_task,
        "gpus-per-node": f"{kind}{resource.gpus_per_node}" if resource.gpus_per_node else "",
        "mem": _memory(resource.mem_gb),
        "signal": f"B:USR2@{site.site.stop_notice_s}",  # to the batch shell alone: Apptainer dies of it
        "kill-on-invalid-dep": "yes",
        "requeue": True,
    }
    options = {name: value for name, value in ours.items() if value != "" and name not in resource.replaced}
    # Slurm 22.05 and later no longer hand --cpus-per-task on from sbatch to srun.
    cpus = [] if "cpus-per-task" in resource.replaced else [f"--cpus-per-task={resource.cpus_per_task}"]
    # A site where sbatch gives jobs nothing of the environment would have srun give nothing to the tasks.
    export = [] if any(word.startswith("--export") for word in resource.srun) else ["--export=ALL"]
    return {
        "job_name": job_name(run.run_id, node.name),
        "time": resource.time_min,
        "nodes": resource.nodes,
        "ntasks_per_node": resource.tasks_per_node,
        "array_parallelism": resource.array_parallelism,
        "stderr_to_stdout": True,
        "wckey": None,
        "comment": str(folder),  # by which jobs that nobody wrote down are found in the queue
        "additional_parameters": options
        | {name: value for name, value in resource.sbatch.items() if value is not False},
        "srun_args": ["--kill-on-bad-exit=1", *cpus, *export, *resource.srun],
        "setup": batch_script.setup(site, folder, node, tasks),
        "teardown": batch_script.teardown(site, folder, node),
    }


def _memory(gb: float | None) -> str:
    """Write the memory of a node for sbatch, to which 0 is all of it; empty where nobody says."""
    return "" if gb is None else f"{gb * 1024:.0f}M" if gb else "0"


def slurm(
    run: Launched, folder: Path, node: Node, tasks: Sequence[int], dependency: str = ""
) -> SlurmExecutor:
    """Executor that submits these tasks of the node with sbatch."""
    executor = SlurmExecutor(RunFolder(folder).logs(node.name), python=python(run, folder, node))
    executor.update_parameters(**parameters(run, folder, node, tasks, dependency))
    return executor


def batch(run: Launched, folder: Path, node: Node, tasks: int, dependency: str = "", start: str = "") -> str:
    """Text of the batch script that `slurm` would submit for the first so many tasks; needs no Slurm."""
    logs = RunFolder(folder).logs(node.name)
    values = parameters(run, folder, node, range(tasks), dependency)
    command = f"{start or python(run, folder, node)} -u -m submitit.core._submit {shlex.quote(str(logs))}"
    array = {"map_count": tasks} if tasks > 1 else {}
    return str(_make_sbatch_string(command=command, folder=logs, **values, **array)) + "\n"


def frame(run: Launched, folder: Path, node: Node) -> tuple[str, str]:
    """Return a job's options, as its script begins with them, and the words from srun to its Python."""
    head, _, rest = batch(run, folder, node, 1).partition("\n\n# setup\n")
    command = next(line for line in rest.splitlines() if line.startswith("srun "))
    return head, command.partition(" -u -m submitit.core._submit ")[0]


def local(run: Launched, folder: Path, node: Node, gpus: Sequence[str] = ()) -> LocalExecutor:
    """Executor that runs one task of the node, all its ranks, as processes here that see `gpus`."""
    resource = run.site.resources.of(node.resource)
    executor = LocalExecutor(RunFolder(folder).logs(node.name), python=python(run, folder, node))
    numbers = [int(name) for name in gpus if name.isdigit()]
    lines = [*run.site.environment.setup, *resource.setup]
    if len(numbers) < len(gpus):  # named by UUID, as parts of a GPU are, which submitit takes no list of
        lines.append(f"export CUDA_VISIBLE_DEVICES={shlex.quote(','.join(gpus))}")
    executor.update_parameters(
        tasks_per_node=resource.tasks_per_node,
        gpus_per_node=len(gpus),
        visible_gpus=tuple(numbers),
        timeout_min=60 * 24 * 365,  # nobody else waits for this machine
        stderr_to_stdout=True,
        **({"setup": lines} if lines else {}),
    )
    return executor
