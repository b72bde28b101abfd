"""The sets of one view, as they were measured, and the draws that all of its intervals come of.

Shape suffixes: N held-out reals, M synthetics, T training reals, F features, B draws, S splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mammogan.config.scoring_settings import Assessment
from mammogan.metrics import bootstrap
from mammogan.metrics.comparison.measure import Interval, Measure
from mammogan.metrics.image_features import QUANTITIES

FLOOR = 1e-6


@dataclass(frozen=True)
class Looks:
    """What was measured of one source's images of a view, and the patient of each, by number."""

    arrays: Mapping[str, np.ndarray]
    groups_N: bootstrap.Groups

    def __len__(self) -> int:
        return len(self.groups_N)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def quantity(self, name: str) -> bootstrap.Values:
        """Give one quantity of all images: (N,)."""
        return np.asarray(self["quantities"][:, QUANTITIES.index(name)])

    @property
    def patients(self) -> int:
        """Count the patients."""
        return len(np.unique(self.groups_N))


class ViewSets:
    """Synthetics, held-out reals and training reals of one view.

    Parameters
    ----------
    known
        Whether groups are patients; without that each image is a group.
    """

    def __init__(
        self, view: str, sources: Mapping[str, Looks], settings: Assessment, seed: int, known: bool = True
    ) -> None:
        self.view, self.settings, self.known = view, settings, known
        self.synthetic, self.real, self.train = (sources[name] for name in ("synthetic", "real", "train"))
        self._seed = [seed, *view.encode()]

    def random(self, what: str) -> np.random.Generator:
        """Give a source of chance of its own to whoever asks."""
        return np.random.default_rng([*self._seed, *what.encode()])

    @cached_property
    def drawn(self) -> tuple[bootstrap.Weights, bootstrap.Weights]:
        """Bootstrap reals by patient, (B, N), and synthetics by image, (B, M)."""
        count = self.settings.bootstraps
        real_BN = bootstrap.bootstrap(self.real.groups_N, count, self.random("reals"))
        return real_BN, bootstrap.bootstrap(self.synthetic.groups_N, count, self.random("synthetics"))

    @cached_property
    def halves(self) -> tuple[bootstrap.Weights, bootstrap.Weights]:
        """Split reals into halves without a patient in common: two (S, N)."""
        return bootstrap.halves(self.real.groups_N, self.settings.splits, self.random("halves"))

    @cached_property
    def some(self) -> bootstrap.Weights:
        """Take as many synthetics as half of the reals are: (S, M)."""
        half = len(self.real) // 2
        return bootstrap.some(len(self.synthetic), half, len(self.halves[0]), self.random("some"))

    def measure(
        self,
        name: str,
        value: float,
        group: str,
        of: str = "",
        boots: bootstrap.Values | None = None,
        nulls: bootstrap.Values | None = None,
        within: tuple[float, float] = (-np.inf, np.inf),
        **more: Any,
    ) -> Measure:
        """Put a measure together: its interval about it, and what halves of the reals have."""
        ci = None if boots is None else Interval(*bootstrap.spread(boots, value, within))
        null = None if nulls is None or not len(nulls) else Interval(*bootstrap.spread(nulls))
        counts = {
            "images": len(self.synthetic),
            "reals": len(self.real),
            "patients": self.real.patients if self.known else 0,
        }
        about: dict[str, Any] = {"group": group, "name": name, "of": of, "view": self.view}
        return Measure(**about, value=value, ci=ci, null=null, **(counts | more))


def space(sets: ViewSets, source: Looks, name: str) -> np.ndarray:
    """Give features in units of the training reals' deviations about their means, float32; NaN is 0.

    Spaces are ``random-network``, ``texture`` and ``all``, which is both.
    """
    reference = sets.train if len(sets.train) > 1 else sets.real
    of_reference, of_source = (_features(each, name) for each in (reference, source))
    mean_F, sd_F = (np.nan_to_num(of(of_reference, axis=0)) for of in (np.nanmean, np.nanstd))
    scaled = (of_source - mean_F) / np.where(sd_F > FLOOR, sd_F, 1)
    return np.asarray(np.nan_to_num(scaled, posinf=0, neginf=0), np.float32)


def _features(source: Looks, name: str) -> np.ndarray:
    if name == "all":
        return np.hstack([_features(source, "random-network"), _features(source, "texture")])
    if name != "texture":
        return np.asarray(source[name], np.float64)
    octaves = [np.arange(1 << k, min(2 << k, source["power"].shape[1] + 1)) - 1 for k in range(7)]
    power = [source["power"][:, radii].mean(axis=1) for radii in octaves if len(radii)]
    columns = source["quantities"][:, 5:]  # those of all pixels are of the outline more than of the texture
    return np.hstack([source["texture"], columns, np.log10(np.stack(power, axis=1) + 1e-12)])


def means(weights_BN: bootstrap.Weights, values_N: bootstrap.Values) -> bootstrap.Values:
    """Give the mean of each draw, NaN left out: (B,)."""
    known_N = np.isfinite(values_N)
    totals_B = weights_BN[:, known_N].sum(axis=1, dtype=np.float64)
    sums_B = weights_BN[:, known_N].astype(np.float64) @ values_N[known_N]
    return np.asarray(np.where(totals_B > 0, sums_B / np.where(totals_B > 0, totals_B, 1), np.nan))
