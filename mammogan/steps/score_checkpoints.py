"""Sliced Wasserstein distance of checkpoints to held-out reals, beside that of reals to reals: the floor."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.run_folder import RunFolder
from mammogan.run_records import Score
from mammogan.schedule import Stage
from mammogan.scored_images import ScoredImages
from mammogan.steps import score_error, score_measures, swd_sets
from mammogan.steps.real_sets import Reals, shared
from mammogan.steps.score_measures import LooksOf
from mammogan.steps.task import Task


def score_checkpoints(task: Task, run: Run) -> list[Path]:
    """Compare each checkpoint's images with validation reals; what is scored already is left as it is.

    Images are drawn by the averaged generator, as many of each view as there are reals, and looked at as
    they come. Nothing of them is kept but patches, and these only until the checkpoint is scored.
    """
    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.steps.tracking_sync import sync_if_due
    from mammogan.train import accelerator, checkpoint

    stage, scoring = schedule.plan(run.method)[task.stage], run.method.scoring
    accelerator.prepare(device := accelerator.local_device())
    reals = shared(task.folder, run, stage, ShardSet(Path(run.shards)), str(device))
    mine = stage.checkpoints()[task.number * scoring.checkpoints_per_task :][: scoring.checkpoints_per_task]
    files = []
    for number, images in enumerate(mine):
        source = checkpoint.at(task.folder, stage.index, images)
        path = RunFolder(task.folder).score(stage.index, images)
        known = Score.read_if_sound(path)
        if known is None or (known.checkpoint, known.reals) != (source.digest, reals.key):
            Score(
                **dict(_scored(task, run, stage, images, reals)),
                schema_version=Score.CURRENT,
                stage=stage.index,
                height_px=stage.height_px,
                width_px=stage.width_px,
                images=images,
                kimg=stage.kimg(images),
                compared=sum(reals.counts.values()),
                checkpoint=source.digest,
                reals=reals.key,
            ).write(path)
        files.append(path)
        task.progress(number + 1, len(mine), "checkpoints")
    if task.number == 0:
        sync_if_due(task.folder, run)
    return files


def _scored(task: Task, run: Run, stage: Stage, images: int, reals: Reals) -> ScoredImages:
    """Draw a checkpoint's images and compare them."""
    from mammogan.train import accelerator, checkpoint
    from mammogan.train.build_networks import load_average

    device = accelerator.local_device()
    model = load_average(run.method, checkpoint.at(task.folder, stage.index, images), device)
    beside = RunFolder(task.folder).score(stage.index, images)
    for left_over in beside.parent.glob(f".{beside.stem}.*.tmp"):  # by a job that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    scratch = beside.with_name(f".{beside.stem}.{os.getpid()}.tmp")
    try:
        fakes, looks = swd_sets.empty(run, stage, reals.counts, scratch, str(device)), LooksOf()
        measured = score_measures.measured(run, reals.counts)
        for view, count in reals.counts.items():
            drawn = model.draw(run.method.method.seed, range(count), view)
            swd_sets.add(fakes, view, score_measures.looking(drawn, measured[view], looks, view))
        distances = swd_sets.compare(fakes, reals.sets)
        halves = score_error.differences(
            run,
            fakes,
            reals.sets,
            score_error.split(run, "synthetic", score_error.ungrouped(reals.counts)),
            score_error.split(run, "validation", reals.groups),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    levels = next(iter(fakes.values())).levels
    return swd_sets.score(distances, reals.floors, levels, halves, reals.floor_halves).model_copy(
        update={
            "grouped_by": "patient" if reals.known else "image",
            "measures": score_measures.measures(run, stage, looks, reals.looks),
        }
    )
