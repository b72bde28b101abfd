"""The pool of synthetic images: 16-bit PNGs, and the same in a WebDataset shard a task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mammogan.config.dataset import VIEWS
from mammogan.config.run import Run
from mammogan.steps.select import read_choice
from mammogan.steps.step import Step


def pool_folder(run: Path) -> Path:
    """Where the pool is."""
    return run / "samples"


class SamplePool(Step):
    """Draw one task's share of the pool; image i of a view is a pure function of (checkpoint, seed, i, view)."""

    def __call__(self, run: Run) -> list[Path]:
        """Draw, and write ``<view>-<i>.png`` and ``pool-<task>.tar``."""
        from mammogan.data.pool import write_pool
        from mammogan.train import checkpoint, device
        from mammogan.train.draw import draw
        from mammogan.train.growth import load_average

        device.prepare(here := device.local_device())
        choice, sampling = read_choice(self.folder), run.method.sampling
        source = checkpoint.at(self.folder, choice["stage"], choice["images"])
        generator = load_average(run.method, source).to(here)
        first = self.task * sampling.images_per_task
        share = range(first, min(first + sampling.images_per_task, sampling.images_per_view * len(VIEWS)))

        def images() -> Iterator[tuple[str, dict[str, object], object]]:
            seed, made = run.method.method.seed, 0
            for view, name in enumerate(VIEWS):
                start = view * sampling.images_per_view
                low, high = max(share.start, start), min(share.stop, start + sampling.images_per_view)
                for i, image_HW in zip(
                    range(low - start, high - start),
                    draw(generator, run.method, seed, range(low - start, max(low, high) - start), view),
                    strict=False,
                ):
                    facts = {"view": name, "seed": seed, "number": i, "checkpoint": source.digest}
                    yield f"{name.lower()}-{i:07d}", facts, image_HW
                    made += 1
                    if made % 64 == 0 or made == len(share):
                        self.progress(made, len(share))

        return write_pool(pool_folder(self.folder), f"pool-{self.task:05d}", images())
