"""Drawing images: number i of a pool is a pure function of (checkpoint, seed, i, view).

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields, T frames, K frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mammogan.config.label_fields import CLASSES, UNKNOWN, VIEWS
from mammogan.config.method import Method
from mammogan.nets import Generator
from mammogan.train.accelerator import compute_in, drawing
from mammogan.train.dataloader import noise_numbers, random_numbers, to_uint16
from mammogan.train.label_encoding import LabelTable, one_hot

CHUNK = 16  # images drawn at once: always as many, since a batch's size can change the last bit
MEAN_PAIRS = 512
"""Pairs of a latent and its opposite over which the mean of the first features is taken."""


@dataclass(frozen=True)
class Model:
    """A generator and all that drawing needs: the method and the labels that it was taught.

    `fade` is the weight of the newest resolution, below 1 while a stage fades it in.
    """

    generator: Generator
    method: Method
    table: LabelTable
    fade: float = 1.0
    _means: dict[tuple[int, ...], Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def draw(
        self,
        seed: int,
        numbers: range,
        view: int | None,
        truncation: float = 1.0,
        others: Mapping[str, int] | None = None,
    ) -> Iterator[np.ndarray]:
        """Draw the images `numbers` of `view` in order, each uint16 (H, W); see `labels` and `images`."""
        begin = numbers.start - numbers.start % CHUNK  # so that an image's neighbours are always the same
        for first in range(begin, numbers.stop, CHUNK) if numbers else ():
            chunk = range(first, first + CHUNK)
            labels_NF = self.labels(seed, chunk, view, others)
            noise_N = self.noise(seed, chunk)
            images_NHW = to_uint16(self.images(self.latents(seed, chunk), labels_NF, truncation, noise_N))
            yield from images_NHW[max(0, numbers.start - first) : numbers.stop - first]

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of what it draws."""
        height, width = self.generator.base_px
        return height << self.generator.stage, width << self.generator.stage

    @property
    def taught(self) -> dict[str, tuple[str, ...]]:
        """List the classes of each label field that the model was taught; none without supervision."""
        names = self.method.supervision.fields if self.method.supervision.classes else ()
        seen = [set(numbers_K.tolist()) - {UNKNOWN} for numbers_K in self.table.combinations_KF.unbind(dim=1)]
        return {
            name: tuple(CLASSES[name][number] for number in sorted(numbers))
            for name, numbers in zip(names, seen, strict=False)
        }

    def latents(self, seed: int, numbers: range) -> Tensor:
        """Draw the latents of the images `numbers`: (N, Z) float32, each a function of (seed, number)."""
        size = self.method.network.latent_size
        return torch.stack([torch.randn(size, generator=random_numbers(seed, "latent", i)) for i in numbers])

    def noise(self, seed: int, numbers: range) -> Tensor:
        """Give the numbers of noise of the images `numbers`: (N,) int64, the same for every view."""
        return noise_numbers(seed, numbers)

    def walk(self, seed: int, count: int, frames: int, sigma_frames: float) -> Tensor:
        """Draw `count` closed paths of latents: (T, N, Z) float32, path i a function of (seed, i, T, sigma).

        Noise, smoothed in time by a Gaussian that wraps around, so that the last frame leads on to the first;
        then scaled so that at each time a latent is distributed as in training (tool of PGGAN's authors).
        """
        size = self.method.network.latent_size
        noise = [torch.randn(frames, size, generator=random_numbers(seed, "walk", i)) for i in range(count)]
        cycles_K = torch.fft.fftfreq(frames)
        gains_K = torch.exp(-2 * (math.pi * sigma_frames * cycles_K) ** 2)
        spectra_KNZ = torch.fft.fft(torch.stack(noise, dim=1), dim=0) * gains_K[:, None, None]
        paths_TNZ: Tensor = torch.fft.ifft(spectra_KNZ, dim=0).real / gains_K.square().mean().sqrt()
        return paths_TNZ

    def follow(
        self, seed: int, paths_TNZ: Tensor, labels_NF: Tensor, truncation: float = 1.0
    ) -> Iterator[np.ndarray]:
        """Draw the frames of a video, each uint16 (N, H, W); the noise of a path stays as it is."""
        noise_N = self.noise(seed, range(len(labels_NF)))
        for latents_NZ in paths_TNZ:
            parts = zip(*(torch.split(x, CHUNK) for x in (latents_NZ, labels_NF, noise_N)), strict=True)
            frames = (self.images(z_NZ, y_NF, truncation, noise) for z_NZ, y_NF, noise in parts)
            yield np.concatenate([to_uint16(frame) for frame in frames])

    def labels(
        self, seed: int, numbers: range, view: int | None, others: Mapping[str, int] | None = None
    ) -> Tensor:
        """Draw the labels of the images `numbers` of `view`: (N, F), the others as they occur with it.

        `others` are classes of more fields that are given too; None is a view as it occurs.
        """
        fields = self.method.supervision.fields
        given = dict(others or {}) if view is None else {**(others or {}), "view": view}
        wanted = {fields.index(name): number for name, number in given.items() if name in fields}
        shares_N = torch.cat([torch.rand(1, generator=random_numbers(seed, "labels", i)) for i in numbers])
        return self.table.pick(wanted, shares_N)

    def images(
        self,
        latents_NZ: Tensor,
        labels_NF: Tensor,
        truncation: float = 1.0,
        noise_N: Tensor | None = None,
    ) -> Tensor:
        """Draw images (N, 1, H, W), about [-1, 1]; without numbers of noise, the networks get none.

        A `truncation` below 1 draws more usual images of less variety, 0 only the mean one of each label. It
        pulls the generator's first features towards their mean: mean + truncation * (features - mean). A
        shorter latent would do next to nothing, for the generator brings every latent to the same length.
        """
        device = next(self.generator.parameters()).device
        labels_NL = one_hot(labels_NF, self.method.supervision.classes).to(device)
        noise_N = None if noise_N is None else noise_N.to(device)
        with (
            torch.no_grad(),
            drawing(device, tf32=self.method.sampling.tf32),
            compute_in(self.method.engine.precision, device),
        ):
            if truncation == 1:
                images_NCHW: Tensor = self.generator(latents_NZ.to(device), labels_NL, self.fade, noise_N)
                return images_NCHW.float()
            features_NCHW = self.generator.seed(latents_NZ.to(device), labels_NL)
            mean_NCHW = torch.stack([self._mean(label_L) for label_L in labels_NL])
            truncated_NCHW = torch.lerp(mean_NCHW, features_NCHW, truncation)
            return self.generator.grow(truncated_NCHW, self.fade, noise_N).float()

    def _mean(self, label_L: Tensor) -> Tensor:
        """Give the mean first features (C, h, w) of a label, the same for every seed.

        Latents come with their opposites, which cancels what no label explains.
        """
        key = tuple(label_L.int().tolist())
        if key not in self._means:
            size = self.method.network.latent_size
            half_NZ = torch.randn(MEAN_PAIRS, size, generator=random_numbers(0, "mean")).to(label_L.device)
            latents_NZ = torch.cat([half_NZ, -half_NZ])
            features_NCHW = self.generator.seed(latents_NZ, label_L.expand(len(latents_NZ), -1))
            self._means[key] = features_NCHW.mean(dim=0)
        return self._means[key]


def great_circle(one_Z: Tensor, other_Z: Tensor, steps: int) -> Tensor:
    """Turn one latent into another in equal steps: (T, Z); lengths change in proportion.

    After Shoemake (1985), "Animating rotation with quaternion curves".
    """
    parts_T1 = torch.linspace(0, 1, steps)[:, None]
    cosine = torch.nn.functional.cosine_similarity(one_Z, other_Z, dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if torch.sin(angle) < 1e-6:
        return torch.lerp(one_Z[None], other_Z[None], parts_T1)
    weights = (torch.sin(part * angle) / torch.sin(angle) for part in (1 - parts_T1, parts_T1))
    found_TZ = sum(weight * end for weight, end in zip(weights, (one_Z, other_Z), strict=True))
    assert isinstance(found_TZ, Tensor)
    found_TZ[0], found_TZ[-1] = one_Z, other_Z
    return found_TZ


def preview(model: Model, columns: int = 8) -> np.ndarray:
    """Draw the fixed sheet that every tick logs: a row a view, uint16 (H, W)."""
    seed = model.method.method.seed
    rows = [
        np.concatenate(list(model.draw(seed, range(columns), view)), axis=1) for view in range(len(VIEWS))
    ]
    return np.concatenate(rows)
