"""The pool of synthetic images: 16-bit PNGs, and the same in WebDataset shards."""

from __future__ import annotations

from pathlib import Path

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.run_folder import RunFolder
from mammogan.steps.licence_notice import terms
from mammogan.steps.select_checkpoint import read_choice
from mammogan.steps.step import Step

TOLD_EVERY = 64


class SamplePool(Step):
    """Draw one task's share of the pool; image i is a pure function of (checkpoint, seed, i, view)."""

    def __call__(self, run: Run) -> list[Path]:
        """Draw, and write ``png/<view>-<i>.png`` and shards, as `mammogan sample` does."""
        from mammogan.data.synthetic.synthetic_pool import Pool
        from mammogan.steps.fill_pool import fill
        from mammogan.train import accelerator, checkpoint
        from mammogan.train.build_networks import load_average

        accelerator.prepare(device := accelerator.local_device())
        choice = read_choice(self.folder)
        stage = schedule.plan(run.method)[choice.stage]
        source = checkpoint.at(self.folder, stage.index, choice.images)
        pool = Pool(
            checkpoint=source.digest,
            seed=run.method.method.seed,
            views=VIEWS,
            images_per_view=run.method.sampling.images_per_view,
            height_px=stage.height_px,
            width_px=stage.width_px,
            formats=("shards", "png"),
        )

        def told(done: int, total: int) -> None:
            if done % TOLD_EVERY == 0 or done == total:
                self.progress(done, total)

        model = load_average(run.method, source, device)
        filled = fill(
            RunFolder(self.folder).samples,
            pool,
            model,
            terms(run),
            task=self.task,
            tasks=self.node.tasks,
            on_progress=told,
        )
        return list(filled.files)
