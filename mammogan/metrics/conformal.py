"""How strange a newcomer is among others: ranks as p-values, one measure or several together.

Shape suffixes: N others, M the same and the newcomer, K measures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def p_values(values_M: Values, *, two_sided: bool = False) -> Values:
    """Give each value's share of values that are at least as high, itself included; (M,), 1/M to 1.

    Two-sided, a value at either end is strange: twice the smaller share, 1 at the most.
    """
    ranked_M = np.sort(values_M)
    high_M: Values = (len(values_M) - np.searchsorted(ranked_M, values_M, "left")) / len(values_M)
    if not two_sided:
        return high_M
    low_M = np.searchsorted(ranked_M, values_M, "right") / len(values_M)
    both_M: Values = np.minimum(1, 2 * np.minimum(low_M, high_M))
    return both_M


def strangeness(newcomer_K: Values, others_NK: Values) -> tuple[Values, float]:
    """Give a newcomer's two-sided p-value by each measure, (K,), and its p-value by all together.

    Together, it is the rank of the product of the p-values, those of the others being taken among the same
    N + 1. Newcomer and others are treated alike, so that all p-values of an exchangeable newcomer are at most
    `a` with probability `a` or less, however the measures depend on each other (conformal prediction: Vovk,
    Gammerman & Shafer 2005, section 2.2). The smallest of all is 1 / (N + 1), of each measure twice that.
    """
    values_MK = np.vstack([newcomer_K, others_NK])
    p_MK = np.stack([p_values(values_M, two_sided=True) for values_M in values_MK.T], axis=1)
    # Rounded, for products of the same ranks in another order are equal.
    products_M = np.log(p_MK).sum(axis=1).round(9)
    return p_MK[0], float(p_values(-products_M)[0])
