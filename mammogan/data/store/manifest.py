"""What is written down about a shard set: the plan, the record of each built shard, and the manifest."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_serializer, model_validator

from mammogan.config.dataset import Dataset
from mammogan.config.label_fields import LABEL_FIELDS
from mammogan.config.settings import Settings, canonical_json, first_problem
from mammogan.errors import DataError

SCHEMA_VERSION: Literal[2] = 2
"""Counts up whenever the same files and recipes would give other bytes."""

PLAN, MANIFEST = "plan.json", "manifest.json"
Record = TypeVar("Record", bound=Settings)
PowerSums = tuple[int, int, int, int, int]
"""Of grey levels 0..4095: their number, and the sums of their first to fourth powers."""


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
    """An image that passed the screening of its header; `recipe` is its place in the plan's list.

    These are all the facts of a DICOM header that ever leave it. Beside the named ones it has one for each
    field of `mammogan.config.label_fields.LABEL_FIELDS`, empty if unknown, and is written flat.
    """

    key: str
    recipe: int
    view: str
    laterality: str
    label_values: dict[str, str] = Field(default={})
    flags: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _gather_labels(cls, tree: object) -> object:
        if not isinstance(tree, dict) or "label_values" in tree:
            return tree
        labels = {name: tree.get(name, "") for name in LABEL_FIELDS}
        return {name: value for name, value in tree.items() if name not in labels} | {"label_values": labels}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        own = {"key": self.key, "recipe": self.recipe}
        return {**own, **self.labels, "flags": self.flags}

    @property
    def labels(self) -> dict[str, str]:
        """What a model may be conditioned on, and the side."""
        return {"view": self.view, "laterality": self.laterality, **self.label_values}


class PlannedShard(Settings):
    """The images that go into one shard of every rung; `sha256` is of their keys, in the shard's order."""

    name: str
    split: str
    samples: int
    sha256: str


class Listed(Settings):
    """Of a source's list, how many entries there are, and how many of them name a file that was found."""

    recipe: str
    name: str
    entries: int
    matched: int


class Plan(Settings):
    """Which shards there will be; which images they hold stands in the private folder.

    `joined_patients` counts patient IDs that turned out, by identical pixels, to be a woman's who has another
    ID; `flags` are those of planned images.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    identity: str
    recipes: tuple[Dataset, ...]
    shards: tuple[PlannedShard, ...]
    tallies: tuple[Tally, ...]
    flags: dict[str, int] = Field(default={})
    lists: tuple[Listed, ...] = ()
    joined_patients: int = 0

    @property
    def resolutions(self) -> tuple[tuple[int, int], ...]:
        """Resolutions (height, width), lowest first."""
        return self.recipes[0].packing.resolutions


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
    """Moments over all pixels of a rung's training images: mean and sd on a scale from 0 to 1."""

    height_px: int
    width_px: int
    mean: float
    sd: float
    skewness: float
    kurtosis: float


class BuiltShard(Settings):
    """What the building of one planned shard gave, by sample key; it stays in the private folder.

    `pixels_sha256` has an entry for each image that was made, those of `duplicates` and `astray` included,
    which are taken out again when all shards are there. `sums` are over all pixels of each rung. `seen` has
    what was measured of a refused image, and the thresholds.
    """

    name: str
    files: tuple[ShardFile, ...]
    refused: dict[str, str]
    unreadable: dict[str, str]
    flags: dict[str, tuple[str, ...]]
    pixels_sha256: dict[str, str]
    sums: tuple[PowerSums, ...]
    duplicates: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    seen: dict[str, tuple[dict[str, Any], dict[str, Any]]] = Field(default={})


class RecipeRecord(Settings):
    """The terms of one source, and the settings that its images were made with."""

    name: str
    title: str
    licence: str
    conditions: str
    release_models: bool
    citation: str
    sha256: str
    settings: Dataset


class Manifest(Settings):
    """The set as built: what it holds, on what terms, and the checksum of every file.

    `joined_patients` counts those of the plan, and those found when all images were made.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    identity: str
    recipes: tuple[RecipeRecord, ...]
    rungs_px: tuple[tuple[int, int], ...]
    tallies: tuple[Tally, ...]
    counts: tuple[Count, ...]
    flags: dict[str, int]
    moments: tuple[Moments, ...]
    files: tuple[ShardFile, ...]
    joined_patients: int = 0

    @property
    def images(self) -> int:
        """Images in every rung."""
        return sum(count.images for count in self.counts)


def identity(recipes: tuple[Dataset, ...], shards: tuple[PlannedShard, ...]) -> str:
    """Hash what decides every byte of a set: recipes, sample keys and their places."""
    places = [[shard.name, shard.sha256] for shard in shards]
    tree = [SCHEMA_VERSION, [recipe.model_dump(mode="json") for recipe in recipes], places]
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def without_paths(recipe: Dataset) -> Dataset:
    """Return a recipe as it may travel: the files beside its images are numbered, not named."""
    tables = tuple(
        table.model_copy(update={"file": f"table-{number}"})
        for number, table in enumerate(recipe.source.tables, start=1)
    )
    lists = {
        name: name for name in ("include_list", "exclude_list", "accept_list") if getattr(recipe.source, name)
    }
    source = recipe.source.model_copy(update={"tables": tables, **lists})
    return recipe.model_copy(update={"source": source})


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
    content = path.read_bytes()
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        written = re.search(rb'"schema_version": ?(\d+)', content[:1000])
        if written and int(written[1]) != SCHEMA_VERSION:
            raise DataError(
                f"'{path}' has schema_version '{int(written[1])}', and this MammoGAN reads "
                f"{SCHEMA_VERSION}: use the version that wrote it, or plan and build the set anew in another "
                "folder; with --key and the key of the old private folder its images keep their names."
            ) from None
        raise DataError(
            f"'{path}' is damaged or was written by another version of MammoGAN ({first_problem(error)}). "
            "Build the shard set anew."
        ) from None


def load_plan(shardset: Path) -> Plan:
    """Read the plan of a set.

    Raises
    ------
    DataError
        If there is none.
    """
    path = shardset / PLAN
    if not path.exists():
        raise DataError(
            f"'{shardset}' is not a shard set: it has no '{PLAN}'. "
            f"Make one with: mammogan shards plan {shardset} --from RECIPE=FOLDER"
        )
    return load_record(Plan, path)


def find_manifest(shardset: Path, plan: Plan) -> Manifest | None:
    """Read the manifest of a set, if every shard of its plan is there."""
    path = shardset / MANIFEST
    found = load_record(Manifest, path) if path.exists() else None
    return found if found and found.identity == plan.identity else None


def load_manifest(shardset: Path, plan: Plan) -> Manifest:
    """Read the manifest of a set.

    Raises
    ------
    DataError
        If the set is planned only.
    """
    found = find_manifest(shardset, plan)
    if found is None:
        raise DataError(
            f"The shard set '{shardset}' is planned, not built. Run: mammogan shards build {shardset}"
        )
    return found
