"""The judge: fakes against reals of other patients, beside training reals in the fakes' place (the floor).

    from tests.bench.quality.judge import judge
    judge(fakes_NHW, train_NHW, held_out_NHW, seed=0)["coverage_net"]

Every number is a mean over draws. In each draw a random half of the held-out reals is compared with as many
fakes and, for the floor, with as many training reals. `_sd` is the standard deviation over the draws,
`_floor` what training reals get. Draws overlap, so that `_sd` says how a number shakes, not its error.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.quality import neighbours, spectra, swd
from tests.bench.quality.features import Pca, RandomNet

Images = NDArray[Any]
DRAWS = 8
BLACK, NEARLY_ALL = 0.5, 0.98
"""Background: where that share of the training reals is no lighter than this grey of 255."""
LEAST_BACKGROUND = 0.01
"""Share of the image below which there is no background to speak of: it is then nan."""


@dataclass(frozen=True)
class _Set:
    """All that is computed of a set once; draws choose from it."""

    patches: list[NDArray[np.float32]]
    features: dict[str, NDArray[np.float64]]
    power_NHW: NDArray[np.float64]
    background_N: NDArray[np.float64]


class Judge:
    """Judges any number of sets of fakes against the same reals, by the same draws.

    Parameters
    ----------
    images
        Images in a draw; without it half of the held-out reals, or all training reals if they are fewer.

    Raises
    ------
    ValueError
        If images are no greys from 0 to 255 of one size, or too few.
    """

    def __init__(
        self, train_NHW: Images, held_out_NHW: Images, seed: int = 0, draws: int = DRAWS, images: int = 0
    ) -> None:
        self.train_NHW, self.held_out_NHW = greys(train_NHW, "train"), greys(held_out_NHW, "held_out")
        self.seed, self.draws = seed, draws
        self.images = images or min(len(held_out_NHW) // 2, len(train_NHW))
        for name, there in (("train", len(train_NHW)), ("held_out", len(held_out_NHW))):
            if not 2 * neighbours.NEIGHBOURS <= self.images <= there:
                raise ValueError(
                    f"{self.images} images in a draw: {name} has {there}, and {2 * neighbours.NEIGHBOURS} is "
                    "the least. Give more held-out reals, or another number of images."
                )
        self._see = {"pca": Pca(self.train_NHW), "net": RandomNet(self.train_NHW)}
        self.background_HW = (self.train_NHW <= BLACK).mean(0) >= NEARLY_ALL
        self._train, self._held_out = self._prepare(self.train_NHW, 1), self._prepare(self.held_out_NHW, 2)
        self._floors: dict[int, dict[str, float]] = {}

    @property
    def held_out_background(self) -> float:
        """Mean grey of the held-out reals' background; nan where there is none."""
        return float(self._held_out.background_N.mean())

    def judge(self, fakes_NHW: Images) -> dict[str, float]:
        """Return every measure, with `_sd`, `_floor` and `_floor_sd`."""
        fakes_NHW = greys(fakes_NHW, "fakes")
        if len(fakes_NHW) < self.images:
            raise ValueError(f"fakes are {len(fakes_NHW)}, and a draw takes {self.images}: draw more.")
        if fakes_NHW.shape[1:] != self.train_NHW.shape[1:]:
            raise ValueError(f"fakes are {fakes_NHW.shape[1:]} px, and reals {self.train_NHW.shape[1:]}.")
        fakes, rows = self._prepare(fakes_NHW, 3), []
        for draw in range(self.draws):
            row = self._compare(fakes, self._chosen(draw, 3, len(fakes_NHW)), draw)
            if draw not in self._floors:
                self._floors[draw] = self._compare(
                    self._train, self._chosen(draw, 1, len(self.train_NHW)), draw
                )
            floor = self._floors[draw]
            above = {"swd_above_floor": row["swd"] - floor["swd"]}
            rows.append(above | row | {f"{name}_floor": value for name, value in floor.items()})
        found = {}
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            found[name] = float(values.mean())
            found[f"{name}_sd"] = float(values.std(ddof=1)) if self.draws > 1 else float("nan")
        return found

    def power(self, images_NHW: Images) -> NDArray[np.float64]:
        """Return the mean power spectrum of a set (H, W), for a figure."""
        found: NDArray[np.float64] = spectra.power(greys(images_NHW, "images")).mean(0)
        return found

    def _prepare(self, images_NHW: Images, kind: int) -> _Set:
        enough = self.background_HW.mean() >= LEAST_BACKGROUND
        return _Set(
            swd.patches(images_NHW, np.random.default_rng([self.seed, kind])),
            {name: see(images_NHW) for name, see in self._see.items()},
            spectra.power(images_NHW),
            images_NHW[:, self.background_HW].mean(1) if enough else np.full(len(images_NHW), np.nan),
        )

    def _chosen(self, draw: int, kind: int, count: int) -> NDArray[np.int64]:
        """Choose a draw's images of a set; the draws' are disjoint where the set is large enough."""
        if count >= self.draws * self.images:
            order_N = np.random.default_rng([self.seed, kind]).permutation(count)
            return order_N[draw * self.images : (draw + 1) * self.images]
        return np.random.default_rng([self.seed, kind, draw]).permutation(count)[: self.images]

    def _compare(self, fakes: _Set, fake_N: NDArray[np.int64], draw: int) -> dict[str, float]:
        reals = self._held_out
        real_N = np.random.default_rng([self.seed, 2, draw]).permutation(len(self.held_out_NHW))[
            : self.images
        ]
        pairs = [
            [level[chosen] for level in there.patches] for there, chosen in ((fakes, fake_N), (reals, real_N))
        ]
        levels = swd.distances(*pairs, np.random.default_rng([self.seed, 4, draw]))
        found = {"swd": float(np.mean(levels))}
        for name in self._see:
            one, other = reals.features[name][real_N], fakes.features[name][fake_N]
            found |= {f"{key}_{name}": value for key, value in neighbours.prdc(one, other).items()}
        found["mmd_net"] = neighbours.mmd(reals.features["net"][real_N], fakes.features["net"][fake_N])
        fake_HW, real_HW = fakes.power_NHW[fake_N].mean(0), reals.power_NHW[real_N].mean(0)
        stripes = spectra.axes_over_diagonals(fake_HW) / spectra.axes_over_diagonals(real_HW)
        found |= {f"stripes_{number}": float(value) for number, value in enumerate(stripes, start=1)}
        found["finest_power"] = float((spectra.band_power(fake_HW) / spectra.band_power(real_HW))[0])
        return found | {"background": float(fakes.background_N[fake_N].mean())}


def judge(fakes_NHW: Images, train_NHW: Images, held_out_NHW: Images, seed: int = 0) -> dict[str, float]:
    """Judge one set of fakes: greys from 0 to 255, (N, H, W) of any type; see `Judge`."""
    return Judge(train_NHW, held_out_NHW, seed).judge(fakes_NHW)


def greys(images_NHW: Images, name: str) -> NDArray[np.float32]:
    """Return images as float32 from 0 to 255; uint16 is taken as 0 to 65535.

    Raises
    ------
    ValueError
        If they aren't (N, H, W), or their greys are plainly of another scale.
    """
    if images_NHW.ndim != 3 or not len(images_NHW):
        raise ValueError(f"{name} has the shape {images_NHW.shape}, and (N, H, W) is wanted.")
    grey_NHW = images_NHW.astype(np.float32) / (257 if images_NHW.dtype == np.uint16 else 1)
    low, high = float(grey_NHW.min()), float(grey_NHW.max())
    if not (np.isfinite(grey_NHW).all() and low >= -64 and 2 < high <= 320):
        raise ValueError(f"{name} has greys from {low:g} to {high:g}, and 0 to 255 is wanted.")
    return np.clip(grey_NHW, 0, 255)
