"""A site and a graph node as submitit understands them: the parameters of a job, and its batch script."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit import LocalExecutor, SlurmExecutor
from submitit.slurm.slurm import _make_sbatch_string

from mammogan.cluster import batch_script
from mammogan.cluster.slurm_commands import job_name
from mammogan.config.run_config import Launched
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.steps import SHARD_STEPS
from mammogan.steps.job_graph import Node


def python(run: Launched, folder: Path, node: Node) -> str:
    """Command that starts Python in a job: the launching one, or the image's inside Apptainer.

    The run's folder has the same path inside and out, since submitit stores absolute paths. The user's own
    packages, PYTHONPATH and working directory stay out of the image; only the steps that build shards may
    write to them.
    """
    container = run.site.container
    if not container.image:
        return shlex.quote(sys.executable)
    if node.step in SHARD_STEPS:  # they make the set, and the private folder beside it
        shards = _quoted(str(Path(run.shards).parent))
    else:
        shards = f"{_quoted(run.shards)}:{_quoted(run.shards)}:ro"
    theirs = [*container.binds, *filter(None, [run.site.storage.scratch])]  # with variables for the shell
    binds = ",".join([_quoted(str(folder)), shards, *(bind.replace('"', r"\"") for bind in theirs)])
    words = ["apptainer", "-s", "exec", *(["--nv"] if container.nv else []), "--no-home"]
    words += ["--pwd", shlex.quote(str(folder))]
    words += ["--env", "PYTHONNOUSERSITE=1,PYTHONSAFEPATH=1,PYTHONPATH="]
    return " ".join([*words, "--bind", f'"{binds}"', shlex.quote(container.image), "python3"])


def _quoted(path: str) -> str:
    """Write `path` as a part of a bind inside double quotes, in which nothing of it means anything."""
    if set(path) & set(",:"):
        raise ClusterError(
            f"'{path}' can't be bound into the image of container.image: Apptainer ends a path at a comma or "
            "colon. Give a folder without them."
        )
    return f'"{shlex.quote(path)}"' if set(path) & set('"$`\\') else path


def parameters(
    run: Launched, folder: Path, node: Node, tasks: Sequence[int], dependency: str = ""
) -> dict[str, Any]:
    """Parameters of a batch script for these tasks of the node, in submitit's names for Slurm's options."""
    site, resource = run.site, run.site.resources.of(node.resource)
    optional = {
        "partition": resource.partition,
        "account": resource.account,
        "qos": resource.qos,
        "gpus_per_node": resource.gpus_per_node,
        "dependency": dependency,
    }
    return {
        "job_name": job_name(run.run_id, node.name),
        "time": resource.time_min,
        "nodes": resource.nodes,
        "ntasks_per_node": resource.tasks_per_node,
        "cpus_per_task": resource.cpus_per_task,
        "array_parallelism": resource.array_parallelism,
        "stderr_to_stdout": True,
        "wckey": None,
        "comment": str(folder),  # by which the run's jobs are found in the queue
        "additional_parameters": {
            "signal": f"B:USR2@{site.site.stop_notice_s}",  # to the batch shell alone: Apptainer dies of it
            "kill-on-invalid-dep": "yes",
            "requeue": True,
            **({"mem": f"{resource.mem_gb * 1024:.0f}M"} if resource.mem_gb else {}),
            **{name: value for name, value in resource.sbatch.items() if value is not False},
        },
        # Slurm 22.05 and later no longer hand --cpus-per-task on from sbatch to srun.
        "srun_args": ["--kill-on-bad-exit=1", f"--cpus-per-task={resource.cpus_per_task}", *resource.srun],
        "setup": batch_script.setup(site, folder, node, tasks),
        "teardown": batch_script.teardown(site, folder, node),
        **{name: value for name, value in optional.items() if value},
    }


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


def local(run: Launched, folder: Path, node: Node) -> LocalExecutor:
    """Executor that runs one task of the node, all its ranks, as processes of this machine."""
    resource = run.site.resources.of(node.resource)
    executor = LocalExecutor(RunFolder(folder).logs(node.name), python=python(run, folder, node))
    executor.update_parameters(
        tasks_per_node=resource.tasks_per_node,
        gpus_per_node=resource.gpus_per_node,
        timeout_min=60 * 24 * 365,  # nobody else waits for this machine
        stderr_to_stdout=True,
        **({"setup": list(run.site.environment.setup)} if run.site.environment.setup else {}),
    )
    return executor
