"""What a shard set is made from: a recipe and a folder a source, written down before anything is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.config.dataset import Dataset
from mammogan.config.settings import canonical_json
from mammogan.data.store import private_folder
from mammogan.errors import ConfigError, DataError
from mammogan.files import write

if TYPE_CHECKING:
    from mammogan.data.shards.archive import Archive


@dataclass(frozen=True)
class Sources:
    """The sources of the set whose private folder is `secret`, by their place in the list.

    `lists` are hashes of what their lists said when they were written down.
    """

    secret: Path
    recipes: tuple[Dataset, ...]
    folders: tuple[Path, ...]
    lists: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash by which an interrupted planning knows its own work again."""
        return _digest(self.recipes, self.folders, self.lists)

    def archive(self, index: int) -> Archive:
        """Open source `index` with its tables."""
        return _archive(self.secret, index)

    def index_tables(self) -> None:
        """Read the metadata tables of every source once, so that each worker can look into them.

        Raises
        ------
        DataError
            If a table is missing, or lacks a column.
        """
        from mammogan.data.shards.metadata_tables import index_tables

        (self.secret / "tables").mkdir(mode=0o700, exist_ok=True)
        for index, (recipe, folder) in enumerate(zip(self.recipes, self.folders, strict=True)):
            index_tables(recipe.source, folder, self.secret / "tables" / f"{index}.sqlite")


def digest(wanted: Sequence[tuple[Dataset, Path]]) -> str:
    """Hash recipes, folders, and what the lists of images say."""
    recipes, folders = zip(*wanted, strict=True)
    return _digest(recipes, folders, [_lists(recipe, folder) for recipe, folder in wanted])


def _digest(recipes: Sequence[Dataset], folders: Sequence[Path], lists: Sequence[str]) -> str:
    tree = [
        [recipe.model_dump(mode="json"), str(folder.resolve()), *([listed] if listed else [])]
        for recipe, folder, listed in zip(recipes, folders, lists, strict=True)
    ]
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def _lists(recipe: Dataset, folder: Path) -> str:
    """Hash the entries of a source's lists, which a steward edits between two plans; empty without any."""
    from mammogan.data.shards.image_lists import entries

    found = list(entries(recipe.source, folder if folder.is_dir() else folder.parent))
    return hashlib.sha256(canonical_json(found).encode()).hexdigest() if found else ""


def save(shardset: Path, sources: Sequence[tuple[Dataset, Path]]) -> Sources:
    """Write down the sources of a set.

    Raises
    ------
    DataError
        If a source's folder does not exist, is named twice, or would hold the set itself; if a table or
        list of its recipe is missing, or lacks a column.
    ConfigError
        If the recipes don't agree on the rungs and shards to write, or if one names what DICOM doesn't know.
    """
    from mammogan.data.dicom.fields import check, check_classes
    from mammogan.data.shards.metadata_tables import open_tables

    if any(recipe.packing != sources[0][0].packing for recipe, _ in sources):
        raise ConfigError(
            "The recipes of one shard set must agree on their table [packing]: set it alike in all."
        )
    for place, (recipe, folder) in enumerate(sources):
        check(recipe.source)
        check_classes(recipe.screening.sop_classes)
        if not folder.exists():
            raise DataError(f"There is no folder '{folder}' to take mammograms from.")
        if folder.resolve() in {before.resolve() for _, before in sources[:place]}:
            raise DataError(f"'{folder}' is given twice with --from: name each folder once.")
        if shardset.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"The shard set '{shardset}' would lie inside its source '{folder}', and be read as a part "
                "of it. Give it a folder elsewhere."
            )
        open_tables(recipe.source, folder)  # hours earlier than a job would miss a column
    tree = [
        {
            "recipe": recipe.model_dump(mode="json"),
            "folder": str(folder.resolve()),
            "lists": _lists(recipe, folder),
        }
        for recipe, folder in sources
    ]
    write(private_folder.create(shardset) / "sources.json", json.dumps(tree, indent=1), mode=0o600)
    load.cache_clear()
    _archive.cache_clear()
    return load(private_folder.folder(shardset))


@lru_cache(maxsize=2)
def load(secret: Path) -> Sources:
    """Read the sources from a set's private folder.

    Raises
    ------
    DataError
        If they were never written down there.
    """
    path = secret / "sources.json"
    if not path.exists():
        raise DataError(
            f"'{path}' is missing: only it knows where the images come from. "
            "Put the private folder back beside the set, or plan the set again where its sources are."
        )
    tree = json.loads(path.read_text(encoding="utf-8"))
    recipes = tuple(Dataset.model_validate(source["recipe"]) for source in tree)
    folders = tuple(Path(source["folder"]) for source in tree)
    return Sources(secret, recipes, folders, tuple(source.get("lists", "") for source in tree))


@lru_cache(maxsize=8)
def _archive(secret: Path, index: int) -> Archive:
    from mammogan.data.shards.archive import Archive

    of = load(secret)
    return Archive(of.recipes[index].source, of.folders[index], secret / "tables" / f"{index}.sqlite")
