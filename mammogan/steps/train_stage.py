"""One progressive stage, in one process group."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from mammogan.config.run_config import Run
from mammogan.steps.task import Task


def train(task: Task, run: Run) -> list[Path]:
    """Train, and leave the checkpoints of the stage, of which its end stays."""
    from mammogan import schedule
    from mammogan.steps.tracking_sync import sync_if_due
    from mammogan.train import checkpoint
    from mammogan.train.training_loop import train_stage

    syncing = Thread()

    def on_progress(done: int, total: int, note: str) -> None:
        nonlocal syncing
        task.progress(done, total, note=note)
        if not syncing.is_alive():  # training waits for no server
            syncing = Thread(target=sync_if_due, args=(task.folder, run), daemon=True)
            syncing.start()

    stage = schedule.plan(run.method)[task.stage]
    train_stage(task.folder, run, task.stage, on_progress)
    # The others go once they are scored and others are better.
    return sorted(checkpoint.at(task.folder, task.stage, stage.images).folder.iterdir())
