"""Drawing images: number i of a pool is a pure function of (checkpoint, seed, i, view).

Shape suffixes: N images, H x W pixels, Z latent, F label fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mammogan.config.labels import VIEWS
from mammogan.config.method import Method
from mammogan.nets import Generator
from mammogan.train.device import compute_in
from mammogan.train.feed import random_numbers, to_uint16
from mammogan.train.labels import LabelTable, one_hot

CHUNK = 16  # images drawn at once: always as many, since a batch's size can change the last bit


@dataclass(frozen=True)
class Model:
    """A generator and all that drawing needs: the method and the labels that it was taught."""

    generator: Generator
    method: Method
    table: LabelTable

    def draw(self, seed: int, numbers: range, view: int) -> Iterator[np.ndarray]:
        """Draw the images `numbers` of `view` in order, each uint16 (H, W)."""
        for first in range(numbers.start, numbers.stop, CHUNK):
            chunk = range(first, first + CHUNK)
            images_NHW = to_uint16(self.images(self.latents(seed, chunk), self.labels(seed, chunk, view)))
            yield from images_NHW[: numbers.stop - first]

    def latents(self, seed: int, numbers: range) -> Tensor:
        """Draw the latents of the images `numbers`: (N, Z) float32, each a function of (seed, number)."""
        size = self.method.network.latent_size
        return torch.stack([torch.randn(size, generator=random_numbers(seed, "latent", i)) for i in numbers])

    def labels(self, seed: int, numbers: range, view: int) -> Tensor:
        """Draw the labels of the images `numbers` of `view`: (N, F), the others as they occur with it."""
        fields = self.method.supervision.fields
        shares_N = torch.cat([torch.rand(1, generator=random_numbers(seed, "labels", i)) for i in numbers])
        return self.table.pick({fields.index("view"): view} if "view" in fields else {}, shares_N)

    def images(self, latents_NZ: Tensor, labels_NF: Tensor) -> Tensor:
        """Draw images (N, 1, H, W), about [-1, 1]."""
        here = next(self.generator.parameters()).device
        labels_NL = one_hot(labels_NF, self.method.supervision.classes)
        with torch.no_grad(), compute_in(self.method.engine.precision, here):
            return self.generator(latents_NZ.to(here), labels_NL.to(here)).float()  # type: ignore[no-any-return]


def preview(model: Model, columns: int = 8) -> np.ndarray:
    """Draw the fixed sheet that every tick logs: a row a view, uint16 (H, W)."""
    seed = model.method.method.seed
    rows = [
        np.concatenate(list(model.draw(seed, range(columns), view)), axis=1) for view in range(len(VIEWS))
    ]
    return np.concatenate(rows)
