"""Real and synthetic images in one training set, for the loaders of ``torch.utils.data``.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.data.shards.shuffle_order import positions
from mammogan.data.synthetic.synthetic_pool import Pool, load_manifest
from mammogan.datasets.pool_dataset import accepted_places
from mammogan.datasets.shard_dataset import as_training
from mammogan.errors import ConfigError

REAL, SYNTHETIC = 0, 1


class Mixed(Dataset[dict[str, Any]]):
    """Every real training image once an epoch, and so many synthetic ones that they are a given share.

    Give it to a ``DataLoader``, shuffled; workers may be forked or spawned. Which synthetic images an epoch
    takes is a function of (seed, epoch): they follow each other in a shuffled order, so that none comes twice
    before all have come once. Reals of another split than ``train`` are for judging, and are never mixed.

    Parameters
    ----------
    shardset : Path
        A built shard set.
    pool : Path
        A whole pool with shards, as `mammogan sample` makes it, of the same shape as a rung of the set.
    share : float
        Share of synthetic images, from 0 to below 1.
    seed : int
        Decides which synthetic images come when.
    accepted : iterable of str, optional
        Names of the synthetic images to take, as `mammogan review accepted` lists them; without it all.

    Raises
    ------
    ConfigError
        If the share is out of range, the pool has no shards, or `accepted` names none or others than its own.
    DataError
        If the set is not built or has no rung of the pool's shape, or the pool is not whole.
    """

    def __init__(
        self,
        shardset: str | Path,
        pool: str | Path,
        share: float,
        seed: int = 0,
        accepted: Iterable[str] | None = None,
    ) -> None:
        if not 0 <= share < 1:
            raise ConfigError(f"The share '{share:g}' of synthetic images is not from 0 to below 1.")
        self._paths, self._seed = (Path(shardset), Path(pool)), seed
        self._readers = self._opened()
        self._places_N = accepted_places(self._readers[SYNTHETIC], self._paths[1], accepted)
        self.epoch = 0
        reals = len(self._readers[REAL])
        self._lengths = reals, round(reals * share / (1 - share))

    def set_epoch(self, epoch: int) -> None:
        """Take other synthetic images, those of `epoch`; to be called before a loader's workers start."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(self._lengths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image and what is known of it, the reals first.

        Returns
        -------
        dict
            ``image`` float32 (1, H, W) in [-1, 1]; ``view`` as its place in ``VIEWS``, -1 if unknown;
            ``synthetic`` 1 or 0.

        Raises
        ------
        IndexError
            If there is no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        kind = SYNTHETIC if index >= self._lengths[REAL] else REAL
        reader = self._readers[kind]
        place = self._synthetic(index - self._lengths[REAL]) if kind == SYNTHETIC else index
        image = as_training(reader.read(np.array([place]))[0])
        return {"image": image, "view": int(reader.views_N[place]), "synthetic": kind}

    def _synthetic(self, number: int) -> int:
        shown = self.epoch * self._lengths[SYNTHETIC] + number
        return int(self._places_N[positions(len(self._places_N), shown, 1, (self._seed,))[0]])

    def _opened(self) -> tuple[ImageReader, ImageReader]:
        shardset, pool = self._paths
        manifest = load_manifest(pool)
        files = [part.shard for part in manifest.parts if part.shard is not None]
        if not files:
            raise ConfigError(f"The pool '{pool}' has {_formats(manifest.pool)} only: sample it as shards.")
        return ShardSet(shardset).reader(*manifest.pool.size_px, "train"), ImageReader(pool, files)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind: a spawned worker opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_readers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._readers = self._opened()


def _formats(pool: Pool) -> str:
    return " and ".join(pool.formats)
