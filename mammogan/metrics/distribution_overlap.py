"""Two samples of one quantity compared: shared information, overlap, support, distance.

The information that a value has on which of two sets it is from is their Jensen-Shannon divergence in bits,
I = JSD(P, Q), from 0 for one distribution to 1 for disjoint ones. Ours, not the papers': they give ranges of
a "mutual-information score" and of an overlap in support, and no formula.

Shape suffixes: N reals, M synthetics, B draws, K bins, U values of both, in order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = NDArray[np.float32]

SCORES = {
    "sis": 1.0,
    "ovl": 1.0,
    "j99": 1.0,
    "jbin": 1.0,
    "cover": 0.99,
    "fidelity": 0.99,
    "w1": 0.0,
    "ks": 0.0,
}
"""Names of scores, and the value that two samples of one distribution have, but for chance.

``sis`` is 1 - I, corrected by Miller and Madow (1 - (K - 1) / (2 n ln 2)); ``ovl`` the overlap of histograms;
``j99`` and ``jbin`` the Jaccard index of the central 99 % and of occupied bins; ``cover`` the share of reals
in the synthetics' central 99 %, ``fidelity`` that of synthetics in the reals'; ``w1`` Wasserstein's distance
in standard deviations of the reals; ``ks`` the largest difference of cumulative shares.
"""
BINS, SENSITIVITY = 64, (32, 128)
INNER = (0.001, 0.999)
"""The pooled quantiles between which bins are of equal width; the first and last bin are open."""
CENTRAL = (0.005, 0.995)
OCCUPIED = 0.001
AT_ONCE = 1 << 22
"""Numbers that are held at once, draws times values."""


class Pairing:
    """Reals (N,) and synthetics (M,) of one quantity, ready to be compared in many draws.

    Edges of bins and the unit of ``w1`` are of all values, fixed for all draws; no value may be NaN.
    """

    def __init__(self, real_N: Values, synthetic_M: Values, bins: int = BINS) -> None:
        both = np.concatenate([real_N, synthetic_M])
        low, high = (float(np.quantile(both, quantile)) for quantile in INNER)
        self.edges_K = np.linspace(low, high, bins + 1)[1:-1]
        self.bins, self.reals = bins, len(real_N)
        self._order_U = np.argsort(both, kind="stable")
        self._sorted_U = both[self._order_U]
        self._last_U = np.append(np.diff(self._sorted_U) > 0, True)  # of values that are equal
        at_U = np.searchsorted(self.edges_K, self._sorted_U, "right")
        self._starts_K = np.searchsorted(at_U, np.arange(bins))
        sd = real_N.std()
        self._unit = sd if sd > 0 else 1.0

    def value(self) -> dict[str, float]:
        """Compare all reals with all synthetics."""
        ones = np.ones((1, len(self._order_U)), np.float32)
        found = self.scores(ones[:, : self.reals], ones[:, self.reals :])
        return {name: float(values_B[0]) for name, values_B in found.items()}

    def scores(self, real_BN: Weights, synthetic_BM: Weights) -> dict[str, Values]:
        """Compare draws of reals with draws of synthetics: `SCORES` by name, (B,) each."""
        at_once = max(1, AT_ONCE // len(self._order_U))
        parts = [
            self._some(real_BN[first : first + at_once], synthetic_BM[first : first + at_once])
            for first in range(0, len(real_BN), at_once)
        ]
        return {name: np.concatenate([part[name] for part in parts] or [np.empty(0)]) for name in SCORES}

    def _some(self, real_BN: Weights, synthetic_BM: Weights) -> dict[str, Values]:
        sides = []
        for weights_BN, first in ((real_BN, 0), (synthetic_BM, self.reals)):
            weights_BU = np.zeros((len(weights_BN), len(self._order_U)), np.float32)
            weights_BU[:, first : first + weights_BN.shape[1]] = weights_BN
            sides.append(weights_BU[:, self._order_U].cumsum(axis=1, dtype=np.float64))
        real_BU, synthetic_BU = sides
        counts = [self._counts(side_BU) for side_BU in sides]
        ranges = [self._central(side_BU) for side_BU in sides]
        apart_BU = np.abs(real_BU / real_BU[:, -1:] - synthetic_BU / synthetic_BU[:, -1:])
        shares = [counts_BK / counts_BK.sum(axis=1, keepdims=True) for counts_BK in counts]
        return {
            "sis": 1 - _information(shares[0], shares[1], counts[0] + counts[1]),
            "ovl": np.minimum(*shares).sum(axis=1),
            "j99": _jaccard(*ranges),
            "jbin": _occupied(*counts),
            "cover": self._inside(real_BU, ranges[1]),
            "fidelity": self._inside(synthetic_BU, ranges[0]),
            "w1": apart_BU[:, :-1] @ np.diff(self._sorted_U) / self._unit,
            "ks": apart_BU[:, self._last_U].max(axis=1),
        }

    def _counts(self, cumulative_BU: Values) -> Values:
        padded = np.pad(cumulative_BU, ((0, 0), (1, 0)))
        ends = padded[:, np.append(self._starts_K, len(self._order_U))]
        return np.asarray(np.diff(ends, axis=1))

    def _central(self, cumulative_BU: Values) -> tuple[Values, Values]:
        total_B1 = cumulative_BU[:, -1:]
        low, high = (
            self._sorted_U[(cumulative_BU < total_B1 * quantile - 1e-9).sum(axis=1)] for quantile in CENTRAL
        )
        return low, high

    def _inside(self, cumulative_BU: Values, inside: tuple[Values, Values]) -> Values:
        first_B = np.searchsorted(self._sorted_U, inside[0], "left")
        last_B = np.searchsorted(self._sorted_U, inside[1], "right")
        padded, rows = np.pad(cumulative_BU, ((0, 0), (1, 0))), np.arange(len(cumulative_BU))
        return np.asarray((padded[rows, last_B] - padded[rows, first_B]) / cumulative_BU[:, -1])


def _information(p_BK: Values, q_BK: Values, counts_BK: Values) -> Values:
    """Give I in bits, less the excess that chance gives a table of so many occupied bins, at least 0."""
    plain_B = _entropy((p_BK + q_BK) / 2) - (_entropy(p_BK) + _entropy(q_BK)) / 2
    occupied_B = (counts_BK > 0).sum(axis=1)
    excess_B = (occupied_B - 1) / (2 * counts_BK.sum(axis=1) * np.log(2))
    return np.asarray(np.maximum(0, plain_B - excess_B))


def _entropy(share_BK: Values) -> Values:
    return np.asarray(-(share_BK * np.log2(np.where(share_BK > 0, share_BK, 1))).sum(axis=1))


def _jaccard(real: tuple[Values, Values], synthetic: tuple[Values, Values]) -> Values:
    common = np.minimum(real[1], synthetic[1]) - np.maximum(real[0], synthetic[0])
    whole = np.maximum(real[1], synthetic[1]) - np.minimum(real[0], synthetic[0])
    return np.where(whole > 0, np.maximum(common, 0) / np.where(whole > 0, whole, 1), 1.0)


def _occupied(real_BK: Values, synthetic_BK: Values) -> Values:
    sides = [
        counts_BK >= np.maximum(1, OCCUPIED * counts_BK.sum(axis=1, keepdims=True))
        for counts_BK in (real_BK, synthetic_BK)
    ]
    return np.asarray((sides[0] & sides[1]).sum(axis=1) / (sides[0] | sides[1]).sum(axis=1).clip(1))
