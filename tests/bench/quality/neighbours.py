"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), unbiased MMD.

Shape suffixes: N images of a set, M of another, F features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
NEIGHBOURS = 5


def distances(a_NF: Doubles, b_MF: Doubles) -> Doubles:
    """Return the Euclidean distances (N, M)."""
    squares_NM = (a_NF**2).sum(1)[:, None] + (b_MF**2).sum(1) - 2 * a_NF @ b_MF.T
    return np.sqrt(np.maximum(squares_NM, 0))


def radii(features_NF: Doubles, k: int = NEIGHBOURS) -> Doubles:
    """Return how far each one's k-th neighbour in its own set is: (N,)."""
    apart_NN = distances(features_NF, features_NF)
    np.fill_diagonal(apart_NN, 0)
    return np.partition(apart_NN, k, axis=1)[:, k]  # the nearest, at 0, is itself


def prdc(reals_NF: Doubles, fakes_MF: Doubles, k: int = NEIGHBOURS) -> dict[str, float]:
    """Compute the four numbers of fakes against reals; of a perfect set all are near 1 for many images."""
    apart_NM = distances(reals_NF, fakes_MF)
    real_radii_N, fake_radii_M = radii(reals_NF, k), radii(fakes_MF, k)
    inside_NM = apart_NM < real_radii_N[:, None]
    return {
        "precision": float(inside_NM.any(0).mean()),
        "recall": float((apart_NM < fake_radii_M).any(1).mean()),
        "density": float(inside_NM.sum(0).mean() / k),
        "coverage": float((apart_NM.min(1) < real_radii_N).mean()),
    }


def mmd(a_NF: Doubles, b_MF: Doubles) -> float:
    """Compute the unbiased squared MMD with the kernel (x . y / F + 1)^3, that of KID; below 0 by chance."""
    size = a_NF.shape[1]

    def kernel(x: Doubles, y: Doubles) -> Doubles:
        return (x @ y.T / size + 1) ** 3

    def within(x: Doubles) -> float:
        table = kernel(x, x)
        return float((table.sum() - np.trace(table)) / (len(x) * (len(x) - 1)))

    return within(a_NF) + within(b_MF) - 2 * float(kernel(a_NF, b_MF).mean())
