"""Drawing images: number i of a pool is a pure function of (checkpoint, seed, i, view)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mammogan.config.dataset import VIEWS
from mammogan.config.method import Method
from mammogan.nets import Generator
from mammogan.schedule import Stage
from mammogan.train.device import compute_in
from mammogan.train.engines import one_hot
from mammogan.train.feed import random_numbers, to_uint16

CHUNK = 16  # images drawn at once: always as many, since a batch's size can change the last bit


def latents(seed: int, numbers: range, size: int) -> Tensor:
    """Draw the latents of the images `numbers`: (N, size) float32, each a function of (seed, number)."""
    return torch.stack([torch.randn(size, generator=random_numbers(seed, "latent", i)) for i in numbers])


def draw(generator: Generator, method: Method, seed: int, numbers: range, view: int) -> Iterator[np.ndarray]:
    """Draw the images `numbers` of `view` in order, each uint16 (H, W)."""
    here = next(generator.parameters()).device
    for first in range(numbers.start, numbers.stop, CHUNK):
        z_NZ = latents(seed, range(first, first + CHUNK), method.network.latent_size).to(here)
        labels_N = torch.full((CHUNK,), view, device=here)
        with torch.no_grad(), compute_in(method.engine.precision, here):
            images_NHW = to_uint16(generator(z_NZ, one_hot(labels_N, method)))
        yield from images_NHW[: numbers.stop - first]


def preview(generator: Generator, method: Method, stage: Stage, columns: int = 8) -> np.ndarray:
    """Draw the fixed sheet that every tick logs: a row a view, uint16 (H, W)."""
    seed = method.method.seed
    rows = [
        np.concatenate(list(draw(generator, method, seed, range(columns), view)), axis=1)
        for view in range(len(VIEWS))
    ]
    return np.concatenate(rows)
