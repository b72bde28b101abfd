"""The training of one progressive stage, from its first image to its last, or until it is told to stop."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mammogan import schedule
from mammogan.config.run import Run
from mammogan.data.shardset import ShardSet
from mammogan.errors import RunFailedError, StopRequestedError
from mammogan.schedule import Stage
from mammogan.tracking import Journal
from mammogan.train import adam_state, checkpoint, device, engines, growth
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.distributed import Ranks, join
from mammogan.train.draw import preview
from mammogan.train.feed import Feed

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
        If the losses are no longer finite.
    StopRequestedError
        If the scheduler asked for a stop; the state was saved.
    """
    here = device.local_device()
    device.prepare(here)
    stage = schedule.plan(run.method)[index]
    _train(folder, run, stage, join(), here, on_progress)


def _train(
    folder: Path, run: Run, stage: Stage, ranks: Ranks, here: torch.device, on_progress: Progress
) -> None:
    method = run.method
    try:
        micro, accumulation = schedule.split_batch(
            stage.batch, stage.micro_batch, ranks.count, method.network.stddev_group
        )
    except ValueError as error:
        raise RunFailedError(
            f"Stage {stage.index}: {error}. Change resources.gpu_nodes at the site, or schedule.batch."
        ) from None

    # Weights: of this stage's newest checkpoint, else grown from the stage before, else fresh.
    start = _agreed(
        checkpoint.newest_valid(folder, stage.index) if ranks.leads else None, folder, stage, ranks
    )
    generator, average, critic = growth.networks(folder, run, stage.index, start)
    average.to(here).requires_grad_(False)
    critic_engine = engines.start_engine(
        engines.CriticLoss(critic, method).to(here), method, stage, micro, accumulation, ranks.count
    )
    generator_engine = engines.start_engine(
        engines.GeneratorLoss(generator, method).to(here), method, stage, micro, accumulation, ranks.count
    )
    if start:
        adam_state.scatter(critic_engine, start.tensors("critic_adam"))
        adam_state.scatter(generator_engine, start.tensors("generator_adam"))

    rung = ShardSet(Path(run.shards)).rung(stage.height_px, stage.width_px, "train")
    feed = Feed(rung, stage, method.method.seed, method.network.latent_size, ranks.rank, ranks.count, here)
    averaged: list[torch.Tensor] = list(average.parameters())
    learned: list[torch.Tensor] = list(generator.parameters())
    journal = Journal(folder, f"train-{stage.index}", writes=ranks.leads)
    saves, images = set(stage.saves()), start.images if start else 0
    sums, steps, since = _no_sums(here), 0, time.monotonic()

    while images < stage.images:
        batch, fade = feed.batch(images), stage.fade(images)

        # Critic: Wasserstein distance, gradient penalty, drift and supervision (gan: WGAN-GP, AC-GAN).
        for part in batch.split(micro):
            with torch.no_grad(), device.compute_in(method.engine.precision, here):
                labels = engines.one_hot(part.labels_N, method)
                fake = generator(part.critic_latents_NZ, labels, fade).float()
            loss, terms = critic_engine(
                part.real_NCHW, fake, part.labels_N, part.mix_N, fade, images // stage.batch
            )
            critic_engine.backward(loss)
            sums[: len(terms)] += terms / accumulation
            if critic_engine.is_gradient_accumulation_boundary():
                sums[-2] += engines.gradient_norm(critic_engine)
            critic_engine.step()

        # Generator, against a critic that takes no gradients.
        critic.requires_grad_(False)
        for part in batch.split(micro):
            loss, terms = generator_engine(part.generator_latents_NZ, part.generator_labels_N, fade, critic)
            generator_engine.backward(loss)
            sums[len(engines.CRITIC_TERMS) : -2] += terms / accumulation
            if generator_engine.is_gradient_accumulation_boundary():
                sums[-1] += engines.gradient_norm(generator_engine)
            generator_engine.step()
        critic.requires_grad_(True)

        # The averaged generator that is scored and sampled.
        torch._foreach_lerp_(averaged, learned, 1 - method.ema.decay)

        images, steps = images + stage.batch, steps + 1
        if images == stage.fade_images:
            adam_state.reset(critic_engine)
            adam_state.reset(generator_engine)

        # Ticks: log, save, and stop where the scheduler asked for it.
        stopping = ranks.any(_stop_requested())
        if images in saves or stopping:
            means = ranks.mean(sums) / steps
            seconds = time.monotonic() - since
            _check_finite(means, stage, images)
            parts = {
                "generator": generator.state_dict(),
                "average": average.state_dict(),
                "critic": critic.state_dict(),
                "generator_adam": adam_state.gather(generator_engine),
                "critic_adam": adam_state.gather(critic_engine),
            }
            if ranks.leads:
                checkpoint.save(folder, stage.index, images, parts)
                checkpoint.prune(folder, stage)
                rate = steps * stage.batch / seconds
                values = dict(zip(SUMS, means.tolist(), strict=True))
                values |= {"perf/images_per_s": rate, "fade": fade, "kimg": stage.kimg(images)}
                journal.metrics(values, step=stage.images_before + images)
                journal.picture(preview(average, method, stage), "samples", stage.images_before + images)
                on_progress(images, stage.images, f"{rate:.0f} images/s")
            sums, steps, since = _no_sums(here), 0, time.monotonic()
        if stopping and images < stage.images:
            raise StopRequestedError(
                f"Stage {stage.index} was asked to stop; it is saved after {images} images."
            )
    ranks.wait()


SUMS = (
    *(f"critic/{name}" for name in engines.CRITIC_TERMS),
    *(f"generator/{name}" for name in engines.GENERATOR_TERMS),
    "critic/gradient_norm",
    "generator/gradient_norm",
)


def _no_sums(here: torch.device) -> torch.Tensor:
    return torch.zeros(len(SUMS), device=here)


def _agreed(found: Checkpoint | None, folder: Path, stage: Stage, ranks: Ranks) -> Checkpoint | None:
    """Let the leading rank's choice of checkpoint be everybody's."""
    images = torch.tensor([float(found.images if found else 0)], device=device.local_device())
    images = ranks.mean(images) * ranks.count  # the others contribute 0
    return checkpoint.at(folder, stage.index, round(images.item())) if images.item() else None


def _stop_requested() -> bool:
    path = os.environ.get(STOP_FILE)
    return bool(path) and Path(str(path)).exists()


def _check_finite(means: torch.Tensor, stage: Stage, images: int) -> None:
    if not torch.isfinite(means).all():
        terms = zip(SUMS, means.tolist(), strict=True)
        broken = ", ".join(name for name, value in terms if not math.isfinite(value))
        raise RunFailedError(
            f"Training diverged in stage {stage.index} before image {images}: {broken} not finite. "
            "Lower optimiser.learning_rate, or start this stage again from the one before."
        )
