"""Real images of a shard set, for the loaders of ``torch.utils.data`` and for WebDataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mammogan.config.label_fields import CLASSES
from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.datasets.reader_dataset import REAL, ReaderDataset


class Shards(ReaderDataset):
    """The images of one resolution and split of a built shard set; items have further ``labels``, too.

    Each label is its class's place in ``CLASSES``, -1 if unknown.

    Parameters
    ----------
    shardset : path
        A built shard set.
    size_px : pair of int, optional
        Height and width of the resolution; without it the highest.
    split : str
        ``train``, ``validation`` or ``test``.

    Raises
    ------
    DataError
        If the set is not built, has no such resolution or split, or a shard is missing or cut short.
    """

    kind = REAL

    def __init__(
        self, shardset: str | Path, size_px: tuple[int, int] | None = None, split: str = "train"
    ) -> None:
        self._set = ShardSet(Path(shardset))
        self.size_px, self.split = size_px or self._set.manifest.rungs_px[-1], split
        super().__init__()
        self.places_N = np.arange(len(self.reader))
        self._labels = {name: self.reader.classes(name) for name in CLASSES if name != "view"}

    @property
    def urls(self) -> list[str]:
        """Paths of its tars: ``webdataset.WebDataset(urls, shardshuffle=...).decode(webdataset_decoder)``."""
        wanted = (*self.size_px, self.split)
        files = self._set.manifest.files
        return [str(self._set.path / f.path) for f in files if (f.height_px, f.width_px, f.split) == wanted]

    def open(self) -> ImageReader:
        """Open the shards."""
        return self._set.reader(*self.size_px, self.split)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image and what is known of it, with its further labels."""
        item = super().__getitem__(index)
        return {**item, "labels": {name: int(numbers_N[index]) for name, numbers_N in self._labels.items()}}
