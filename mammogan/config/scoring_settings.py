"""How checkpoints are scored and chosen, and what is drawn and measured of the chosen one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mammogan.config.settings import GrownSettings, NonNegative, Positive, Settings

MeasureName = Literal["swd", "band-power", "anisotropy", "background", "deviation", "coverage"]


class Scoring(GrownSettings):
    """Sliced Wasserstein distance: how many images (half of each view) and checkpoints, how it is drawn.

    Beside it stand measures of what it does not see: power by octave, anisotropy, background, deviation and
    coverage. The error of a score comes from `splits`, halves of synthetics and of reals: it covers which
    images were drawn, and their patches.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"splits", "measured"})

    images: Positive = Field(
        default=16384, description="Images that are compared for one score, half of each view."
    )
    checkpoints: Annotated[int, Field(ge=1)] = Field(
        default=4, description="Checkpoints of each stage that are scored."
    )
    checkpoints_per_task: Positive = Field(default=1, description="Checkpoints that one array task scores.")
    patches_per_image: Positive = Field(
        default=128, description="Patches that are taken from each image and level."
    )
    directions: Positive = Field(default=128, description="Random directions of one projection.")
    repeats: Positive = Field(default=4, description="Projections of each set of patches.")
    seeds: Positive = Field(
        default=5,
        description="Independent draws of patches and directions, whose mean is the score.",
    )
    splits: Annotated[int, Field(ge=5)] = Field(
        default=16,
        description="Random halvings of synthetics and of real patients, from which the score's error over "
        "fresh draws of images is estimated.",
    )
    measured: Positive = Field(
        default=2048,
        description="Images of those compared, half of each view, that the measures beside SWD are taken of.",
    )
    kept: Annotated[int, Field(ge=1)] = Field(
        default=3, description="Best checkpoints of each stage that are kept after the selection."
    )


class Selection(GrownSettings):
    """Which scored checkpoint of the last stage is chosen: the lowest by `measures`, one after the other.

    The first is SWD above the floor, in the mean over levels and both views. Who is within `tie_sd` errors
    of the lowest ties with it; the next measure decides among those, and of what still ties the latest is
    chosen. Checkpoints that are washed out or veiled are not chosen, unless all are.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"measures", "deviation_min", "background_max"})

    rule: Literal["lowest-swd"] = Field(
        default="lowest-swd",
        description='The rule of the selection; what it was up to 0.2.0 is `measures = ["swd"]`.',
    )
    measures: Annotated[tuple[MeasureName, ...], Field(min_length=1)] = Field(
        default=("swd", "band-power", "coverage"),
        description="What decides, in this order, each among the ties of the one before: `swd`, "
        "`band-power`, `anisotropy`, `background`, `deviation` or `coverage`.",
    )
    tie_sd: NonNegative = Field(
        default=2.0,
        description="Checkpoints within so many errors of the lowest tie with it: deviations of the "
        "difference over fresh draws of synthetics and reals.",
    )
    deviation_min: NonNegative = Field(
        default=0.5,
        description="Checkpoints whose images deviate from each other by less than this part of what reals "
        "do are washed out, and not chosen; 0 allows all.",
    )
    background_max: NonNegative = Field(
        default=4.0,
        description="Checkpoints whose background is by more than so many greys of 255 brighter than that of "
        "reals are veiled, and not chosen; 255 allows all.",
    )


class Sampling(GrownSettings):
    """The pool that a finished run draws from its chosen checkpoint, and how a GPU draws any image.

    A GPU draws and scores by deterministic algorithms: the same bytes on one kind of GPU, by any tasks.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"tf32"})

    images_per_view: Positive = Field(default=1000, description="Images of each view in the pool.")
    images_per_task: Positive = Field(default=500, description="Images that one array task draws.")
    tf32: bool = Field(
        default=False,
        description="On a GPU draw and score with fp32 numbers multiplied as TF32: sooner, and further from "
        "what a CPU draws.",
    )


class Assessment(Settings):
    """What the report's measures are taken from, and how closely: at most so many images of each view.

    As many synthetics, held-out reals and training reals are looked at; `pairs` are compared for diversity.
    Intervals come of `bootstraps`, and what reals are to each other of `splits` into halves of the patients.
    """

    images_per_view: Positive = Field(
        default=5000, description="Most images of each view and source that are measured."
    )
    images_per_task: Positive = Field(default=1000, description="Images that one array task measures.")
    pairs: Positive = Field(default=2000, description="Pairs of images that are compared for diversity.")
    bootstraps: Annotated[int, Field(ge=20)] = Field(
        default=2000, description="Resamples behind each 95 % interval."
    )
    splits: Annotated[int, Field(ge=5)] = Field(
        default=200,
        description="Random halvings of the real patients, from which reals beside reals are measured.",
    )
