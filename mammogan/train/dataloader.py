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
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.config.method import Method
from mammogan.data.shards.shuffle_order import positions
from mammogan.nets.double_backward import downsample
from mammogan.nets.networks import pair_of
from mammogan.schedule import Stage
from mammogan.train import augment
from mammogan.train.accelerator import Arriving, Uploads, decoding_threads, move
from mammogan.train.distributed import ProcessGroup
from mammogan.train.label_encoding import numbers_of, views_of

if TYPE_CHECKING:  # so that a step runs without what decodes images
    from mammogan.data.shards.shard_reader import ImageReader


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
    """What was read: this rank's pixels as the shards hold them, and labels and noise, on their way.

    `labels_NF` and `others_NF` are those of the whole batch, on the host.
    """

    share: Arriving
    labels_NF: Tensor
    others_NF: Tensor


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
        self._threads = decoding_threads(method.engine.decode_threads, device)
        self._decoders = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="decode")
        self._uploads = Uploads(device, beside=method.engine.copy_stream)
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
        pixels_NHW, *parts = read.share.receive()
        real_NCHW = faded(_floats(pixels_NHW, self.black_margin), self.stage.fade(images), self.upsample)
        return Batch(*(real_NCHW, *parts, self._changes(images, read)[self._share]))

    def _changes(self, images: int, read: _Read) -> Tensor:
        if self.augmentation.kind == "none":
            return torch.empty(self.stage.batch, 3, 0)
        noise = random_numbers(self.seed, "augment", self.stage.index, images, *self.salt)
        labels_NF = read.labels_NF
        views = (views_of(each, self.supervision) for each in (labels_NF, labels_NF, read.others_NF))
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
        self._uploads.begin()
        mine = [self._decoded(shown[self._share])]
        for number, part in enumerate(part[self._share] for part in parts):
            mine.append(self._uploads.buffer(str(number), tuple(part.shape), part.dtype).copy_(part))
        return _Read(self._uploads.send(mine), parts[0], parts[4])

    def _decoded(self, shown: NDArray[np.int64]) -> Tensor:
        """Read the images at `shown` into a buffer, (N, H, W) uint16, by several threads."""
        shape = len(shown), self.stage.height_px, self.stage.width_px
        images_NHW = self._uploads.buffer("images", shape, torch.uint16)
        into_NHW = images_NHW.numpy()

        def decode(places_N: NDArray[np.int64]) -> None:
            into_NHW[places_N] = self.reader.read(shown[places_N])

        places = np.array_split(np.arange(len(shown)), min(self._threads, len(shown)))
        list(self._decoders.map(decode, places))  # with the error of any of them
        return images_NHW

    def close(self) -> None:
        """End the reading threads."""
        for threads in (self._reader, self._decoders):
            threads.shutdown(wait=True, cancel_futures=True)


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
    return _floats(move(torch.from_numpy(images_NHW), device), black_margin)


def _floats(pixels_NHW: Tensor, black_margin: float) -> Tensor:
    pixels = pixels_NHW.to(torch.float32)  # there: integers travel, half the bytes of floats
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
