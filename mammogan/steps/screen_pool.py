"""Screening a pool by the reals' own support: what lies outside is reported, and nothing is taken away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.errors import ConfigError
from mammogan.files import write
from mammogan.steps.select_checkpoint import read_choice

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mammogan.data.shards.shard_reader import ImageReader
    from mammogan.train.critic_score import Judge

FILE_NAME = "screening.json"
TRAINING_IMAGES = 2000
"""The most reals of a view that the support is taken from, and of those that it is tried on."""


@dataclass(frozen=True)
class Screened:
    """What was found in one view: images looked at and flagged, flagged by each measure, and held-out reals.

    `null` is the share of validation reals, which the support was not taken from, that are flagged by the
    same rule: what a perfect generator would have.
    """

    view: str
    images: int
    flagged: int
    by_measure: dict[str, int]
    null: float


def screen_pool(
    folder: Path, pool: Path, tail: float, on_progress: Callable[[], None] = lambda: None
) -> list[Screened]:
    """Compare each image of a pool with the reals that the run of `folder` was trained on, view by view.

    An image is flagged if any measure (moments, power by octaves, the critic's score) lies outside the
    range of training reals less the share `tail` at each end. All of it is written to ``screening.json`` in
    the pool, with the ranges, every flagged image, and the share of validation reals that are flagged.

    Raises
    ------
    ConfigError
        If the pool has no shards, or was drawn from another checkpoint than the run's chosen one.
    DataError
        If pool, checkpoint or shard set are missing or damaged.
    """
    import numpy as np

    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.data.synthetic.synthetic_pool import load_manifest
    from mammogan.metrics.real_envelope import Support, names
    from mammogan.train import accelerator, checkpoint
    from mammogan.train.critic_score import Judge

    run, choice, manifest = Run.load(folder), read_choice(folder), load_manifest(pool)
    stage = schedule.plan(run.method)[choice.stage]
    source = checkpoint.at(folder, stage.index, choice.images)
    if manifest.pool.checkpoint != source.digest:
        raise ConfigError(
            f"The pool '{pool}' was drawn from checkpoint '{manifest.pool.checkpoint}', and the run "
            f"'{folder}' chose '{source.digest}': give the run that the pool is of."
        )
    drawn = manifest.reader(pool)
    accelerator.prepare(device := accelerator.local_device())
    shardset = ShardSet(Path(run.shards))
    training, validation = (
        shardset.reader(stage.height_px, stage.width_px, split) for split in ("train", "validation")
    )
    measures = (*names((stage.height_px, stage.width_px)), "critic")
    report: dict[str, Any] = {"run": run.run_id, "checkpoint": source.digest, "tail": tail, "views": {}}
    found = []
    for view in manifest.pool.views:
        number = VIEWS.index(view) if view in VIEWS else None
        places = _places(training, number)[:TRAINING_IMAGES]
        group = run.method.network.stddev_group
        judge = Judge(run.method, source, training.read(places[: group - 1]), number or 0, device)
        reals_NM = _measured(training, places, judge)
        support = Support.of(reals_NM, tail)
        held_out = _places(validation, number)[:TRAINING_IMAGES]
        null_N = support.flagged(_measured(validation, held_out, judge))
        mine = _places(drawn, number)
        values_NM = _measured(drawn, mine, judge, on_progress)
        outside_NM = support.outside(values_NM)
        flagged = np.flatnonzero(outside_NM.any(axis=1))
        keys = drawn.keys(mine)
        result = Screened(
            view=view,
            images=len(mine),
            flagged=len(flagged),
            by_measure=dict(zip(measures, map(int, outside_NM.sum(axis=0)), strict=True)),
            null=float(null_N.mean()) if len(null_N) else float("nan"),
        )
        report["views"][view] = {
            "training_reals": len(places),
            "validation_reals": len(held_out),
            "validation_reals_flagged": int(null_N.sum()),
            "images": len(mine),
            "ranges": {
                name: [float(low), float(high)]
                for name, low, high in zip(measures, support.low_M, support.high_M, strict=True)
            },
            "flagged_by": result.by_measure,
            "flagged": {keys[i]: _told(measures, values_NM[i], outside_NM[i]) for i in flagged},
        }
        found.append(result)
    write(pool / FILE_NAME, json.dumps(report, indent=1))
    return found


def _places(reader: ImageReader, view: int | None) -> np.ndarray:
    import numpy as np

    return np.arange(len(reader)) if view is None else (reader.views_N == view).nonzero()[0]


def _measured(
    reader: ImageReader, places: np.ndarray, judge: Judge, on_progress: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Measure the images at `places`, one at a time: (N, M), the critic's score last."""
    import numpy as np

    from mammogan.metrics.real_envelope import measure

    rows, scores = [], []

    def images() -> Any:
        for place in places:
            image_HW = reader.read(np.array([place]))[0]
            rows.append(measure(image_HW))
            on_progress()
            yield image_HW

    scores = list(judge.scores(images()))
    return np.column_stack([np.array(rows), scores])


def _told(measures: tuple[str, ...], values_M: np.ndarray, outside_M: np.ndarray) -> dict[str, float | None]:
    """Give the measures that are out of range; None is a moment that a flat image doesn't have."""
    import math

    return {
        name: None if math.isnan(value) else float(value)
        for name, value, out in zip(measures, values_M, outside_M, strict=True)
        if out
    }
