"""The training of one progressive stage, from its first image to its last, or until it is told to stop."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path

import torch

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.errors import StopRequestedError
from mammogan.schedule import Stage
from mammogan.train import accelerator, adam_state, build_networks, checkpoint, rollback
from mammogan.train.alarm_policy import AlarmPolicy
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.checkpoint_retention import Retention
from mammogan.train.checkpoint_saver import CheckpointSaver
from mammogan.train.dataloader import BatchLoader
from mammogan.train.diagnostics import Diagnostics
from mammogan.train.distributed import ProcessGroup, join
from mammogan.train.gan_step import GanStep
from mammogan.train.label_encoding import LabelTable
from mammogan.train.recorder import OnProgress, Recorder
from mammogan.train.rollback import RolledBackError
from mammogan.train.ticks import Ticks

log = logging.getLogger(__name__)
STOP_FILE = "MAMMOGAN_STOP_FILE"


def train_stage(folder: Path, run: Run, index: int, on_progress: OnProgress) -> None:
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
    device = accelerator.local_device()
    accelerator.prepare(device, run.method.engine)
    stage, group = schedule.plan(run.method)[index], join()
    while True:
        try:
            return _train(folder, run, stage, group, device, on_progress)
        except RolledBackError as why:
            log.warning("%s", why)


def _train(
    folder: Path, run: Run, stage: Stage, group: ProcessGroup, device: torch.device, on_progress: OnProgress
) -> None:
    # Weights: of this stage's newest checkpoint, else grown from the stage before, else fresh.
    method, shards = run.method, ShardSet(Path(run.shards))
    start, rolled_back = _agree_on_start(folder, stage, group)
    stage = rollback.slowed(stage, method, rolled_back)
    networks = build_networks.networks(folder, run, stage.index, start)
    gan_step = GanStep(method, stage, networks, group, device)
    if method.engine.precision == "auto":
        log.info("engine.precision 'auto' is %s on this device", gan_step.precision)
    if moments := start or _kept_moments(folder, method, stage):
        adam_state.scatter(gan_step.critic_engine, moments.tensors("critic_adam"))
        adam_state.scatter(gan_step.generator_engine, moments.tensors("generator_adam"))
    train = shards.reader(stage.height_px, stage.width_px, "train")
    adaptive = method.augmentation.kind == "adaptive"
    validation = shards.reader(stage.height_px, stage.width_px, "validation") if adaptive else None
    batches = BatchLoader(train, method, stage, group, device, rolled_back)
    table = LabelTable.of(batches.labels_NF)
    ticks = Ticks(
        Recorder(folder, method, stage, group, gan_step, batches, on_progress),
        CheckpointSaver(folder, stage, group, gan_step, batches, table, rolled_back),
        AlarmPolicy(folder, method.alarms, stage, group, rolled_back),
        Diagnostics(method, stage, gan_step, train, validation),
        method.augmentation,
    )
    saves, images = set(stage.saves()), start.images if start else 0

    with closing(batches):
        ticks.resume(start)
        while images < stage.images:
            vote = group.vote(_stop_requested())
            gan_step.step(batches.batch(images), stage.fade(images), images // stage.batch)
            images += stage.batch
            if images == stage.fade_images and not method.optimiser.keep_moments:
                # PGGAN forgets the moments when a fade begins, and when it ends.
                adam_state.reset(gan_step.critic_engine)
                adam_state.reset(gan_step.generator_engine)
            stopping = vote.result()
            if images in saves:
                ticks.end(images)
            elif stopping:
                ticks.pause(images)
            if stopping and images < stage.images:
                raise StopRequestedError(
                    f"Stage {stage.index} was asked to stop; it is saved after {images} images."
                )
    group.barrier()


def _agree_on_start(folder: Path, stage: Stage, group: ProcessGroup) -> tuple[Checkpoint | None, int]:
    """Let the leading rank's choice of checkpoint, and its count of the times gone back, be everybody's."""
    found, times = None, 0
    if group.is_main:
        Retention(folder, stage.index).sweep()
        rollback.forget(folder, stage.index)
        found, times = checkpoint.newest_valid(folder, stage.index), len(rollback.noted(folder, stage.index))
    images = round(group.broadcast(found.images if found else 0))
    return checkpoint.at(folder, stage.index, images) if images else None, round(group.broadcast(times))


def _kept_moments(folder: Path, method: Method, stage: Stage) -> Checkpoint | None:
    """Give the checkpoint whose moments a stage begins with; None for fresh ones."""
    if not method.optimiser.keep_moments or not stage.index:
        return None
    before = schedule.plan(method)[stage.index - 1]
    return checkpoint.at(folder, before.index, before.images)


def _stop_requested() -> bool:
    path = os.environ.get(STOP_FILE)
    return bool(path) and Path(str(path)).exists()
