"""What is learned from: how one source of DICOM files is read, screened, windowed, split and packed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mammogan.config.pixel_settings import Pixels
from mammogan.config.screening_settings import Screening
from mammogan.config.settings import Fraction, Positive, Settings, load_named, packaged
from mammogan.config.source_settings import Source

NO_RELEASE = "Models learned from these images must not be released."
"""Stands in the terms of a model whose images came with that condition; exports go by it."""


class About(Settings):
    """Where the images come from and their licence terms, repeated in every manifest and release."""

    name: str = Field(description="Short name, as it stands in manifests.")
    title: str = Field(description="Full name of the data set.")
    licence: str = Field(description="Licence of the images; repeated with every model and image.")
    conditions: str = Field(default="", description="Further conditions of use, in a sentence.")
    release_models: bool = Field(
        default=True, description="Whether weights that were learned from these images may be passed on."
    )
    citation: str = Field(default="", description="How to cite the data set.")

    @property
    def terms(self) -> str:
        """Say in one line on what terms the images came, for whoever gets what was made of them."""
        line = f"{self.name}: {self.title}. Licence: {self.licence}. {self.conditions}".strip()
        return line if self.release_models else f"{line} {NO_RELEASE}"


class Splits(Settings):
    """Fractions of the patients; a patient is in one split only."""

    train: Fraction = Field(default=0.8, description="Fraction of the patients to train on.")
    validation: Fraction = Field(
        default=0.2, description="Fraction of the patients to score checkpoints with."
    )
    test: Fraction = Field(
        default=0.0, description="Fraction of the patients for the report and the studies."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test add up to {total:g}, not to 1")
        return self


class Packing(Settings):
    """The resolutions that are written, each twice the one before, and the length of a shard."""

    top_px: tuple[Positive, Positive] = Field(
        default=(1280, 1024), description="Height and width of the largest resolution."
    )
    base_px: tuple[Positive, Positive] = Field(
        default=(5, 4), description="Height and width of the smallest resolution."
    )
    samples_per_shard: Positive = Field(default=256, description="Images in one shard.")

    @model_validator(mode="after")
    def _doubles(self) -> Self:
        if self.resolutions[-1] != self.top_px:
            raise ValueError(
                f"base_px {self.base_px} doubled again and again never gives top_px {self.top_px}"
            )
        return self

    @property
    def resolutions(self) -> tuple[tuple[int, int], ...]:
        """Resolutions (height, width), lowest first."""
        resolutions = [self.base_px]
        while resolutions[-1][0] < self.top_px[0]:
            resolutions.append((resolutions[-1][0] * 2, resolutions[-1][1] * 2))
        return tuple(resolutions)


class Dataset(Settings):
    """One recipe: everything that determines which images of a source are used and what they look like."""

    dataset: About
    source: Source = Source()
    screening: Screening = Screening()
    pixels: Pixels = Pixels()
    splits: Splits = Splits()
    packing: Packing = Packing()


def recipes() -> dict[str, Path]:
    """Find the recipes that come with the package, by name; they are those of ``shards``."""
    return {path.parent.name: path for path in packaged("recipes", "*/recipe.toml")}


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Dataset:
    """Load a recipe by its name, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is no such recipe, or it holds a wrong key or value.
    """
    return load_named(Dataset, "recipe", str(name), recipes(), overrides)
