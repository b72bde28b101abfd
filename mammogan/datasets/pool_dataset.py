"""Synthetic images of a pool, for the loaders of ``torch.utils.data`` and for WebDataset."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammogan.data.shards.shard_reader import ImageReader
from mammogan.data.synthetic.synthetic_pool import load_manifest
from mammogan.datasets.reader_dataset import SYNTHETIC, ReaderDataset
from mammogan.errors import ConfigError


class Synthetic(ReaderDataset):
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

    kind = SYNTHETIC

    def __init__(self, pool: str | Path, accepted: Iterable[str] | None = None) -> None:
        self._path = Path(pool)
        manifest = load_manifest(self._path)
        self.size_px = manifest.pool.size_px
        self._files = [part.shard for part in manifest.parts if part.shard is not None]
        if not self._files:
            formats = " and ".join(manifest.pool.formats)
            raise ConfigError(f"The pool '{pool}' has {formats} only: sample it as shards.")
        super().__init__()
        self.places_N = self._taken(None if accepted is None else frozenset(accepted))

    @property
    def urls(self) -> list[str]:
        """Paths of its tars: ``webdataset.WebDataset(urls, shardshuffle=...).decode(webdataset_decoder)``."""
        return [str(self._path / file.path) for file in self._files]

    def open(self) -> ImageReader:
        """Open the shards."""
        return ImageReader(self._path, self._files)

    def _taken(self, accepted: frozenset[str] | None) -> NDArray[np.int64]:
        """Give the places of the images that may be taken."""
        every_N = np.arange(len(self.reader))
        if accepted is None:
            return every_N
        names = self.reader.keys(every_N)
        if not accepted or not accepted <= set(names):
            strange = f"'{min(accepted - set(names))}', which is not in" if accepted else "no image of"
            raise ConfigError(f"The list of accepted images names {strange} the pool '{self._path}'.")
        return every_N[[name in accepted for name in names]]
