"""Real and synthetic images in one training set, for the loaders of ``torch.utils.data``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mammogan.data.shards.shuffle_order import positions
from mammogan.datasets.pool_dataset import Synthetic
from mammogan.datasets.reader_dataset import REAL, SYNTHETIC
from mammogan.datasets.shard_dataset import Shards
from mammogan.errors import ConfigError


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
        self._synthetics = Synthetic(pool, accepted)
        self._reals = Shards(shardset, self._synthetics.size_px, "train")
        self._seed, self.epoch = seed, 0
        self._lengths = len(self._reals), round(len(self._reals) * share / (1 - share))

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
        number = index - self._lengths[REAL]
        item = self._reals[index] if number < 0 else self._synthetics[self._place(number)]
        return {name: item[name] for name in ("image", "view", "synthetic")}

    def _place(self, number: int) -> int:
        shown = self.epoch * self._lengths[SYNTHETIC] + number
        return int(positions(len(self._synthetics), shown, 1, (self._seed,))[0])
