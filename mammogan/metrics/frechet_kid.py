"""Fréchet distance (Heusel et al. 2017) and kernel distance (Binkowski et al. 2018) in a space of features.

The Fréchet distance is biased at any number of images, by an amount that depends on the generator (Chong and
Forsyth 2020): compare it at one number only, and with that of reals to reals.

Shape suffixes: N, M images, F features, B draws.
"""

from __future__ import annotations

import numpy as np

from mammogan.metrics.bootstrap import Values
from mammogan.metrics.prdc import Features

CHUNK = 1024


def frechet(a_NF: Features, b_MF: Features) -> float:
    """Give the squared Fréchet distance of the normal distributions that fit best; NaN for a single image."""
    if min(len(a_NF), len(b_MF)) < 2:
        return float("nan")
    wide = a_NF.astype(np.float64), b_MF.astype(np.float64)
    mean_a, mean_b = (part.mean(axis=0) for part in wide)
    off_a, off_b = ((part - part.mean(axis=0)) / (len(part) - 1) ** 0.5 for part in wide)
    spread = (off_a**2).sum() + (off_b**2).sum()
    return float(max(0.0, ((mean_a - mean_b) ** 2).sum() + spread - 2 * _common(off_a, off_b)))


def kernel_distance(a_NF: Features, b_MF: Features) -> float:
    """Give the squared maximum mean discrepancy with the kernel (x y / F + 1)^3, unbiased: about 0 if alike.

    NaN for a single image.
    """
    n, m = len(a_NF), len(b_MF)
    if min(n, m) < 2:
        return float("nan")
    within_a = (_sum(a_NF, a_NF) - _diagonal(a_NF)) / (n * (n - 1))
    within_b = (_sum(b_MF, b_MF) - _diagonal(b_MF)) / (m * (m - 1))
    return within_a + within_b - 2 * _sum(a_NF, b_MF) / (n * m)


def _sum(a_NF: Features, b_MF: Features) -> float:
    total = 0.0
    for first in range(0, len(a_NF), CHUNK):
        products = a_NF[first : first + CHUNK] @ b_MF.T
        total += float(((products / a_NF.shape[1] + 1) ** 3).sum(dtype=np.float64))
    return total


def _diagonal(a_NF: Features) -> float:
    return float(((np.einsum("nf,nf->n", a_NF, a_NF) / a_NF.shape[1] + 1) ** 3).sum(dtype=np.float64))


def _common(a_NF: Values, b_MF: Values) -> float:
    """Give the trace of the root of the product of both covariances, a' a and b' b.

    Its eigenvalues' roots are the singular values of a b', which is the smaller matrix where images are few,
    and else those of the product of two roots.
    """
    if min(len(a_NF), len(b_MF)) < a_NF.shape[1]:
        return float(np.linalg.svd(a_NF @ b_MF.T, compute_uv=False).sum())
    values_F, vectors_FF = np.linalg.eigh(a_NF.T @ a_NF)
    root_FF = (vectors_FF * np.sqrt(np.maximum(values_F, 0))) @ vectors_FF.T
    squared_F = np.linalg.eigvalsh(root_FF @ (b_MF.T @ b_MF) @ root_FF)
    return float(np.sqrt(np.maximum(squared_F, 0)).sum())
