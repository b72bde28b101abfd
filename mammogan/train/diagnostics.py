"""What is looked at besides the losses: how diverse reals and fakes are, and how far the critic overfits.

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.config.method import Method
from mammogan.data.shards.shard_reader import ImageReader
from mammogan.nets.networks import pair_of
from mammogan.schedule import Stage
from mammogan.train import alarms, augment
from mammogan.train.dataloader import faded, noise_numbers, random_numbers, to_float, to_uint16
from mammogan.train.gan_step import GanStep, augmented
from mammogan.train.label_encoding import numbers_of, one_hot, views_of


class Diagnostics:
    """Fixed sheets of reals and of latents, and what the two networks make of them.

    `train` and `validation` are the rungs of the two splits; the second serves adaptive augmentation alone.
    """

    def __init__(
        self,
        method: Method,
        stage: Stage,
        gan_step: GanStep,
        train: ImageReader,
        validation: ImageReader | None,
    ) -> None:
        self.method, self.stage, self.gan_step = method, stage, gan_step
        self.train, self.validation = train, validation
        self.labels_NF = numbers_of(train, method.supervision)
        self.places_M, drawn_MF = alarms.sheet(self.labels_NF, method.alarms.images)
        self.drawn_MF = torch.from_numpy(drawn_MF)
        noise = random_numbers(method.method.seed, "sheet")
        self.latents_MZ = torch.randn(len(drawn_MF), method.network.latent_size, generator=noise)
        self.noise_M = noise_numbers(method.method.seed, range(len(drawn_MF)), "sheet")
        self.upsample = pair_of(method).upsample
        supervision = method.supervision
        weight = supervision.weight if supervision.kind == "auxiliary" else 0.0
        self.constants = alarms.label_entropy(self.labels_NF, weight)

    def observe(self, fade: float) -> dict[str, float]:
        """Measure what the alarms want to know; `fade` is that of the images since the tick before."""
        device = self.gan_step.device
        reals, fakes = [], []
        for part_M in self._split(np.arange(len(self.places_M))):
            real_NCHW = to_float(self.train.read(self.places_M[part_M]), device)
            reals.append(to_uint16(faded(real_NCHW, fade, self.upsample)))
            z_NZ, y_NF, noise_N = self.latents_MZ[part_M], self.drawn_MF[part_M], self.noise_M[part_M]
            fakes.append(to_uint16(self._draw(z_NZ, y_NF, noise_N, fade)))
        return alarms.observe(np.concatenate(reals), np.concatenate(fakes)) | self.constants

    def overfit(self, probability: float, images: int) -> float:
        """Tell how far the critic has learned the train split by heart: 0 not at all, 1 altogether."""
        assert self.validation is not None
        fade = self.stage.fade(images)
        noise = random_numbers(self.method.method.seed, "overfit", self.stage.index, images)
        count = len(self.places_M)
        group = min(count, self.method.network.stddev_group)
        count -= count % group
        spread_M = np.linspace(0, len(self.validation) - 1, count).astype(np.int64)
        shown = self.places_M[:count], spread_M
        train, validation = (
            self._score(self._reals(reader, places_M, fade), labels_MF, fade, probability, noise)
            for reader, places_M, labels_MF in zip(
                (self.train, self.validation),
                shown,
                (self.labels_NF[shown[0]], numbers_of(self.validation, self.method.supervision)[shown[1]]),
                strict=True,
            )
        )
        drawn_MF = self.drawn_MF[:count]
        drawn = self._cut(self.latents_MZ[:count], drawn_MF, self.noise_M[:count])
        fakes = (self._draw(z_NZ, y_NF, noise_N, fade) for z_NZ, y_NF, noise_N in drawn)
        fake = self._score(fakes, drawn_MF.numpy(), fade, probability, noise)
        return augment.overfit(train, validation, fake)

    def _score(
        self,
        parts: Iterator[Tensor],
        labels_MF: np.ndarray,
        fade: float,
        probability: float,
        noise: torch.Generator,
    ) -> float:
        gan_step, total = self.gan_step, 0.0
        for images_NCHW, (labels_NF,) in zip(parts, self._cut(torch.from_numpy(labels_MF)), strict=True):
            views_N = views_of(labels_NF, self.method.supervision)
            changes_NP = augment.draw(self.method.augmentation, probability, len(labels_NF), noise, views_N)
            with torch.no_grad():
                condition = gan_step.critic_loss.condition(labels_NF.to(gan_step.device))
                scores_N, _ = gan_step.critic(augmented(images_NCHW, changes_NP), fade, condition)
            total += float(scores_N.sum())
        return total / len(labels_MF)

    def _reals(self, reader: ImageReader, places_M: np.ndarray, fade: float) -> Iterator[Tensor]:
        for part_M in self._split(places_M):
            margin = self.method.network.black_margin
            real_NCHW = to_float(reader.read(part_M), self.gan_step.device, margin)
            yield faded(real_NCHW, fade, self.upsample)

    def _draw(self, latents_NZ: Tensor, labels_NF: Tensor, noise_N: Tensor, fade: float) -> Tensor:
        labels_NL = one_hot(labels_NF, self.method.supervision.classes)
        latents_NZ, labels_NL, noise_N = (
            x.to(self.gan_step.device) for x in (latents_NZ, labels_NL, noise_N)
        )
        with torch.no_grad():
            images_NCHW: Tensor = self.gan_step.average(latents_NZ, labels_NL, fade, noise_N)
        return images_NCHW

    def _cut(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        return zip(*(torch.split(tensor, self.gan_step.micro) for tensor in tensors), strict=True)

    def _split(self, places_M: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut into parts as large as a micro-batch, which holds whole groups; the last may be smaller."""
        return np.array_split(places_M, range(self.gan_step.micro, len(places_M), self.gan_step.micro))
