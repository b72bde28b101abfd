"""What the judge sees of an image: principal components of its pixels, and a random convolutional network.

Both are fitted on training reals alone. Components see shape; the random network sees fine texture.

Shape suffixes: N images, C channels, H x W pixels, F features.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Doubles = NDArray[np.float64]
COMPONENTS = 64
NET_SEED, WIDTHS, CHUNK = 20180227, (32, 64, 128), 256


class Pca:
    """The first 64 principal components of the pixels of training reals."""

    def __init__(self, train_NHW: NDArray[np.generic]) -> None:
        flat_NF = train_NHW.reshape(len(train_NHW), -1).astype(np.float64) / 255
        self._mean_F = flat_NF.mean(0)
        # Fewer images than pixels: by the images' table of products, which is the smaller one.
        values_N, vectors_NN = np.linalg.eigh((flat_NF - self._mean_F) @ (flat_NF - self._mean_F).T)
        chosen = np.argsort(values_N)[::-1][: min(COMPONENTS, len(flat_NF) - 1)]
        chosen = chosen[values_N[chosen] > 1e-9 * values_N.max()]
        self._axes_FK = (flat_NF - self._mean_F).T @ (vectors_NN[:, chosen] / np.sqrt(values_N[chosen]))

    def __call__(self, images_NHW: NDArray[np.generic]) -> Doubles:
        flat_NF = images_NHW.reshape(len(images_NHW), -1).astype(np.float64) / 255
        found: Doubles = (flat_NF - self._mean_F) @ self._axes_FK
        return found


class RandomNet:
    """Mean and standard deviation over the image of 224 channels of a fixed random network of three layers.

    Features are brought to mean 0 and standard deviation 1 over the training reals.
    """

    def __init__(self, train_NHW: NDArray[np.generic]) -> None:
        raw_NF = _raw_features(train_NHW)
        self._mean_F, self._sd_F = raw_NF.mean(0), np.maximum(raw_NF.std(0), 1e-6)

    def __call__(self, images_NHW: NDArray[np.generic]) -> Doubles:
        found: Doubles = (_raw_features(images_NHW) - self._mean_F) / self._sd_F
        return found


@cache
def _weights() -> tuple[tuple[Tensor, Tensor], ...]:
    random = torch.Generator().manual_seed(NET_SEED)
    layers, inputs = [], 1
    for width in WIDTHS:
        weight = torch.randn(width, inputs, 3, 3, generator=random) * math.sqrt(2 / (9 * inputs))
        layers.append((weight, 0.1 * torch.randn(width, generator=random)))
        inputs = width
    return tuple(layers)


@torch.no_grad()
def _raw_features(images_NHW: NDArray[np.generic]) -> Doubles:
    parts = []
    for first in range(0, len(images_NHW), CHUNK):
        x = torch.from_numpy(images_NHW[first : first + CHUNK].astype(np.float32))[:, None] / 127.5 - 1
        statistics = []
        for number, (weight, bias) in enumerate(_weights()):
            x = functional.avg_pool2d(x, 2) if number else x
            x = functional.leaky_relu(functional.conv2d(x, weight, bias), 0.2)
            statistics += [x.mean((2, 3)), x.std((2, 3))]
        parts.append(torch.cat(statistics, 1).double().numpy())
    return np.concatenate(parts)
