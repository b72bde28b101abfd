"""The pipeline's steps, and what the scheduler's side asks of them: run one, is it done, how far is it.

A step is a function that does the work of one `Task` and returns the files that it made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mammogan.config.run_config import load
from mammogan.run_records import Progress
from mammogan.steps import (
    assess_images,
    compare_sets,
    markers,
    mlflow_pyfunc,
    sample_pool,
    score_checkpoints,
    select_checkpoint,
    shard_steps,
    train_stage,
    write_report,
)
from mammogan.steps.job_graph import Node, graph
from mammogan.steps.task import Step, Task, find_task
from mammogan.steps.task_progress import progress
from mammogan.train.device_choice import computing_on

__all__ = ["STEPS", "Node", "Progress", "Step", "Task", "find_task", "graph", "is_done", "progress", "run"]

STEPS: dict[str, Step] = {
    "list": shard_steps.list_source_files,
    "catalogue": shard_steps.read_headers_of_part,
    "plan": shard_steps.plan_shards,
    "shards": shard_steps.build_part,
    "finalise": shard_steps.finish_shards,
    "train": train_stage.train,
    "score": score_checkpoints.score_checkpoints,
    "select": select_checkpoint.select_checkpoint,
    "sample": sample_pool.sample_pool,
    "assess": assess_images.assess_images,
    "compare": compare_sets.compare_sets,
    "report": write_report.write_report,
}

# Models that version 0.1.0 logged to MLflow name their loader so; it is light, and heavy imports wait inside.
sys.modules.setdefault("mammogan.steps.served", mlflow_pyfunc)

SHARD_STEPS = ("list", "catalogue", "plan", "shards", "finalise")


def run(run_dir: Path, node: str, task: int = 0, device: str = "") -> None:
    """Do one task of the graph's node `node` in this process, and mark it as done.

    It computes on the device that its resource class names, or on `device`.

    Raises
    ------
    ConfigError
        If the run has no such node or task.
    ClusterError
        If it shall compute on a GPU, and there is none.
    """
    launched = load(run_dir)
    found = find_task(run_dir, node, task, launched)
    with computing_on(launched.site, found.node.resource, device):
        files = STEPS[found.node.step](found, launched)
    if os.environ.get("RANK", "0") == "0":
        markers.mark(run_dir, node, task, files)


def is_done(run_dir: Path, node: Node, task: int) -> bool:
    """Whether this task has ended well and its files are what it left."""
    if node.step in SHARD_STEPS:
        return shard_steps.is_done(load(run_dir), node, task)
    return markers.holds(run_dir, node.name, task)
