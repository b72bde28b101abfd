"""The published algorithm of sliced Wasserstein distance as its authors ran it, written anew: a peer.

Grey images are three equal channels; every level is blurred, doubled and subtracted whole, by convolution in
two dimensions; patches of 3 x 7 x 7 numbers are cut at places drawn for a minibatch at a time; each channel
is centred and scaled; projections are sorted down the columns. The formulae are the paper's (Karras et al.
2018, section 5), the order of draws is the program's; none of its code is here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import convolve

MINIBATCH, PATCHES, PATCH_PX, SMALLEST_ROWS = 8, 128, 7, 16
REPEATS, DIRECTIONS, CHANNELS = 4, 128, 3
KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256


def blurred(images_NCHW, gain=1):
    return convolve(images_NCHW, gain * KERNEL[None, None], mode="mirror")


def pyramid(images_NCHW) -> Iterator[np.ndarray]:
    """Give the levels of a minibatch, finest first."""
    while images_NCHW.shape[2] // 2 >= SMALLEST_ROWS:
        coarser_NCHW = blurred(images_NCHW)[:, :, ::2, ::2]
        sparse_NCHW = np.zeros_like(images_NCHW)
        sparse_NCHW[:, :, ::2, ::2] = coarser_NCHW
        yield images_NCHW - blurred(sparse_NCHW, gain=4)
        images_NCHW = coarser_NCHW
    yield images_NCHW


def drawn_places(count, height, width, random):
    """Draw the first row and column of each patch of a minibatch, both (N, P): columns are drawn first."""
    x, y = (random.randint(0, side - PATCH_PX + 1, (count, PATCHES)) for side in (width, height))
    return y, x


def drawn_directions(random):
    """Draw unit vectors of a patch's 147 numbers: (147, R) float32."""
    directions_DR = random.randn(CHANNELS * PATCH_PX**2, DIRECTIONS)
    return (directions_DR / np.sqrt(np.square(directions_DR).sum(axis=0))).astype(np.float32)


def patches(level_NCHW, random):
    """Cut the patches of one level of a minibatch: (N * P, C, 7, 7), columns before rows."""
    count, _, height, width = level_NCHW.shape
    y_NP, x_NP = drawn_places(count, height, width, random)
    n, c = np.arange(count)[:, None, None, None, None], np.arange(CHANNELS)[:, None, None]
    rows, columns = np.arange(PATCH_PX), np.arange(PATCH_PX)[:, None]
    cut = level_NCHW[n, c, y_NP[..., None, None, None] + rows, x_NP[..., None, None, None] + columns]
    return cut.reshape(-1, CHANNELS, PATCH_PX, PATCH_PX)


def gathered(images_NHW, random) -> list[np.ndarray]:
    """Give each level's normalised patches of a set of uint8 or uint16 images, (N * P, 147) float32."""
    parts = []
    for first in range(0, len(images_NHW), MINIBATCH):
        grey_NHW = images_NHW[first : first + MINIBATCH].astype(np.float32)
        colours_NCHW = np.repeat(grey_NHW[:, None], CHANNELS, axis=1)
        parts.append([patches(level_NCHW, random) for level_NCHW in pyramid(colours_NCHW)])
    return [normalised(np.concatenate(level)) for level in zip(*parts, strict=True)]


def normalised(patches_PCSS):
    patches_PCSS = patches_PCSS - patches_PCSS.mean(axis=(0, 2, 3), keepdims=True)
    patches_PCSS /= patches_PCSS.std(axis=(0, 2, 3), keepdims=True)
    return patches_PCSS.reshape(len(patches_PCSS), -1)


def compared(a_PD, b_PD, random) -> float:
    """Give one level's distance x 1000."""
    found = []
    for _ in range(REPEATS):
        directions_DR = drawn_directions(random)
        a_PR, b_PR = (np.sort(patches_PD @ directions_DR, axis=0) for patches_PD in (a_PD, b_PD))
        found.append(np.abs(a_PR - b_PR).mean())
    return 1000 * float(np.mean(found))


def distance(a_NHW, b_NHW, seed) -> list[float]:
    """Give the distance x 1000 between two sets at every level, finest first.

    The program compares the first set with itself as well. That is left out here, for it serves nothing; but
    it draws directions, so that they are drawn.
    """
    random = np.random.RandomState(seed)
    a = gathered(a_NHW, random)
    for _ in range(len(a) * REPEATS):
        drawn_directions(random)
    b = gathered(b_NHW, random)
    return [compared(*level, random) for level in zip(a, b, strict=True)]


class Draws:
    """The places and directions that `distance` draws for two sets of one size, for others to use.

    `places` are first rows and columns for each level, (N, P) both, of the first set and of the second.
    `directions` are those of (level, repeat) for patches of one channel: grey numbers are the same in all
    three, so that a direction's three parts add up.
    """

    def __init__(self, count, shapes, seed):
        random = np.random.RandomState(seed)
        self.places = []
        for number in range(2):
            if number:
                for _ in range(len(shapes) * REPEATS):
                    drawn_directions(random)
            sizes = [min(MINIBATCH, count - first) for first in range(0, count, MINIBATCH)]
            batches = [[drawn_places(size, *shape, random) for shape in shapes] for size in sizes]
            self.places.append(
                [tuple(map(np.concatenate, zip(*level, strict=True))) for level in zip(*batches, strict=True)]
            )
        self._drawn = [[drawn_directions(random) for _ in range(REPEATS)] for _ in shapes]

    def directions(self, level, repeat):
        whole_DR = self._drawn[level][repeat]
        columns_first_SSR = whole_DR.reshape(CHANNELS, PATCH_PX, PATCH_PX, -1).sum(axis=0)
        return columns_first_SSR.swapaxes(0, 1).reshape(PATCH_PX**2, -1)
