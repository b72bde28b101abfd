"""Is the share of right answers chance, to within a margin? Two one-sided tests (Schuirmann 1987)."""

from __future__ import annotations

from dataclasses import dataclass

from mammogan.errors import ConfigError
from mammogan.study.analysis.clustered_intervals import EQUIVALENCE_CONFIDENCE, Share

CHANCE = 0.5
MARGIN = 0.10
"""A reader at 60 % gets one pair in ten more right than a coin."""
SENSITIVITIES = (0.05, 0.075, 0.10)


@dataclass(frozen=True)
class Equivalence:
    """Both one-sided tests at 5 %: the 90 % interval lies within the margin exactly if `p` is below 0.05."""

    margin: float
    p: float
    low: float
    high: float
    equivalent: bool


def check(margin: float, where: str) -> float:
    """Refuse margins without a meaning.

    Raises
    ------
    ConfigError
        If it is not above 0 and below 0.5.
    """
    if not 0 < margin < CHANCE:
        raise ConfigError(
            f"{where}: the margin '{margin:g}' of the equivalence test is not above 0 and below 0.5; 0.1 "
            "means from 40 % to 60 % right."
        )
    return margin


def tost(share: Share, margin: float) -> Equivalence:
    """Test that the share is above 0.5 - margin and below 0.5 + margin."""
    from scipy import stats

    above = stats.t.sf(share.score(CHANCE - margin), share.df)
    below = stats.t.cdf(share.score(CHANCE + margin), share.df)
    p = float(max(above, below))
    low, high = share.interval(EQUIVALENCE_CONFIDENCE)
    return Equivalence(margin, p, low, high, p < (1 - EQUIVALENCE_CONFIDENCE) / 2)
