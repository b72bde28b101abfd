"""The pool of synthetic images: 16-bit PNGs, and the same in a WebDataset shard a task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan import schedule
from mammogan.config.labels import VIEWS
from mammogan.config.method import Sampling
from mammogan.config.run import Run
from mammogan.files import write
from mammogan.steps.select import read_choice
from mammogan.steps.step import Step
from mammogan.steps.terms import TERMS, terms

if TYPE_CHECKING:
    import numpy as np


def pool_folder(run: Path) -> Path:
    """Where the pool is."""
    return run / "samples"


class SamplePool(Step):
    """Draw one task's share of the pool; image i is a pure function of (checkpoint, seed, i, view)."""

    def __call__(self, run: Run) -> list[Path]:
        """Draw, and write ``png/<view>-<i>.png`` and the shard ``pool-<task>``."""
        from mammogan.data.synthetic import write_images
        from mammogan.train import checkpoint, device
        from mammogan.train.growth import load_average

        device.prepare(here := device.local_device())
        choice, seed = read_choice(self.folder), run.method.method.seed
        stage = schedule.plan(run.method)[choice["stage"]]
        source = checkpoint.at(self.folder, stage.index, choice["images"])
        model = load_average(run.method, source, here)
        mine = shares(self.task, run.method.sampling)

        def images() -> Iterator[tuple[str, str, dict[str, object], np.ndarray]]:
            made, total = 0, sum(len(numbers) for _, numbers in mine)
            for view, numbers in mine:
                for i, image_HW in zip(numbers, model.draw(seed, numbers, view), strict=True):
                    facts = {"seed": seed, "number": i, "checkpoint": source.digest}
                    yield f"{VIEWS[view].lower()}-{i:07d}", VIEWS[view], facts, image_HW
                    made += 1
                    if made % 64 == 0 or made == total:
                        self.progress(made, total)

        size_px, folder = (stage.height_px, stage.width_px), pool_folder(self.folder)
        write(folder / TERMS, terms(run))
        files = write_images(folder, f"pool-{self.task:05d}", size_px, images())
        return [*files, folder / TERMS]


def shares(task: int, sampling: Sampling) -> list[tuple[int, range]]:
    """Give each view with the numbers of its images that `task` draws; the pool is view after view."""
    each, first = sampling.images_per_view, task * sampling.images_per_task
    last = first + sampling.images_per_task
    bounds = [(first - view * each, last - view * each) for view in range(len(VIEWS))]
    return [(view, range(each)[max(low, 0) : max(high, 0)]) for view, (low, high) in enumerate(bounds)]
