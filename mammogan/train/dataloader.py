"""What a step is fed: real images, labels and noise as pure functions of (seed, stage, images shown).

Every rank draws the noise of the whole global batch and takes its own part, so that the result does not
depend on the number of ranks, and resuming needs no fast-forward.

Shape suffixes: N images, C channels, H x W pixels, Z latent.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.config.method import Method
from mammogan.data.shards.shard_reader import ImageReader
from mammogan.data.shards.shuffle_order import positions
from mammogan.nets.double_backward import downsample
from mammogan.nets.networks import pair_of
from mammogan.schedule import Stage
from mammogan.train import augment
from mammogan.train.accelerator import move
from mammogan.train.distributed import ProcessGroup
from mammogan.train.label_encoding import numbers_of, views_of


@dataclass(frozen=True)
class Batch:
    """One rank's share of a step: N images for the critic, N latents and labels for the generator.

    Noise is given by its numbers, int64; see `mammogan.nets.noise`.
    """

    real_NCHW: Tensor
    labels_NF: Tensor
    critic_latents_NZ: Tensor
    mix_N: Tensor
    generator_latents_NZ: Tensor
    generator_labels_NF: Tensor
    critic_noise_N: Tensor
    generator_noise_N: Tensor
    changes_NRP: Tensor
    """Augmentation of real, fake and the generator's fake; on the host, and of size 0 without any."""

    def split(self, size: int) -> Iterator[Batch]:
        """Cut the share into micro-batches of `size` images."""
        for parts in zip(
            *(torch.split(getattr(self, name), size) for name in self.__dataclass_fields__), strict=True
        ):
            yield Batch(*parts)


@dataclass(frozen=True)
class _Read:
    """What is ready on the host: this rank's pixels as the shards hold them, and the whole batch's rest."""

    images_NHW: NDArray[np.uint16]
    parts: tuple[Tensor, ...]


class BatchLoader:
    """The batches of one stage for this one of `ranks`; while one is worked on, the next is read.

    `salt` makes other noise and another order of the same settings, for a stage that was rolled back.
    """

    def __init__(
        self,
        reader: ImageReader,
        method: Method,
        stage: Stage,
        group: ProcessGroup,
        device: torch.device,
        salt: int = 0,
    ) -> None:
        self.reader, self.stage, self.device = reader, stage, device
        self.seed, self.latent_size = method.method.seed, method.network.latent_size
        self.salt = (salt,) if salt else ()
        self.augmentation = method.augmentation
        self.probability = method.augmentation.first_probability
        self.supervision = method.supervision
        self.upsample, self.black_margin = pair_of(method).upsample, method.network.black_margin
        self.labels_NF = numbers_of(reader, method.supervision)
        size = stage.batch
        self._share = slice(
            group.rank * size // group.world_size, (group.rank + 1) * size // group.world_size
        )
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._ahead: tuple[int, Future[_Read]] | None = None
        self.waited_s = 0.0

    def batch(self, images: int) -> Batch:
        """Give this rank's share of the global batch that follows after `images` of the stage."""
        began = time.monotonic()
        if self._ahead is None or self._ahead[0] != images:
            self._ahead = images, self._reader.submit(self._read, images)
        read = self._ahead[1].result()
        self.waited_s += time.monotonic() - began
        following = images + self.stage.batch
        self._ahead = None
        if following < self.stage.images:
            self._ahead = following, self._reader.submit(self._read, following)
        real_NCHW = to_float(read.images_NHW, self.device, self.black_margin)
        real_NCHW = faded(real_NCHW, self.stage.fade(images), self.upsample)
        parts = [move(part[self._share], self.device) for part in read.parts]
        return Batch(*(real_NCHW, *parts, self._changes(images, read)[self._share]))

    def _changes(self, images: int, read: _Read) -> Tensor:
        if self.augmentation.kind == "none":
            return torch.empty(self.stage.batch, 3, 0)
        noise = random_numbers(self.seed, "augment", self.stage.index, images, *self.salt)
        labels_NF, _, _, _, others_NF, *_ = read.parts
        views = (views_of(each, self.supervision) for each in (labels_NF, labels_NF, others_NF))
        rows = [
            augment.draw(self.augmentation, self.probability, self.stage.batch, noise, view_N)
            for view_N in views
        ]
        return torch.stack(rows, dim=1)

    def _read(self, images: int) -> _Read:
        """Read and draw what follows after `images`; the whole batch's noise, whoever takes what of it."""
        size = self.stage.batch
        shown = positions(len(self.reader), images, size, (self.seed, self.stage.index, *self.salt))
        noise = random_numbers(self.seed, "step", self.stage.index, images, *self.salt)
        critic_latents_NZ = torch.randn(size, self.latent_size, generator=noise)
        mix_N = torch.rand(size, generator=noise)
        generator_latents_NZ = torch.randn(size, self.latent_size, generator=noise)
        # The generator's labels follow the reals' own marginal.
        others = torch.randint(len(self.reader), (size,), generator=noise).numpy()
        parts = (
            torch.from_numpy(self.labels_NF[shown]),
            critic_latents_NZ,
            mix_N,
            generator_latents_NZ,
            torch.from_numpy(self.labels_NF[others]),
            *(
                noise_numbers(self.seed, range(images, images + size), net, self.stage.index, *self.salt)
                for net in ("critic", "generator")
            ),
        )
        return _Read(self.reader.read(shown[self._share]), parts)

    def close(self) -> None:
        """End the reading thread."""
        self._reader.shutdown(wait=True, cancel_futures=True)


def random_numbers(seed: int, *purpose: str | int) -> torch.Generator:
    """Give a source of random numbers of its own for `purpose`, the same on every machine."""
    return torch.Generator().manual_seed(_number(seed, *purpose))


def noise_numbers(seed: int, images: range, *purpose: str | int) -> Tensor:
    """Give each image's number of noise for `purpose`, (N,) int64, a function of (seed, purpose, image)."""
    return torch.tensor([_number(seed, "noise", *purpose, image) for image in images], dtype=torch.int64)


def _number(seed: int, *purpose: str | int) -> int:
    """Hash to a number of 56 bits."""
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


def to_float(images_NHW: np.ndarray, device: torch.device, black_margin: float = 0.0) -> Tensor:
    """Map uint16 (N, H, W) to float32 (N, 1, H, W) in [-1, 1]; what is exactly 0 to -1 - `black_margin`."""
    # Integers travel: half the bytes of floats.
    pixels = move(torch.from_numpy(images_NHW), device).to(torch.float32)
    black = (pixels == 0) if black_margin else None
    pixels.div_(32767.5).sub_(1)
    return (pixels if black is None else pixels.masked_fill_(black, -1 - black_margin)).unsqueeze(1)


def to_uint16(images_NCHW: Tensor) -> np.ndarray:
    """Map float (N, 1, H, W) in [-1, 1] to uint16 (N, H, W), clipped and rounded."""
    pixels = images_NCHW[:, 0].float().add(1).mul(32767.5).round().clamp(0, 65535)
    return pixels.cpu().numpy().astype(np.uint16)


def faded(images_NCHW: Tensor, fade: float, upsample: Callable[[Tensor], Tensor]) -> Tensor:
    """Blend reals as the networks blend: with their own halved and doubled copy while a stage fades in.

    `upsample` is that of the pair of networks.
    """
    return images_NCHW if fade >= 1 else torch.lerp(upsample(downsample(images_NCHW)), images_NCHW, fade)
