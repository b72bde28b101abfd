"""One progressive stage, in one process group."""

from __future__ import annotations

import os
from pathlib import Path

from mammogan.config.run import Run
from mammogan.steps.step import Step


class TrainStage(Step):
    """Train the stage to its end; every rank of the job runs this."""

    def __call__(self, run: Run) -> list[Path]:
        """Train, and leave the checkpoints of the stage."""
        from mammogan import schedule
        from mammogan.steps.telling import tell_tracking
        from mammogan.train import checkpoint
        from mammogan.train.loop import train_stage

        def on_progress(done: int, total: int, note: str) -> None:
            self.progress(done, total, note=note)

        stage = schedule.plan(run.method)[self.stage]
        train_stage(self.folder, run, self.stage, on_progress)
        if os.environ.get("RANK", "0") == "0":
            tell_tracking(self.folder, run, finished=self.node.name)
        kept = [checkpoint.at(self.folder, self.stage, images) for images in stage.checkpoints()]
        return [path for item in kept for path in sorted(item.folder.iterdir())]
