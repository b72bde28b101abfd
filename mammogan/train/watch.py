"""What an alarm looks at: a number of a stage's newest tick, and what is said if it is out of bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tick = Mapping[str, float]
Images = NDArray[np.uint16]


@dataclass(frozen=True)
class Watch:
    """What an alarm looks at: the newest of some ticks, as (number, whose), or None if that can't be told.

    Those that do not act are told of, and neither stop a stage nor make it go back.
    """

    measure: Callable[[Sequence[Tick]], tuple[float, str] | None]
    low: bool
    finding: str
    advice: str
    acts: bool = True

    def broken(self, bound: float, ticks: Sequence[Tick]) -> tuple[float, str] | None:
        """Give number and owner if the newest tick breaks `bound`."""
        found = self.measure(ticks)
        if found is None or (found[0] >= bound if self.low else found[0] <= bound):
            return None
        return found
