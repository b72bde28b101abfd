"""One progressive stage, in one process group."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from mammogan.config.run_config import Run
from mammogan.steps.step import Step


class TrainStage(Step):
    """Train the stage to its end; every rank of the job runs this."""

    def __call__(self, run: Run) -> list[Path]:
        """Train, and leave the checkpoints of the stage, of which its end stays."""
        from mammogan import schedule
        from mammogan.steps.tracking_sync import sync_if_due
        from mammogan.train import checkpoint
        from mammogan.train.training_loop import train_stage

        syncing = Thread()

        def on_progress(done: int, total: int, note: str) -> None:
            nonlocal syncing
            self.progress(done, total, note=note)
            if not syncing.is_alive():  # training waits for no server
                syncing = Thread(target=sync_if_due, args=(self.folder, run), daemon=True)
                syncing.start()

        stage = schedule.plan(run.method)[self.stage]
        train_stage(self.folder, run, self.stage, on_progress)
        # The others go once they are scored and others are better.
        return sorted(checkpoint.at(self.folder, self.stage, stage.images).folder.iterdir())
