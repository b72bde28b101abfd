"""The order in which images are shown: an endless sequence of permutations, each of them a pure function."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def positions(count: int, first: int, n: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    """Give items `first` .. `first` + `n` - 1 of the endless sequence of permutations of range(`count`).

    Every image comes once an epoch. Resuming needs no fast-forward, and ranks that take different parts of
    one batch see the same sequence whatever their number.

    Parameters
    ----------
    count
        Images in the rung.
    first
        Images shown before.
    n
        Images wanted.
    key
        What else the order depends on, such as seed and stage.
    """
    items = np.arange(first, first + n, dtype=np.int64)
    epochs = items // count
    shown = np.empty(n, dtype=np.int64)
    for epoch in np.unique(epochs):
        now = epochs == epoch
        shown[now] = _permutation(count, (*key, int(epoch)))[items[now] % count]
    return shown


@lru_cache(maxsize=4)
def _permutation(count: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    # numpy promises the raw stream of a bit generator for ever, but not what Generator.permutation makes of
    # it.
    stream = np.random.Philox(np.random.SeedSequence(key))
    return np.argsort(stream.random_raw(count), kind="stable")
