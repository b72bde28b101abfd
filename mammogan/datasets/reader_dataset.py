"""What the data sets of real and of synthetic images share: reading by position, also in a worker.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mammogan.data.shards.shard_reader import ImageReader

REAL, SYNTHETIC = 0, 1
WHITE_HALF = np.float32(32767.5)


class ReaderDataset(Dataset[dict[str, Any]]):
    """Images at chosen places of a reader that a subclass opens; workers may be forked or spawned."""

    kind = REAL
    places_N: NDArray[np.int64]

    def __init__(self) -> None:
        self.reader = self.open()

    def open(self) -> ImageReader:
        """Open the files; a spawned worker does so again."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.places_N)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image and what is known of it.

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
        place = int(self.places_N[index])
        image_HW = self.reader.read(np.array([place]))[0]
        image = image_HW.astype(np.float32)[None] / WHITE_HALF - np.float32(1)
        return {"image": image, "view": int(self.reader.views_N[place]), "synthetic": self.kind}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind."""
        return {key: value for key, value in self.__dict__.items() if key != "reader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reader = self.open()
