"""Features of pictures without a download: a convolutional network with fixed random weights, and texture.

Networks with random weights suit pictures far from those that others were trained on (Naeem et al. 2020).
What they tell is a trend, and no more than that.

Shape suffixes: H x W pixels, F features, C channels.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.metrics.histogram_moments import WHITE

Features = NDArray[np.float32]
Image = NDArray[np.uint16]

ROWS = 160
"""Height at which the network looks at pictures, and at which a larger one is shrunk to."""
CHANNELS = (16, 32, 64, 64)
SEED = 20180227
WINDOWS_PART = (0.006, 0.02, 0.06)
"""Sides of the windows that local contrast is measured in, as parts of the height."""


def embed(image_HW: Image) -> Features:
    """Embed a picture: mean and deviation over all places of each channel, layer by layer; (F,).

    Of the picture and its mirror image the mean is taken, so that both are one to every measure.
    """
    shrunk_HW = shrunk(image_HW, ROWS)
    pair = np.stack([shrunk_HW, shrunk_HW[:, ::-1]])[:, None]
    with torch.inference_mode():
        maps = torch.from_numpy(np.ascontiguousarray(pair)) / WHITE * 2 - 1
        found = []
        for weight in _weights():
            stride = 2 if min(maps.shape[2:]) > 2 else 1
            maps = torch.nn.functional.conv2d(maps, weight, stride=stride, padding=1)
            maps = torch.nn.functional.leaky_relu(maps, 0.2)
            found += [maps.mean(dim=(2, 3)), maps.std(dim=(2, 3), correction=0)]
        features = torch.cat(found[2:], dim=1).mean(dim=0)
    return np.asarray(features.numpy(), np.float32)


def texture(image_HW: Image, depth_HW: Features) -> Features:
    """Measure local contrast in the breast in windows of three sizes: log10 of its mean, and variation; (6,).

    NaN without a breast. `depth_HW` is `tissue.depth`.
    """
    picture_HW, found = image_HW.astype(np.float32) / WHITE, []
    for part in WINDOWS_PART:
        side = max(3, round(part * len(image_HW)) | 1)
        inside_HW = depth_HW > side // 2
        if not inside_HW.any():
            inside_HW = depth_HW > 0
        mean_HW = cv2.blur(picture_HW, (side, side))
        variance_HW = cv2.blur(picture_HW * picture_HW, (side, side)) - mean_HW * mean_HW
        sd = np.sqrt(np.maximum(variance_HW[inside_HW], 0))
        if len(sd):
            found += [np.log10(sd.mean() + 1e-8), sd.std() / (sd.mean() + 1e-8)]
        else:
            found += [np.nan, np.nan]
    return np.array(found, np.float32)


def shrunk(image_HW: Image, rows: int) -> NDArray[np.float32]:
    """Shrink a picture to a height, its aspect kept; a smaller one stays as it is."""
    height, width = image_HW.shape
    if height <= rows:
        return image_HW.astype(np.float32)
    size = (max(1, round(width * rows / height)), rows)
    return np.asarray(cv2.resize(image_HW, size, interpolation=cv2.INTER_AREA), np.float32)


@lru_cache(maxsize=1)
def _weights() -> tuple[Tensor, ...]:
    """Draw filters (C, C below, 3, 3) with a variance that keeps that of the maps (He et al. 2015)."""
    random = np.random.Generator(np.random.PCG64(SEED))
    drawn, below = [], 1
    for channels in CHANNELS:
        weight = random.standard_normal((channels, below, 3, 3)) * np.sqrt(2 / (9 * below))
        drawn.append(torch.from_numpy(weight.astype(np.float32)))
        below = channels
    return tuple(drawn)
