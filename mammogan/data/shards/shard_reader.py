"""Reading a shard set: random access to the images of any rung, without a pass over the data."""

from __future__ import annotations

import os
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import Dataset
from mammogan.config.label_fields import CLASSES, UNKNOWN
from mammogan.data.store import manifest
from mammogan.data.store.manifest import Manifest, Plan, ShardFile, load_plan
from mammogan.data.store.shard_writer import Index, decode_image
from mammogan.errors import DataError

HELD_OUT = ("test", "validation")
"""Splits that training never sees; a model is judged by the first that a set has."""
CACHE_BYTES = 512 << 20
"""A rung whose images fit in here stays in memory once they were read."""
OPEN_SHARDS = 64
"""Shards of a rung that are kept open at a time."""


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
        return manifest.find_manifest(self.path, self.plan) is not None

    @cached_property
    def manifest(self) -> Manifest:
        """What was built.

        Raises
        ------
        DataError
            If the set is planned only.
        """
        return manifest.load_manifest(self.path, self.plan)

    def held_out(self, height_px: int, width_px: int) -> str:
        """Name the split by which a model of this resolution is judged: test, or else validation.

        Raises
        ------
        DataError
            If the set holds training images only.
        """
        size = height_px, width_px
        there = {f.split for f in self.manifest.files if (f.height_px, f.width_px) == size and f.samples}
        for split in HELD_OUT:
            if split in there:
                return split
        raise DataError(
            f"The shard set '{self.path}' holds training images only, and nobody should judge a model by "
            "what it was trained on: plan the set with a 'splits.test' or 'splits.validation'."
        )

    def reader(self, height_px: int, width_px: int, split: str) -> ImageReader:
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
            resolutions = ", ".join(f"{h}x{w}" for h, w in self.manifest.rungs_px)
            splits = ", ".join(sorted({file.split for file in self.manifest.files}))
            raise DataError(
                f"The shard set '{self.path}' has no images of '{height_px}x{width_px}' in split '{split}'. "
                f"Rungs: {resolutions}. Splits: {splits}."
            )
        return ImageReader(self.path, files)


class ImageReader:
    """The images of one resolution and split, by position 0 .. len - 1.

    `views_N` holds each image's view as its place in ``VIEWS`` (a shard holds no other), and `labels` every
    label as text. Small rungs are kept in memory as they are read; of larger ones nothing is held but the
    index.
    """

    def __init__(self, shardset: Path, files: list[ShardFile], cache_bytes: int = CACHE_BYTES) -> None:
        self.height_px, self.width_px = files[0].height_px, files[0].width_px
        self._paths = [shardset / file.path for file in files]
        indices = []
        for path, file in zip(self._paths, files, strict=True):
            _check_size(path, file.bytes)
            indices.append(manifest.load_record(Index, _existing(shardset / file.index)))
        self._packed = indices[0].packed
        counts = [len(index.keys) for index in indices]
        self._shards_N = np.repeat(np.arange(len(files), dtype=np.int32), counts)
        self._offsets_N = np.concatenate([np.array(index.offsets, np.int64) for index in indices])
        self._sizes_N = np.concatenate([np.array(index.sizes, np.int64) for index in indices])
        self._keys_N = np.concatenate([np.array(index.keys, "S") for index in indices])
        self.labels: dict[str, NDArray[np.str_]] = {
            name: np.concatenate([np.array(index.labels[name], "U") for index in indices])
            for name in indices[0].labels
        }
        self.views_N = self.classes("view")
        shape = (len(self), self.height_px, self.width_px)
        small = 2 * np.prod(shape, dtype=np.int64) <= cache_bytes
        self._cache_NHW = np.empty(shape, dtype=np.uint16) if small else None
        self._cached_N = np.zeros(len(self), dtype=bool)
        # What is dropped is closed as soon as nobody reads it; any thread may read.
        self._open = lru_cache(maxsize=OPEN_SHARDS)(lambda path: _existing(path).open("rb", buffering=0))

    def __len__(self) -> int:
        return len(self._shards_N)

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Give the images at `positions`, shape (N, height, width), 0 black .. 65535 white.

        Raises
        ------
        DataError
            Naming the shard, if it is missing, cut short or damaged.
        """
        if self._cache_NHW is not None:
            for position in np.unique(positions[~self._cached_N[positions]]):
                self._cache_NHW[position] = self._load(int(position))
                self._cached_N[position] = True
            return self._cache_NHW[positions]
        images_NHW = np.empty((len(positions), self.height_px, self.width_px), dtype=np.uint16)
        for place, position in enumerate(positions):
            images_NHW[place] = self._load(int(position))
        return images_NHW

    def classes(self, field: str) -> NDArray[np.int64]:
        """Give each image's class of the label `field` as its place in ``CLASSES``, or ``UNKNOWN``; (N,)."""
        names = np.array(CLASSES[field])
        said_N = self.labels.get(field, np.full(len(self), ""))
        numbers_N = np.full(len(self), UNKNOWN, dtype=np.int64)
        for number, name in enumerate(names):
            numbers_N[said_N == name] = number
        return numbers_N

    def keys(self, positions: NDArray[np.int64]) -> list[str]:
        """Name the samples at `positions` as the shards do."""
        return [key.decode() for key in self._keys_N[positions]]

    def _load(self, position: int) -> NDArray[np.uint16]:
        path = self._paths[self._shards_N[position]]
        tar = self._open(path)
        content = os.pread(tar.fileno(), int(self._sizes_N[position]), int(self._offsets_N[position]))
        image = decode_image(content, (self.height_px, self.width_px), packed=self._packed)
        if image is None:
            raise DataError(
                f"The shard '{path}' is damaged at sample '{self._keys_N[position].decode()}'. Find all such "
                f"with: mammogan shards verify {path.parents[1]}"
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
