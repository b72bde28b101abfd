"""Is a CC a CC? A classifier that learned views from reals is asked what synthetics show.

Shape suffixes: N images, F features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.prdc import Features

FEWEST = 5
"""Training images of each view that are needed."""


class ViewTeller:
    """Logistic regression on features of real training images and their views.

    Raises
    ------
    ValueError
        If some view has fewer than `FEWEST` images, or there is one view only.
    """

    def __init__(self, features_NF: Features, views_N: NDArray[np.int64]) -> None:
        from sklearn.linear_model import LogisticRegression

        counts = np.unique(views_N, return_counts=True)[1]
        if len(counts) < 2 or counts.min() < FEWEST:
            raise ValueError(f"views can't be learned from {counts.tolist()} images")
        self._model: Any = LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced")
        self._model.fit(features_NF, views_N)

    def right(self, features_NF: Features, view: int) -> NDArray[np.float64]:
        """Say which images are told to be of that view, 1 or 0: (N,)."""
        if not len(features_NF):
            return np.empty(0)
        return np.asarray(self._model.predict(features_NF) == view, np.float64)
