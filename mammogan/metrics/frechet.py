"""Fréchet distance (Heusel et al. 2017) and kernel distance (Binkowski et al. 2018) in a space of features.

The Fréchet distance is biased at any number of images, by an amount that depends on the generator (Chong and
Forsyth 2020): compare it at one number only, and with that of reals to reals.

Shape suffixes: N, M images, F features, B draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.neighbours import Features
from mammogan.metrics.resample import Values

CHUNK = 1024


def frechet(a_NF: Features, b_MF: Features) -> float:
    """Give the squared Fréchet distance of the normal distributions that fit best; NaN for a single image."""
    if min(len(a_NF), len(b_MF)) < 2:
        return float("nan")
    (mean_a, cov_a), (mean_b, cov_b) = (_fitted(each) for each in (a_NF, b_MF))
    root_a = _root(cov_a)
    # The trace of the root of a product of covariances is that of this symmetric matrix's.
    values = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    common = np.sqrt(np.maximum(values, 0)).sum()
    return float(max(0.0, ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * common))


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


def _fitted(features_NF: Features) -> tuple[Values, Values]:
    wide_NF = features_NF.astype(np.float64)
    return wide_NF.mean(axis=0), np.atleast_2d(np.cov(wide_NF, rowvar=False))


def _root(matrix_FF: Values) -> NDArray[np.float64]:
    values_F, vectors_FF = np.linalg.eigh(matrix_FF)
    return np.asarray((vectors_FF * np.sqrt(np.maximum(values_F, 0))) @ vectors_FF.T)
