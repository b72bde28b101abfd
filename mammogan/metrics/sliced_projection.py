"""Patches to distance: normalised, projected on random directions, sorted, compared.

Shape suffixes: P patches, D numbers of a patch, R directions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mammogan.metrics.patch_store import Floats

AT_ONCE_NUMBERS = 1 << 24
"""Projections that are sorted at once: 64 MB."""


def normalise(patches_DP: Floats) -> Floats:
    """Centre and scale in place by mean and deviation over all patches and pixels of the set."""
    # In rows of float64, which the whole of a level would not fit into.
    mean = float(np.mean([row_P.mean(dtype=np.float64) for row_P in patches_DP]))
    patches_DP -= mean
    square = float(np.mean([np.square(row_P, dtype=np.float64).mean() for row_P in patches_DP]))
    patches_DP /= max(square**0.5, 1e-12)
    return patches_DP


def unit_directions(numbers: int, count: int, random: np.random.Generator) -> Floats:
    """Draw `count` directions uniform on the sphere: (numbers, count)."""
    directions_DR = random.standard_normal((numbers, count))
    return np.asarray(directions_DR / np.linalg.norm(directions_DR, axis=0), dtype=np.float32)


def sliced(a_DP: Tensor, b_DP: Tensor, directions_DR: Floats) -> float:
    """Mean over directions of the 1-D Wasserstein distance between two sets of one size, projected."""
    at_once = max(1, AT_ONCE_NUMBERS // max(1, a_DP.shape[1]))
    means = []
    for some_RD in torch.split(torch.from_numpy(directions_DR.T.copy()).to(a_DP.device), at_once):
        a_RP, b_RP = sort_rows(some_RD @ a_DP), sort_rows(some_RD @ b_DP)
        means.append(a_RP.sub_(b_RP).abs_().mean(dim=1))
    return float(torch.cat(means).double().mean())


def sort_rows(values_RP: Tensor) -> Tensor:
    """Sort each row; on a CPU by NumPy, which is many times as fast as torch, in place and in threads."""
    if values_RP.device.type != "cpu":
        return values_RP.sort(dim=1).values
    rows_RP, threads = values_RP.numpy(), torch.get_num_threads()
    if threads == 1:
        rows_RP.sort(axis=1)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(partial(np.ndarray.sort, axis=1), np.array_split(rows_RP, threads)))
    return values_RP
