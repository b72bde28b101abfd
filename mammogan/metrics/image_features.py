"""All that the report wants to know of one image: quantities, spectrum, features, a thumbnail.

Shape suffixes: H x W pixels, Q quantities, F features, R radii, K kinds of planted copies.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.metrics import (
    band_power,
    breast_density,
    histogram_moments,
    planted_copies,
    power_spectrum,
    random_features,
)
from mammogan.metrics.feature_extractor import UserNetwork
from mammogan.metrics.histogram_moments import MOMENTS

Image = NDArray[np.uint16]

QUANTITIES = (
    *(f"all_{name}" for name in MOMENTS),
    *(f"breast_{name}" for name in MOMENTS),
    "breast_area",
    "clipped",
    "dense_area",
)
"""Moments of all pixels and of the breast's; the breast's part of the picture; of the breast's pixels the
part that is black or white through and through, and the dense part."""
THUMBNAIL_PX = (64, 51)
PLANTED = 64
"""Training images of each view that copies are made of, to see if they are found."""


def look(
    image_HW: Image, *, oblique: bool, network: UserNetwork | None = None
) -> dict[str, NDArray[np.generic]]:
    """Measure an image, uint16; NaN is what an image without shape or breast doesn't have."""
    mask_HW = breast_density.outline(image_HW)
    depth_HW = breast_density.depth(mask_HW)
    whole, breast = histogram_moments.histogram(image_HW), histogram_moments.histogram(image_HW[mask_HW])
    periodogram = _periodogram(image_HW, mask_HW, depth_HW)
    power = power_spectrum.summary(*periodogram)
    bands = band_power.of_periodogram(image_HW, *periodogram)
    quantities = [
        *histogram_moments.moments(whole),
        *histogram_moments.moments(breast),
        mask_HW.mean(),
        histogram_moments.clipped(breast),
        breast_density.dense_share(image_HW, oblique=oblique),
    ]
    found = {
        "quantities": np.array(quantities),
        "power": power.power_R,
        "grids": power.grids,
        "band-power": bands.power_O2,
        "tissue-variance": np.array(bands.variance),
        "background": np.array(bands.background),
        "texture": random_features.texture(image_HW, depth_HW),
        "random-network": random_features.embed(image_HW),
        "thumbnail": thumbnail(image_HW, mask_HW),
    }
    return found | ({"network": network.features(image_HW)} if network else {})


def _periodogram(
    image_HW: Image, mask_HW: breast_density.Mask, depth_HW: NDArray[np.float32]
) -> tuple[power_spectrum.Values, int]:
    """Take the power of the breast above its background, which is that of `mask_HW` where it is black."""
    above_HW = band_power.outline(image_HW)
    same = np.array_equal(above_HW, mask_HW)
    return power_spectrum.periodogram(image_HW, depth_HW if same else breast_density.depth(above_HW))


def plant_copies(image_HW: Image, number: int) -> dict[str, NDArray[np.generic]]:
    """Make every kind of copy of training image `number`, and embed them: features (K, F), thumbnails."""
    random = np.random.default_rng([number, image_HW.shape[0]])
    copies = [planted_copies.plant(image_HW, kind, random) for kind in planted_copies.KINDS]
    return {
        "planted-random-network": np.stack([random_features.embed(copy_HW) for copy_HW in copies]),
        "planted-thumbnail": np.stack([thumbnail(copy_HW) for copy_HW in copies]),
    }


def thumbnail(image_HW: Image, mask_HW: breast_density.Mask | None = None) -> Image:
    """Stretch the box of the breast to 64 x 51 pixels, so that no shift and no zoom hides a copy; uint16.

    Outside the breast is black; without a breast all is.
    """
    mask_HW = breast_density.outline(image_HW) if mask_HW is None else mask_HW
    top, left, height, width = breast_density.box(mask_HW)
    if not height:
        return np.zeros(THUMBNAIL_PX, np.uint16)
    part = slice(top, top + height), slice(left, left + width)
    breast_HW = np.where(mask_HW[part], image_HW[part], 0).astype(np.float32)
    way = cv2.INTER_AREA if height > THUMBNAIL_PX[0] else cv2.INTER_LINEAR
    small_HW = cv2.resize(breast_HW, THUMBNAIL_PX[::-1], interpolation=way)
    return np.asarray(np.rint(small_HW), np.uint16)
