"""Where patches are cut: drawn from a seed and the image's own content, in all of the image or in the breast.

So two identical sets have identical patches, order does not matter, and tasks that gather parts of a set need
not know of each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.laplacian_pyramid import patch_px

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
"""First rows and first columns of patches."""
HASHED_EVERY = 8
"""Rows from one that is hashed to the next: images that differ in others alone are cut at the same places."""
DARK = 0.02 * 65535
"""Greys up to here are no breast. Shards are black outside it, and Otsu's threshold would leave out fat."""
OUTLINED_ROWS = 160


def drawn(image_HW: NDArray[np.uint16], seed: int) -> np.random.Generator:
    """Give the source of an image's places."""
    content = hashlib.blake2b(image_HW[::HASHED_EVERY].tobytes(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(content)])


def everywhere(shapes: Sequence[tuple[int, int]], count: int, random: np.random.Generator) -> list[Places]:
    """Draw `count` places a level, uniform over all at which the whole patch is inside."""
    found = []
    for height, width in shapes:
        size = patch_px((height, width))
        y, x = (random.integers(0, side - size + 1, count) for side in (height, width))
        found.append((y, x))
    return found


def within(
    mask_HW: NDArray[np.bool_], shapes: Sequence[tuple[int, int]], count: int, random: np.random.Generator
) -> list[Places]:
    """Draw `count` places a level whose centres are uniform over a mask, moved inside where they must be.

    The mask may be of any level. An empty one is no reason to leave an image out: then it is everywhere.
    """
    inside = np.flatnonzero(mask_HW)
    if not len(inside):
        return everywhere(shapes, count, random)
    found = []
    for shape in shapes:
        corner = inside[random.integers(0, len(inside), count)]
        at = [
            (place + random.random(count)) / side
            for place, side in zip(np.divmod(corner, mask_HW.shape[1]), mask_HW.shape, strict=True)
        ]
        size = patch_px(shape)
        y, x = (
            np.clip((part * side).astype(np.int64) - size // 2, 0, side - size)
            for part, side in zip(at, shape, strict=True)
        )
        found.append((y, x))
    return found


def outlined(shapes: Sequence[tuple[int, int]]) -> int:
    """Say on which level the breast is outlined: the finest of 160 rows or fewer, else the last."""
    return next((n for n, (rows, _) in enumerate(shapes) if rows <= OUTLINED_ROWS), len(shapes) - 1)


def breast(low_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Outline the breast, of reals and synthetics alike: what is not dark, in one piece, holes filled."""
    above = (low_HW > DARK).astype(np.uint8)
    outlines, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = [cv2.drawContours(np.zeros_like(above), [outline], -1, 1, cv2.FILLED) for outline in outlines]
    return np.asarray(max(filled, key=np.sum, default=above), dtype=bool)
