"""What is learned from: how one source of DICOM files is read, screened, windowed, split and packed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mammogan.config.settings import Settings, load_named

VIEWS = ("CC", "MLO")
"""The two screening views; a view's number is its place here."""

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Keywords = Annotated[tuple[str, ...], Field(min_length=1)]
Flag = Literal["burned-in", "partial-view", "breast-area", "orientation", "implant-like", "saturated-body"]


class About(Settings):
    """Where the images come from and on what terms; repeated in every manifest and release."""

    name: str
    title: str
    licence: str
    conditions: str = ""
    citation: str = ""


class Source(Settings):
    """The DICOM keywords that view, laterality and patient are read from, in order of trust.

    `patient_pattern` is a regular expression; what its first group (or all of it) matches is the patient. An
    empty pattern takes the whole value.
    """

    view: Keywords = ("ViewCodeSequence", "ViewPosition")
    laterality: Keywords = ("ImageLaterality", "Laterality", "FrameLaterality")
    patient: Keywords = ("PatientID",)
    patient_pattern: str = ""

    @field_validator("patient_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class Screening(Settings):
    """Which files are mammograms that one may learn from; an empty text stands for an absent value.

    Fractions are of the frame (`breast_area`) or of the breast (`saturated_area`, `implant_area`). Rules
    named in `only_flag` mark an image in its JSON and let it pass.
    """

    modalities: tuple[str, ...] = ("MG",)
    sop_classes: tuple[str, ...] = ("DigitalMammographyXRayImageStorageForPresentation",)
    intents: tuple[str, ...] = ("FOR PRESENTATION",)
    view_modifiers: tuple[str, ...] = ()
    refused_words: tuple[str, ...] = (
        "biops",
        "specimen",
        "stereotac",
        "localiz",
        "localis",
        "needle",
        "wire",
    )
    synthetic_2d: bool = False
    smallest_px: tuple[Positive, Positive] = (1280, 1024)
    largest_px: tuple[Positive, Positive] = (8192, 8192)
    max_magnification: Annotated[float, Field(ge=1)] = 1.4
    breast_area: tuple[Fraction, Fraction] = (0.05, 0.85)
    saturated_area: Fraction = 0.0003
    implant_area: Fraction = 0.08
    only_flag: tuple[Flag, ...] = ("burned-in", "saturated-body")


class Pixels(Settings):
    """How stored values become grey: VOI table or window `voi_index`, else `fallback`.

    ``stored-range`` maps all that the stored bits can say to black..white; ``breast-range`` maps the
    background to black and the percentile `white_percentile` of the breast to white; ``refuse`` refuses the
    image. `border_crop` is the fraction cut from every side, `chest_wall_trim` the widest empty strip
    (fraction of the width) taken away between frame and chest wall; films need both. `breast_threshold` is
    how far above the background, as a fraction of black..white, breast begins; what is thinner than the
    fraction `thin_part` of the height (letters, a scan's edge) is no breast.
    """

    voi_index: Annotated[int, Field(ge=0)] = 0
    fallback: Literal["stored-range", "breast-range", "refuse"] = "refuse"
    white_percentile: Annotated[float, Field(gt=50, le=100)] = 99.9
    border_crop: Annotated[float, Field(ge=0, lt=0.25)] = 0.0
    chest_wall_trim: Annotated[float, Field(ge=0, lt=0.25)] = 0.0
    breast_threshold: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    thin_part: Annotated[float, Field(ge=0, lt=0.1)] = 0.01


class Splits(Settings):
    """Fractions of the patients; a patient is in one split only."""

    train: Fraction = 0.8
    validation: Fraction = 0.2
    test: Fraction = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test add up to {total:g}, not to 1")
        return self


class Packing(Settings):
    """The rungs written, (height, width) from `base_px` doubling to `top_px`, and a shard's length."""

    top_px: tuple[Positive, Positive] = (1280, 1024)
    base_px: tuple[Positive, Positive] = (5, 4)
    samples_per_shard: Positive = 256

    @model_validator(mode="after")
    def _doubles(self) -> Self:
        if self.rungs[-1] != self.top_px:
            raise ValueError(
                f"base_px {self.base_px} doubled again and again never gives top_px {self.top_px}"
            )
        return self

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """Resolutions (height, width), lowest first."""
        rungs = [self.base_px]
        while rungs[-1][0] < self.top_px[0]:
            rungs.append((rungs[-1][0] * 2, rungs[-1][1] * 2))
        return tuple(rungs)


class Dataset(Settings):
    """One recipe: everything that decides which images a source gives and what they look like."""

    dataset: About
    source: Source = Source()
    screening: Screening = Screening()
    pixels: Pixels = Pixels()
    splits: Splits = Splits()
    packing: Packing = Packing()


def recipes() -> dict[str, Path]:
    """Find the recipes that come with MammoGAN, by name: of the checkout, or of the installed package."""
    checkout = Path(__file__).parents[2] / "shards"
    installed = Path(sys.prefix) / "share" / "mammogan" / "shards"
    folder = checkout if checkout.is_dir() else installed
    return {path.parent.name: path for path in sorted(folder.glob("*/recipe.toml"))}


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Dataset:
    """Load a recipe by its name, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is no such recipe, or it holds a wrong key or value.
    """
    return load_named(Dataset, "recipe", str(name), recipes(), overrides)
