"""Real images of a shard set, for the loaders of ``torch.utils.data`` and for WebDataset.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mammogan.config.label_fields import CLASSES
from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.data.store.manifest import ShardFile

WHITE_HALF = np.float32(32767.5)


class Shards(Dataset[dict[str, Any]]):
    """The images of one resolution and split of a built shard set.

    Give it to a ``DataLoader``; workers may be forked or spawned.

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

    def __init__(
        self, shardset: str | Path, size_px: tuple[int, int] | None = None, split: str = "train"
    ) -> None:
        self._set = ShardSet(Path(shardset))
        self.size_px, self.split = size_px or self._set.manifest.rungs_px[-1], split
        self._open()

    @property
    def urls(self) -> list[str]:
        """Paths of its tars: ``webdataset.WebDataset(urls, shardshuffle=...).decode(webdataset_decoder)``."""
        return [str(self._set.path / file.path) for file in self._files()]

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image and what is known of it.

        Returns
        -------
        dict
            ``image`` float32 (1, H, W) in [-1, 1]; ``view`` as its place in ``VIEWS``, -1 if unknown;
            ``synthetic`` 0; ``labels``, the class of each further label likewise.

        Raises
        ------
        IndexError
            If there is no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        labels = {name: int(numbers_N[index]) for name, numbers_N in self._labels.items()}
        image = as_training(self._reader.read(np.array([index]))[0])
        return {"image": image, "view": int(self._reader.views_N[index]), "synthetic": 0, "labels": labels}

    def _files(self) -> list[ShardFile]:
        wanted = (*self.size_px, self.split)
        files = self._set.manifest.files
        return [file for file in files if (file.height_px, file.width_px, file.split) == wanted]

    def _open(self) -> None:
        self._reader: ImageReader = self._set.reader(*self.size_px, self.split)
        self._labels = {name: self._reader.classes(name) for name in CLASSES if name != "view"}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind: a spawned worker opens its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_reader", "_labels")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def as_training(image_HW: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Bring an image to float32 (1, H, W) in [-1, 1], as networks are trained on."""
    return np.asarray(image_HW.astype(np.float32)[None] / WHITE_HALF - np.float32(1))
