"""Sliced Wasserstein distance between local patches of a Laplacian pyramid (Karras et al. 2018, section 5).

For greyscale images of any height and width. Each level of each set is centred and scaled by its own mean and
deviation, so that a global shift of brightness or contrast is invisible here: look at the moments beside it.

Shape suffixes: N images, H x W pixels, P patches, D numbers of a patch, R directions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
PATCH_PX = 7
SMALLEST_ROWS = 16


def levels(height_px: int, width_px: int) -> tuple[tuple[int, int], ...]:
    """Give the pyramid's resolutions, finest first: halved while even and 16 rows are left."""
    shapes = [(height_px, width_px)]
    while shapes[-1][0] // 2 >= SMALLEST_ROWS and not any(side % 2 for side in shapes[-1]):
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    return tuple(shapes)


def pyramid(image_HW: Floats, count: int) -> Iterator[Floats]:
    """Give the Laplacian pyramid's `count` levels, finest first; the last is the low-pass that is left.

    The filter is the 5x5 binomial [1 4 6 4 1] / 16 with mirrored borders, which is OpenCV's.
    """
    for _ in range(count - 1):
        smaller = cv2.pyrDown(image_HW)
        yield image_HW - cv2.pyrUp(smaller)
        image_HW = smaller
    yield image_HW


@dataclass
class SlicedWasserstein:
    """Patch descriptors of one image set, gathered image by image; `distance` compares two sets.

    The patches of an image are drawn from a seed and the image's own content. So two identical sets have
    distance 0 exactly, order does not matter, and parts gathered by different tasks merge to the whole.

    Parameters
    ----------
    height_px, width_px : int
        Of the images.
    patches_per_image : int
        At each level (published: 128).
    directions, repeats : int
        Random projections, `repeats` times `directions` (published: 4 x 128).
    seed : int
        Of patches and directions.
    """

    height_px: int
    width_px: int
    patches_per_image: int = 128
    directions: int = 128
    repeats: int = 4
    seed: int = 0
    patches: list[list[Floats]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.levels = levels(self.height_px, self.width_px)
        self.patches = [[] for _ in self.levels]

    def update(self, images_NHW: Sequence[NDArray[np.uint16]] | NDArray[np.uint16]) -> None:
        """Add images, uint16 (N, H, W)."""
        for image_HW in images_NHW:
            content = hashlib.blake2b(image_HW.tobytes(), digest_size=8).digest()
            random = np.random.default_rng([self.seed, int.from_bytes(content)])
            for gathered, level in zip(
                self.patches, pyramid(image_HW.astype(np.float32), len(self.levels)), strict=True
            ):
                gathered.append(cut_patches(level, self.patches_per_image, random))

    def merge(self, other: SlicedWasserstein) -> None:
        """Add what another part has gathered.

        Raises
        ------
        ValueError
            If it was gathered with other settings.
        """
        self._check_settings(other)
        for mine, theirs in zip(self.patches, other.patches, strict=True):
            mine.extend(theirs)

    def distance(self, other: SlicedWasserstein) -> list[float]:
        """Compute SWD x 1000 to `other` at every level, finest first.

        Raises
        ------
        ValueError
            If the sets are empty or differ in size, or were gathered with other settings.
        """
        self._check_settings(other)
        counts = len(self.patches[0]), len(other.patches[0])
        if counts[0] != counts[1] or not counts[0]:
            raise ValueError(f"SWD compares sets of the same size, not {counts[0]} with {counts[1]} images")
        result = []
        for level, (mine, theirs) in enumerate(zip(self.patches, other.patches, strict=True)):
            a_PD, b_PD = normalised(np.concatenate(mine)), normalised(np.concatenate(theirs))
            random = np.random.default_rng([self.seed, level])
            repeats = [
                sliced(a_PD, b_PD, unit_directions(a_PD.shape[1], self.directions, random))
                for _ in range(self.repeats)
            ]
            result.append(1000 * float(np.mean(repeats)))
        return result

    def _check_settings(self, other: SlicedWasserstein) -> None:
        for setting in fields(self):
            if setting.init and getattr(self, setting.name) != getattr(other, setting.name):
                raise ValueError(
                    f"one set was gathered with {setting.name} '{getattr(self, setting.name)}', the other "
                    f"with '{getattr(other, setting.name)}'"
                )


def cut_patches(level_HW: Floats, count: int, random: np.random.Generator) -> Floats:
    """Cut `count` square patches at uniform places, smaller ones where the level is: (count, pixels)."""
    height, width = level_HW.shape
    size = min(PATCH_PX, height, width)
    y = random.integers(0, height - size + 1, count)
    x = random.integers(0, width - size + 1, count)
    windows = np.lib.stride_tricks.sliding_window_view(level_HW, (size, size))
    return windows[y, x].reshape(count, size * size)


def normalised(patches_PD: Floats) -> Floats:
    """Centre and scale by mean and deviation over all patches and pixels of the set."""
    deviation = patches_PD.std(dtype=np.float64)
    centred_PD = patches_PD - patches_PD.mean(dtype=np.float64)
    return np.asarray(centred_PD / max(deviation, 1e-12), dtype=np.float32)


def unit_directions(numbers: int, count: int, random: np.random.Generator) -> Floats:
    """Draw `count` directions uniform on the sphere: (numbers, count)."""
    directions_DR = random.standard_normal((numbers, count))
    return np.asarray(directions_DR / np.linalg.norm(directions_DR, axis=0), dtype=np.float32)


def sliced(a_PD: Floats, b_PD: Floats, directions_DR: Floats) -> float:
    """Mean over directions of the 1-D Wasserstein distance between two sets of one size, projected."""
    a_RP = np.sort(directions_DR.T @ a_PD.T, axis=1)
    b_RP = np.sort(directions_DR.T @ b_PD.T, axis=1)
    return float(np.abs(a_RP - b_RP).mean(dtype=np.float64))
