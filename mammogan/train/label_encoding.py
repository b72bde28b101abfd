"""Labels as the networks see them, and which of them occur together.

Shape suffixes: N images, F label fields, L classes of all fields side by side, K combinations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.config.label_fields import UNKNOWN
from mammogan.config.loss_settings import Supervision

if TYPE_CHECKING:
    from mammogan.data.shards.shard_reader import ImageReader


def numbers_of(reader: ImageReader, supervision: Supervision) -> NDArray[np.int64]:
    """Give the classes of all images of a rung, (N, F); `UNKNOWN` where an image does not say."""
    return np.stack([reader.classes(field) for field in supervision.fields], axis=1)


def views_of(labels_NF: Tensor, supervision: Supervision) -> Tensor:
    """Give the view (N,) that the networks are told of each image; `UNKNOWN` if they are told of none."""
    if supervision.kind == "none" or "view" not in supervision.fields:
        return torch.full((len(labels_NF),), UNKNOWN)
    return labels_NF[:, supervision.fields.index("view")]


def one_hot(labels_NF: Tensor, classes: Sequence[int]) -> Tensor:
    """Encode labels for the networks: (N, L) float32, zeros for what is unknown; L = 0 without classes."""
    if not classes:
        return labels_NF.new_empty(len(labels_NF), 0).float()
    return torch.cat(
        [_one_hot(labels_N, count) for labels_N, count in zip(labels_NF.unbind(dim=1), classes, strict=True)],
        dim=1,
    ).float()


def _one_hot(labels_N: Tensor, count: int) -> Tensor:
    """Encode one field, (N, L); torch's own asks for the least and the largest label first."""
    places_NL = labels_N.new_zeros(len(labels_N), count + 1)
    try:
        return places_NL.scatter_(1, labels_N[:, None] + 1, 1)[:, 1:]  # the place of -1 is dropped
    except RuntimeError as error:
        if "out of bounds" not in str(error):
            raise
        raise RuntimeError(f"class values must be smaller than num_classes, '{count}': {error}") from None


@dataclass(frozen=True)
class LabelTable:
    """The combinations of labels that occur among the images learned from, and how often.

    Whoever asks for a view gets the other labels as they occur with that view.
    """

    combinations_KF: Tensor
    counts_K: Tensor

    @classmethod
    def of(cls, labels_NF: NDArray[np.int64]) -> LabelTable:
        """Count the combinations."""
        combinations_KF, counts_K = np.unique(labels_NF, axis=0, return_counts=True)
        return cls(torch.from_numpy(combinations_KF), torch.from_numpy(counts_K))

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> LabelTable:
        """Take the table from what `tensors` gave."""
        return cls(tensors["combinations"], tensors["counts"])

    def tensors(self) -> dict[str, Tensor]:
        """Give the table to be saved."""
        return {"combinations": self.combinations_KF, "counts": self.counts_K}

    def pick(self, wanted: Mapping[int, int], shares_N: Tensor) -> Tensor:
        """Choose labels (N, F) by uniform random numbers (N,), with the columns `wanted` as they are given.

        If no image had the wanted classes together, what is not wanted is unknown.
        """
        fits_K = torch.ones(len(self.counts_K), dtype=torch.bool)
        for column, number in wanted.items():
            fits_K &= self.combinations_KF[:, column] == number
        if not fits_K.any():
            row_F = torch.full((self.combinations_KF.shape[1],), UNKNOWN)
            for column, number in wanted.items():
                row_F[column] = number
            return row_F.expand(len(shares_N), -1)
        ends_K = self.counts_K[fits_K].cumsum(0)
        places_N = torch.searchsorted(ends_K, shares_N.double() * ends_K[-1], right=True)
        return self.combinations_KF[fits_K][places_N.clamp(max=len(ends_K) - 1)]
