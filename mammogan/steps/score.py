"""Sliced Wasserstein distance of checkpoints to held-out reals, beside that of reals to reals: the floor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import schedule
from mammogan.config.labels import VIEWS
from mammogan.config.run import Run
from mammogan.files import write
from mammogan.schedule import Stage
from mammogan.steps.step import Step

if TYPE_CHECKING:
    import numpy as np

    from mammogan.data.shardset import Rung
    from mammogan.train.draw import Model


def score_path(run: Path, stage: int, images: int) -> Path:
    """Where the score of a checkpoint is."""
    return run / "scores" / str(stage) / f"{images:09d}.json"


class ScoreCheckpoints(Step):
    """Score one task's share of the stage's checkpoints."""

    def __call__(self, run: Run) -> list[Path]:
        """Compare each checkpoint's images with validation reals, and those with reals of other patients."""
        import numpy as np

        from mammogan.data.shardset import ShardSet
        from mammogan.steps.telling import tell_now_and_then
        from mammogan.train import checkpoint, device
        from mammogan.train.growth import load_average

        stage, scoring = schedule.plan(run.method)[self.stage], run.method.scoring
        device.prepare(here := device.local_device())
        shard_set = ShardSet(Path(run.shards))
        validation, others = (
            shard_set.rung(stage.height_px, stage.width_px, split) for split in ("validation", "train")
        )
        count = min(scoring.images, len(validation), len(others))
        reals = list(descriptor_sets(run, stage))
        rivals = list(descriptor_sets(run, stage))
        for real, rival in zip(reals, rivals, strict=True):
            for images_NHW in _read(validation, count):
                real.update(images_NHW)
            for images_NHW in _read(others, count):
                rival.update(images_NHW)
        floors = np.array([real.distance(rival) for real, rival in zip(reals, rivals, strict=True)])

        mine = stage.checkpoints()[self.task * scoring.checkpoints_per_task :][: scoring.checkpoints_per_task]
        files = []
        for number, images in enumerate(mine):
            source = checkpoint.at(self.folder, stage.index, images)
            model = load_average(run.method, source, here)
            fakes = list(descriptor_sets(run, stage))
            for image_HW in _as_reals(model, run, validation.views_N[:count]):
                for fake in fakes:
                    fake.update([image_HW])
            distances = np.array([fake.distance(real) for fake, real in zip(fakes, reals, strict=True)])
            path = score_path(self.folder, stage.index, images)
            score = _score(stage, images, count, reals[0].levels, distances, floors)
            write(path, json.dumps(score | {"checkpoint": source.digest}, indent=1))
            files.append(path)
            self.progress(number + 1, len(mine), "checkpoints")
        if self.task == 0:
            tell_now_and_then(self.folder, run)
        return files


def descriptor_sets(run: Run, stage: Stage) -> Iterator[Any]:
    """Make an empty descriptor set for every seed."""
    from mammogan.metrics import SlicedWasserstein

    scoring = run.method.scoring
    for seed in range(scoring.seeds):
        yield SlicedWasserstein(
            stage.height_px,
            stage.width_px,
            scoring.patches_per_image,
            scoring.directions,
            scoring.repeats,
            run.method.method.seed + seed,
        )


def _read(rung: Rung, count: int, at_once: int = 64) -> Iterator[np.ndarray]:
    import numpy as np

    for first in range(0, count, at_once):
        yield rung.read(np.arange(first, min(first + at_once, count)))


def _as_reals(model: Model, run: Run, views_N: np.ndarray) -> Iterator[np.ndarray]:
    """Draw one image for each real, of its view."""
    for view in range(len(VIEWS)):
        numbers = range(int((views_N == view).sum()))
        yield from model.draw(run.method.method.seed, numbers, view)


def _score(
    stage: Stage,
    images: int,
    count: int,
    levels: tuple[tuple[int, int], ...],
    distances: np.ndarray,
    floors: np.ndarray,
) -> dict[str, Any]:
    """Put a score together; `distances` and `floors` are (seeds, levels)."""
    averages = distances.mean(axis=1)
    return {
        "stage": stage.index,
        "height_px": stage.height_px,
        "width_px": stage.width_px,
        "images": images,
        "kimg": stage.kimg(images),
        "compared": count,
        "levels": [
            {"height_px": h, "width_px": w, "swd": float(d), "sd": float(s), "floor": float(f)}
            for (h, w), d, s, f in zip(
                levels, distances.mean(axis=0), distances.std(axis=0), floors.mean(axis=0), strict=True
            )
        ],
        "swd": float(averages.mean()),
        "sd": float(averages.std()),
        "floor": float(floors.mean()),
    }
