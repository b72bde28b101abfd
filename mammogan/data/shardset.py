"""Reading a shard set: random access to the images of any rung, without a pass over the data."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import VIEWS, Dataset
from mammogan.data import manifest
from mammogan.data.build import load_plan
from mammogan.data.manifest import Manifest, Plan, ShardFile
from mammogan.data.sample import decode
from mammogan.data.tar import Index, Member
from mammogan.errors import DataError

CACHE_BYTES = 512 << 20
"""A rung whose images fit in here stays in memory once they were read."""


class ShardSet:
    """A planned or built shard set.

    Raises
    ------
    DataError
        If the folder holds no plan.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: Plan = load_plan(path)

    @property
    def identity(self) -> str:
        """Hash of recipes and planned samples, known before anything is built; a part of a run's identity."""
        return self.plan.identity

    @property
    def recipes(self) -> tuple[Dataset, ...]:
        """The recipes of its sources."""
        return self.plan.recipes

    @property
    def is_built(self) -> bool:
        """Whether every shard of the plan is there, by the manifest."""
        path = self.path / manifest.MANIFEST
        return path.exists() and manifest.load_record(Manifest, path).identity == self.identity

    @cached_property
    def manifest(self) -> Manifest:
        """What was built.

        Raises
        ------
        DataError
            If the set is planned only.
        """
        if not self.is_built:
            raise DataError(
                f"The shard set '{self.path}' is planned, not built. Run: mammogan shards build {self.path}"
            )
        return manifest.load_record(Manifest, self.path / manifest.MANIFEST)

    def rung(self, height_px: int, width_px: int, split: str) -> Rung:
        """Open the images of one resolution and split.

        Raises
        ------
        DataError
            If the set has no such rung or split, or a shard is missing or cut short.
        """
        files = [
            f
            for f in self.manifest.files
            if (f.height_px, f.width_px, f.split) == (height_px, width_px, split)
        ]
        if not files:
            rungs = ", ".join(f"{h}x{w}" for h, w in self.manifest.rungs_px)
            splits = ", ".join(sorted({file.split for file in self.manifest.files}))
            raise DataError(
                f"The shard set '{self.path}' has no images of '{height_px}x{width_px}' in split '{split}'. "
                f"Rungs: {rungs}. Splits: {splits}."
            )
        return Rung(self.path, files)


class Rung:
    """The images of one resolution and split, by position 0 .. len - 1.

    `views_N` holds each image's view as its place in ``VIEWS``. Small rungs are kept in memory as they are
    read; of larger ones nothing is held but the index.
    """

    def __init__(self, shardset: Path, files: list[ShardFile], cache_bytes: int = CACHE_BYTES) -> None:
        self.height_px, self.width_px = files[0].height_px, files[0].width_px
        self._paths = [shardset / file.path for file in files]
        self._members: list[tuple[int, Member]] = []
        for number, file in enumerate(files):
            _check_size(self._paths[number], file.bytes)
            index = manifest.load_record(Index, _existing(shardset / file.index))
            self._members += [(number, member) for member in index.samples]
        views = [VIEWS.index(member.view) for _, member in self._members]
        self.views_N: NDArray[np.uint8] = np.array(views, dtype=np.uint8)
        shape = (len(self), self.height_px, self.width_px)
        small = 2 * np.prod(shape, dtype=np.int64) <= cache_bytes
        self._cache_NHW = np.empty(shape, dtype=np.uint16) if small else None
        self._cached_N = np.zeros(len(self), dtype=bool)

    def __len__(self) -> int:
        return len(self._members)

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Give the images at `positions`, shape (N, height, width), 0 black .. 65535 white.

        Raises
        ------
        DataError
            Naming the shard, if it is missing, cut short or damaged.
        """
        images_NHW = np.empty((len(positions), self.height_px, self.width_px), dtype=np.uint16)
        for place, position in enumerate(positions):
            if self._cache_NHW is None:
                images_NHW[place] = self._load(int(position))
                continue
            if not self._cached_N[position]:
                self._cache_NHW[position] = self._load(int(position))
                self._cached_N[position] = True
            images_NHW[place] = self._cache_NHW[position]
        return images_NHW

    def keys(self, positions: NDArray[np.int64]) -> list[str]:
        """Name the samples at `positions` as the tars do."""
        return [self._members[int(position)][1].key for position in positions]

    def _load(self, position: int) -> NDArray[np.uint16]:
        number, member = self._members[position]
        path = _existing(self._paths[number])
        with path.open("rb", buffering=0) as tar:
            tar.seek(member.offset)
            image = decode(tar.read(member.size))
        if image is None or image.shape != (self.height_px, self.width_px):
            raise DataError(
                f"The shard '{path}' is damaged at sample '{member.key}'. Find all such with: "
                f"mammogan shards verify {path.parents[1]}"
            )
        return image


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"The shard file '{path}' is missing. Copy it back, or build the set again.")
    return path


def _check_size(path: Path, expected: int) -> None:
    size = _existing(path).stat().st_size
    if size != expected:
        raise DataError(
            f"The shard '{path}' has {size} bytes instead of {expected}: it was cut short or replaced."
        )
