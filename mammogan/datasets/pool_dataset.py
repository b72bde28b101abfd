"""Synthetic images of a pool, for the loaders of ``torch.utils.data`` and for WebDataset.

Shape suffixes: N images.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mammogan.data.shards.shard_reader import ImageReader
from mammogan.data.synthetic.synthetic_pool import load_manifest
from mammogan.datasets.shard_dataset import as_training
from mammogan.errors import ConfigError


class Synthetic(Dataset[dict[str, Any]]):
    """The images of a pool, as `mammogan sample` makes it, with shards.

    Parameters
    ----------
    pool : path
        A whole pool with shards.
    accepted : iterable of str, optional
        Names of the images to take, as `mammogan review accepted` lists them; without it all.

    Raises
    ------
    ConfigError
        If the pool has no shards, or `accepted` names none or others than its own.
    DataError
        If the pool is not whole.
    """

    def __init__(self, pool: str | Path, accepted: Iterable[str] | None = None) -> None:
        self._path = Path(pool)
        self._manifest = load_manifest(self._path)
        self._files = [part.shard for part in self._manifest.parts if part.shard is not None]
        if not self._files:
            formats = " and ".join(self._manifest.pool.formats)
            raise ConfigError(f"The pool '{pool}' has {formats} only: sample it as shards.")
        self._open()
        self._places_N = accepted_places(self._reader, self._path, accepted)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of its images."""
        return self._manifest.pool.size_px

    @property
    def urls(self) -> list[str]:
        """Paths of its tars: ``webdataset.WebDataset(urls, shardshuffle=...).decode(webdataset_decoder)``."""
        return [str(self._path / file.path) for file in self._files]

    def __len__(self) -> int:
        return len(self._places_N)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image and what is known of it.

        Returns
        -------
        dict
            ``image`` float32 (1, H, W) in [-1, 1]; ``view`` as its place in ``VIEWS``, -1 if unknown;
            ``synthetic`` 1.

        Raises
        ------
        IndexError
            If there is no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = int(self._places_N[index])
        image = as_training(self._reader.read(np.array([place]))[0])
        return {"image": image, "view": int(self._reader.views_N[place]), "synthetic": 1}

    def _open(self) -> None:
        self._reader = ImageReader(self._path, self._files)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind: a spawned worker opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_reader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def accepted_places(reader: ImageReader, pool: Path, accepted: Iterable[str] | None) -> NDArray[np.int64]:
    """Give the places of the images that may be taken: (N,), those whose names are `accepted`, or all.

    Raises
    ------
    ConfigError
        If `accepted` names none or others than the pool's own.
    """
    every_N = np.arange(len(reader))
    if accepted is None:
        return every_N
    wanted, names = frozenset(accepted), reader.keys(every_N)
    if not wanted or not wanted <= set(names):
        strange = f"'{min(wanted - set(names))}', which is not in" if wanted else "no image of"
        raise ConfigError(f"The list of accepted images names {strange} the pool '{pool}'.")
    return every_N[[name in wanted for name in names]]
