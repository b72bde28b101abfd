"""The pipeline's steps, and what the scheduler's side asks of them: run one, is it done, how far is it.

A step's module defines a frozen `Step` whose call does the work of one task and gives the files that it made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import cast

from mammogan.config.run_config import Run, load
from mammogan.errors import ConfigError
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
from mammogan.steps.step import Step
from mammogan.steps.task_progress import progress

__all__ = ["STEPS", "Node", "Progress", "Step", "graph", "is_done", "progress", "run"]

STEPS: dict[str, type[Step]] = {
    "list": shard_steps.ListFiles,
    "catalogue": shard_steps.ReadHeaders,
    "plan": shard_steps.PlanShards,
    "shards": shard_steps.BuildShards,
    "finalise": shard_steps.FinishShards,
    "train": train_stage.TrainStage,
    "score": score_checkpoints.ScoreCheckpoints,
    "select": select_checkpoint.SelectCheckpoint,
    "sample": sample_pool.SamplePool,
    "assess": assess_images.AssessImages,
    "compare": compare_sets.CompareSets,
    "report": write_report.WriteReport,
}

# Models that version 0.1.0 logged to MLflow name their loader so; it is light, and heavy imports wait inside.
sys.modules.setdefault("mammogan.steps.served", mlflow_pyfunc)

SHARD_STEPS = ("list", "catalogue", "plan", "shards", "finalise")


def run(run_dir: Path, node: str, task: int = 0) -> None:
    """Do one task of the graph's node `node` in this process, and mark it as done.

    Raises
    ------
    ConfigError
        If the run has no such node or task.
    """
    launched = load(run_dir)
    nodes = {item.name: item for item in graph(launched)}
    if node not in nodes:
        raise ConfigError(f"This run has no step '{node}'. Its steps: {', '.join(nodes)}.")
    if not 0 <= task < nodes[node].tasks:
        raise ConfigError(f"Step '{node}' has no task '{task}': it has {nodes[node].tasks}, counted from 0.")
    files = STEPS[nodes[node].step](run_dir, nodes[node], task)(cast(Run, launched))
    if os.environ.get("RANK", "0") == "0":
        markers.mark(run_dir, node, task, files)


def is_done(run_dir: Path, node: Node, task: int) -> bool:
    """Whether this task has ended well and its files are what it left."""
    if node.step in SHARD_STEPS:
        return shard_steps.is_done(load(run_dir), node, task)
    return markers.holds(run_dir, node.name, task)
