"""What a step is fed: real images, labels and noise as pure functions of (seed, stage, images shown).

Every rank draws the noise of the whole global batch and takes its own part, so that the result does not
depend on the number of ranks, and resuming needs no fast-forward.

Shape suffixes: N images, C channels, H x W pixels, Z latent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mammogan.data.order import positions
from mammogan.data.shardset import Rung
from mammogan.nets.layers import downscale, upscale
from mammogan.schedule import Stage


@dataclass(frozen=True)
class Batch:
    """One rank's share of a step: N images for the critic, N latents and labels for the generator."""

    real_NCHW: Tensor
    labels_N: Tensor
    critic_latents_NZ: Tensor
    mix_N: Tensor
    generator_latents_NZ: Tensor
    generator_labels_N: Tensor

    def split(self, size: int) -> Iterator[Batch]:
        """Cut the share into micro-batches of `size` images."""
        for parts in zip(
            *(torch.split(getattr(self, name), size) for name in self.__dataclass_fields__), strict=True
        ):
            yield Batch(*parts)


@dataclass(frozen=True)
class Feed:
    """The batches of one stage for one of `ranks` ranks."""

    rung: Rung
    stage: Stage
    seed: int
    latent_size: int
    rank: int
    ranks: int
    device: torch.device

    def batch(self, images: int) -> Batch:
        """Give this rank's share of the global batch that follows after `images` of the stage."""
        size = self.stage.batch
        share = slice(self.rank * size // self.ranks, (self.rank + 1) * size // self.ranks)
        shown = positions(len(self.rung), images, size, (self.seed, self.stage.index))
        noise = random_numbers(self.seed, "step", self.stage.index, images)
        critic_latents = torch.randn(size, self.latent_size, generator=noise)
        mix = torch.rand(size, generator=noise)
        generator_latents = torch.randn(size, self.latent_size, generator=noise)
        # The generator's labels follow the reals' own marginal.
        others = torch.randint(len(self.rung), (size,), generator=noise)
        parts = (
            faded(to_float(self.rung.read(shown[share]), self.device), self.stage.fade(images)),
            *(
                part[share].to(self.device)
                for part in (
                    self._labels(shown),
                    critic_latents,
                    mix,
                    generator_latents,
                    self._labels(others.numpy()),
                )
            ),
        )
        return Batch(*parts)

    def _labels(self, places: np.ndarray) -> Tensor:
        return torch.from_numpy(self.rung.views_N[places].astype(np.int64))


def random_numbers(seed: int, *purpose: str | int) -> torch.Generator:
    """Give a source of random numbers of its own for `purpose`, the same on every machine."""
    text = ":".join(map(str, (seed, *purpose)))
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())
    return torch.Generator().manual_seed(number)


def to_float(images_NHW: np.ndarray, device: torch.device) -> Tensor:
    """Map uint16 (N, H, W) to float32 (N, 1, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(images_NHW.astype(np.float32)).to(device)
    return pixels.div_(32767.5).sub_(1).unsqueeze(1)


def to_uint16(images_NCHW: Tensor) -> np.ndarray:
    """Map float (N, 1, H, W) in [-1, 1] to uint16 (N, H, W), clipped and rounded."""
    pixels = images_NCHW[:, 0].float().add(1).mul(32767.5).round().clamp(0, 65535)
    return pixels.cpu().numpy().astype(np.uint16)


def faded(images_NCHW: Tensor, fade: float) -> Tensor:
    """Blend reals as the networks blend: with their own halved and doubled copy while a stage fades in."""
    return images_NCHW if fade >= 1 else torch.lerp(upscale(downscale(images_NCHW)), images_NCHW, fade)
