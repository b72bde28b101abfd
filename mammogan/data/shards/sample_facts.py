"""What a shard set knows of its images beside their labels: whose they are, and how large a pixel is."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store.private_folder import folder
from mammogan.data.store.shard_writer import load_index, read_notes

NOTED = 200
"""Images whose pixels' size is looked up: their median is asked for, and no more."""


def patients(shardset: ShardSet, split: str, keys: Iterable[str]) -> list[int] | None:
    """Give samples' patients as numbers from 0 on; None where the private folder, which knows them, is not.

    Numbers follow from nothing but the order of `keys`, and tell nothing of a patient.
    """
    if not (folder(shardset.path) / "plan").is_dir():
        return None
    wanted = list(keys)
    named: dict[str, str] = dict.fromkeys(wanted, "")
    for shard in shardset.plan.shards:
        if shard.split == split:
            for line in planned_lines(shardset.path, shard):
                if line["sample"]["key"] in named:
                    named[line["sample"]["key"]] = line["patient"]
    numbers: dict[str, int] = {}
    return [numbers.setdefault(named[key] or key, len(numbers)) for key in wanted]


def spacing_mm(shardset: ShardSet, size_px: tuple[int, int]) -> float | None:
    """Give the median size of a pixel in the first training images of a rung; None if most don't know it."""
    found: list[float | None] = []
    for file in shardset.manifest.files:
        if (file.height_px, file.width_px, file.split) != (*size_px, "train") or len(found) >= NOTED:
            continue
        with tarfile.open(shardset.path / file.path) as tar:
            notes = read_notes(tar, load_index(shardset.path, file), Path(file.path).stem)
        found += [json.loads(note).get("pixel_spacing_mm") for note in notes[: NOTED - len(found)]]
    known = [value for value in found if value]
    return median(known) if 2 * len(known) > len(found) else None
