"""The training of one progressive stage, from its first image to its last, or until it is told to stop."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.errors import StopRequestedError
from mammogan.schedule import Stage
from mammogan.train import adam_state, build_networks, checkpoint, device, rollback
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.dataloader import Feed
from mammogan.train.diagnostics import Observer
from mammogan.train.distributed import Ranks, join
from mammogan.train.gan_step import Adversaries
from mammogan.train.rollback import RolledBackError
from mammogan.train.tick_recorder import Ticks

log = logging.getLogger(__name__)
STOP_FILE = "MAMMOGAN_STOP_FILE"
Progress = Callable[[int, int, str], None]


def train_stage(folder: Path, run: Run, index: int, on_progress: Progress) -> None:
    """Train stage `index` of the run in `folder` to its end, from its newest valid checkpoint if it has one.

    Every rank of the process group calls it. `on_progress` gets (images, images of the stage, a note).

    Raises
    ------
    DataError
        If the stage before is not there, or a shard is missing.
    RunFailedError
        If no gradient was finite any more, or an alarm ends the stage.
    StopRequestedError
        If the scheduler asked for a stop; the state was saved.
    """
    here = device.local_device()
    device.prepare(here)
    stage, ranks = schedule.plan(run.method)[index], join()
    while True:
        try:
            return _train(folder, run, stage, ranks, here, on_progress)
        except RolledBackError as why:
            log.warning("%s", why)


def _train(
    folder: Path, run: Run, stage: Stage, ranks: Ranks, here: torch.device, on_progress: Progress
) -> None:
    # Weights: of this stage's newest checkpoint, else grown from the stage before, else fresh.
    method, shards = run.method, ShardSet(Path(run.shards))
    start, rolled_back = _agreed(folder, stage, ranks)
    stage = rollback.slowed(stage, method, rolled_back)
    adversaries = Adversaries(
        method, stage, build_networks.networks(folder, run, stage.index, start), ranks, here
    )
    if start:
        adam_state.scatter(adversaries.critic_engine, start.tensors("critic_adam"))
        adam_state.scatter(adversaries.generator_engine, start.tensors("generator_adam"))
    train = shards.rung(stage.height_px, stage.width_px, "train")
    adaptive = method.augmentation.kind == "adaptive"
    validation = shards.rung(stage.height_px, stage.width_px, "validation") if adaptive else None
    feed = Feed(train, method, stage, ranks, here, rolled_back)
    observer = Observer(method, stage, adversaries, train, validation)
    ticks = Ticks(folder, method, stage, ranks, adversaries, feed, observer, start, rolled_back, on_progress)
    saves, images = set(stage.saves()), start.images if start else 0

    with closing(feed):
        ticks.obey_again()
        while images < stage.images:
            vote = ranks.vote(_stop_requested())
            adversaries.step(feed.batch(images), stage.fade(images), images // stage.batch)
            images += stage.batch
            if images == stage.fade_images:  # PGGAN forgets the moments when a fade begins, and when it ends
                adam_state.reset(adversaries.critic_engine)
                adam_state.reset(adversaries.generator_engine)
            stopping = vote.result()
            if images in saves:
                ticks.end(images)
            elif stopping:
                ticks.pause(images)
            if stopping and images < stage.images:
                raise StopRequestedError(
                    f"Stage {stage.index} was asked to stop; it is saved after {images} images."
                )
    ranks.wait()


def _agreed(folder: Path, stage: Stage, ranks: Ranks) -> tuple[Checkpoint | None, int]:
    """Let the leading rank's choice of checkpoint, and its count of the times gone back, be everybody's."""
    found, times = None, 0
    if ranks.leads:
        checkpoint.sweep(folder, stage.index)
        rollback.forget(folder, stage.index)
        found, times = checkpoint.newest_valid(folder, stage.index), len(rollback.noted(folder, stage.index))
    images = round(ranks.told(found.images if found else 0))
    return checkpoint.at(folder, stage.index, images) if images else None, round(ranks.told(times))


def _stop_requested() -> bool:
    path = os.environ.get(STOP_FILE)
    return bool(path) and Path(str(path)).exists()
