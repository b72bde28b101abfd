"""What is measured of a checkpoint's images: distances to reals, the floor, and what these do not see."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class LevelDistance(BaseModel):
    """SWD x 1000 at one level of the Laplacian pyramid: mean and deviation over seeds, and reals to reals.

    `error` is the deviation over fresh draws of images, None where it is not known.
    """

    model_config = ConfigDict(frozen=True)
    height_px: int
    width_px: int
    swd: float
    sd: float
    floor: float
    error: float | None = None


class Distance(BaseModel):
    """SWD x 1000 in the mean over levels, and level by level, the finest first; as in `LevelDistance`."""

    model_config = ConfigDict(frozen=True)
    swd: float
    sd: float
    floor: float
    error: float | None = None
    levels: tuple[LevelDistance, ...] = ()


class RegionDistance(Distance):
    """The same over all views at once, and view by view."""

    views: dict[str, Distance] = {}


class Measure(BaseModel):
    """A measure of a checkpoint's images beside the reals; None where images are too small to have it.

    Attributes
    ----------
    value, null
        Of the synthetics, and of reals of other patients, in the mean over views: ``band-power`` mean
        doublings or halvings of power over octaves and directions; ``anisotropy`` and ``deviation``
        synthetics by reals; ``background`` greys of 255 above the reals'; ``coverage`` a share of the reals.
    off, error
        How far from alike, 0 at best, and its deviation over fresh draws of synthetics and reals.
    halves
        What the error comes from, as in `ScoredImages`.
    views, octaves
        The value by view; and synthetics by reals by octave, where the measure has octaves.
    """

    model_config = ConfigDict(frozen=True)
    value: float | None
    null: float | None
    off: float | None
    error: float | None = None
    halves: tuple[float, ...] = ()
    views: dict[str, float | None] = {}
    octaves: dict[str, float | None] = {}


class ScoredImages(RegionDistance):
    """What distances say of a set of images beside the floors.

    Attributes
    ----------
    above_floor
        What checkpoints are chosen by: the mean over levels and views of SWD minus floor.
    above_floor_sd
        Its standard deviation from seed to seed of patches and directions, the images being the same.
    above_floor_error
        Its standard deviation over fresh draws of fakes and of reals; None in scores that do not know it.
    above_floor_halves
        What that comes from: half the difference of two halves of the images, split by split. Scores of the
        same reals share their halves, so that the error of a difference comes from the differences of these.
    grouped_by
        What reals stayed together by when they were split: ``image`` where patients are not known, and then
        the error is too small if patients have several images.
    breast
        The same for patches in the breast alone; None in scores that do not know it.
    measures
        What the distance does not see, by name; empty in scores that do not know it.
    """

    above_floor: float
    above_floor_sd: float
    above_floor_error: float | None = None
    above_floor_halves: tuple[float, ...] = ()
    grouped_by: Literal["patient", "image"] | None = None
    breast: RegionDistance | None = None
    measures: dict[str, Measure] = {}

    @property
    def regions(self) -> dict[str, RegionDistance]:
        """The whole image, and the breast where it is known, by name."""
        return {"image": self} | ({"breast": self.breast} if self.breast else {})
