"""What is written down about a shard set: the plan, the record of each built shard, and the manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self, TypeVar

from pydantic import ValidationError, model_validator

from mammogan.config.dataset import Dataset
from mammogan.config.settings import Settings, canonical_json
from mammogan.errors import DataError

SCHEMA_VERSION = 1
"""Counts up whenever the same files and recipes would give other bytes."""

PLAN, MANIFEST = "plan.json", "manifest.json"
Record = TypeVar("Record", bound=Settings)


class Tally(Settings):
    """What became of every file of one source: as many outcomes as files, always."""

    recipe: str
    files: int
    accepted: int
    refused: dict[str, int]
    unreadable: dict[str, int]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        outcomes = self.accepted + sum(self.refused.values()) + sum(self.unreadable.values())
        assert outcomes == self.files, f"{self.files} files, but {outcomes} outcomes"
        return self


class Sample(Settings):
    """An image that passed the screening of its header; `recipe` is its place in the plan's list."""

    key: str
    recipe: int
    view: str
    laterality: str
    vendor: str
    flags: tuple[str, ...] = ()


class PlannedShard(Settings):
    """The images that go into one shard of every rung, in the order of their keys: a keyed shuffle."""

    name: str
    split: str
    samples: tuple[Sample, ...]


class Plan(Settings):
    """Which image goes where; all that building needs, save the paths, which are private."""

    schema_version: int = SCHEMA_VERSION
    identity: str
    recipes: tuple[Dataset, ...]
    shards: tuple[PlannedShard, ...]
    tallies: tuple[Tally, ...]

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """Resolutions (height, width), lowest first."""
        return self.recipes[0].packing.rungs


class ShardFile(Settings):
    """One tar of one rung, with the index that goes beside it."""

    path: str
    index: str
    split: str
    height_px: int
    width_px: int
    samples: int
    bytes: int
    sha256: str
    index_sha256: str


class Count(Settings):
    """Images of one kind."""

    recipe: str
    split: str
    view: str
    vendor: str
    images: int


class Moments(Settings):
    """Exact sums over a rung's training pixels, on a scale from 0 to 1."""

    height_px: int
    width_px: int
    mean: float
    sd: float


class BuiltShard(Settings):
    """What the building of one planned shard gave; `power_sums` are pixels, sum, sum of squares by rung."""

    name: str
    files: tuple[ShardFile, ...]
    refused: dict[str, str]
    unreadable: dict[str, str]
    counts: tuple[Count, ...]
    flags: dict[str, int]
    power_sums: tuple[tuple[int, int, int], ...]


class RecipeRecord(Settings):
    """The terms of one source, and the settings that its images were made with."""

    name: str
    title: str
    licence: str
    conditions: str
    citation: str
    sha256: str
    settings: Dataset


class Manifest(Settings):
    """The set as built: what it holds, on what terms, and the checksum of every file."""

    schema_version: int = SCHEMA_VERSION
    identity: str
    recipes: tuple[RecipeRecord, ...]
    rungs_px: tuple[tuple[int, int], ...]
    tallies: tuple[Tally, ...]
    counts: tuple[Count, ...]
    flags: dict[str, int]
    moments: tuple[Moments, ...]
    files: tuple[ShardFile, ...]

    @property
    def images(self) -> int:
        """Images in every rung."""
        return sum(count.images for count in self.counts)


def identity(recipes: tuple[Dataset, ...], shards: tuple[PlannedShard, ...]) -> str:
    """Hash what decides every byte of a set: recipes, sample keys and their places."""
    keys = [[shard.name, [sample.key for sample in shard.samples]] for shard in shards]
    tree = [SCHEMA_VERSION, [recipe.model_dump(mode="json") for recipe in recipes], keys]
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def recipe_record(recipe: Dataset) -> RecipeRecord:
    """Write down a recipe's terms and settings."""
    text = canonical_json(recipe.model_dump(mode="json"))
    about = recipe.dataset.model_dump()
    return RecipeRecord(**about, sha256=hashlib.sha256(text.encode()).hexdigest(), settings=recipe)


def render(record: Settings) -> str:
    """Spell a record as JSON, always the same way."""
    return record.model_dump_json(indent=1) + "\n"


def load_record(model: type[Record], path: Path) -> Record:
    """Read a record that this package wrote.

    Raises
    ------
    DataError
        If it is damaged or of another version.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise DataError(
            f"'{path}' is damaged or was written by another version of MammoGAN ('{key}': {first['msg']}). "
            "Build the shard set anew."
        ) from None
