"""What became of every file of a planned or built set: looking one up, and comparing two plans."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.build_status import record_path
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import PLAN, BuiltShard, load_plan, load_record
from mammogan.data.store.private_folder import Line

KEY = re.compile(r"[0-9a-f]{8,32}")
"""An image's key, or its beginning."""
TABLE = "CREATE TABLE seen (plan INT, recipe INT, path TEXT, outcome TEXT, reason TEXT, key TEXT)"
INDEX = "CREATE INDEX by_path ON seen (recipe, path, plan)"
# One row a file: the outcomes by the two plans, empty where one has no such file.
CHANGED = """
SELECT was, was_reason, now, now_reason, count(*), min(key) FROM (
  SELECT max(CASE plan WHEN 0 THEN outcome ELSE '' END) AS was,
    max(CASE plan WHEN 0 THEN reason ELSE '' END) AS was_reason,
    max(CASE plan WHEN 1 THEN outcome ELSE '' END) AS now,
    max(CASE plan WHEN 1 THEN reason ELSE '' END) AS now_reason, max(key) AS key
  FROM seen GROUP BY recipe, path)
WHERE was <> now OR was_reason <> now_reason
GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 5 DESC, 2, 4
"""


def lines(shardset: Path, *, built: bool = True) -> Iterator[Line]:
    """Give a line for every file, with the shard that it is planned into; with `built`, as its build ended.

    Raises
    ------
    DataError
        If there is no plan, or the private folder is not at hand.
    """
    folder = private_folder.folder(shardset)
    yield from private_folder.read_lines(folder / "refused.jsonl")
    ledger = folder / "ledger.jsonl"
    planned = load_plan(shardset).shards
    ended = private_folder.read_lines(ledger) if built and ledger.exists() else iter(())
    later = {line["key"]: line for line in ended if "flags" in line and line["outcome"] != "accepted"}
    for shard in planned:
        for line in planned_lines(shardset, shard):
            sample = line["sample"]
            found = {
                "path": line["path"],
                "recipe": sample["recipe"],
                "outcome": "accepted",
                "reason": "",
                "key": sample["key"],
                "uid": line.get("uid", ""),
                "flags": sample["flags"],
                "shard": shard.name,
            }
            yield found | later.get(sample["key"], {})


def find(shardset: Path, what: str) -> list[Line]:
    """Find files of a set by path, by key or its first digits (8 at least), or by SOP Instance UID."""
    paths = {what, os.path.abspath(what), str(Path(what).resolve())}  # noqa: PTH100  (keeps links)
    key = what if KEY.fullmatch(what) else None
    return [
        line
        for line in lines(shardset)
        if line["path"] in paths
        or line["path"].endswith(f"/{what}")
        or line.get("uid") == what
        or (key and line.get("key", "").startswith(key))
    ]


def examples(shardset: Path) -> dict[tuple[int, str, str], str]:
    """Give for each source, outcome and reason the key of one file; none where the private folder is not."""
    found: dict[tuple[int, str, str], str] = {}
    if (private_folder.folder(shardset) / "refused.jsonl").exists():
        for line in lines(shardset):
            place = (line["recipe"], line["outcome"], line["reason"])
            found[place] = min(found.get(place, "g"), line.get("key") or "g")
    return {place: key for place, key in found.items() if key != "g"}


@dataclass(frozen=True)
class Change:
    """So many files that a plan treats otherwise than the one before; an empty outcome is that of no file."""

    was: str
    was_reason: str
    outcome: str
    reason: str
    files: int
    example: str


class Comparison:
    """The outcomes of the plan that a set has, kept out of memory to be compared with those of another.

    With `built`, what was refused when images were made counts, too: then both sets must be built.
    """

    def __init__(self, shardset: Path, *, built: bool = False) -> None:
        self._table = sqlite3.connect("")  # a file of its own, which nobody sees
        self._table.execute(TABLE)
        self._built = built
        self._take(0, shardset)

    def changes(self, shardset: Path) -> list[Change]:
        """Compare with the plan that `shardset` has now."""
        self._take(1, shardset)
        self._table.execute(INDEX)
        return [Change(*row) for row in self._table.execute(CHANGED)]

    def _take(self, number: int, shardset: Path) -> None:
        if (shardset / PLAN).exists():
            names = ("outcome", "reason", "key")
            rows = (
                (number, line["recipe"], json.dumps(line["path"]), *(line.get(name) for name in names))
                for line in lines(shardset, built=self._built)
            )
            self._table.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)


def twins(shardset: Path, key: str) -> list[str]:
    """Find the images of a built set that came out with the same pixels as that of `key`."""
    plan = load_plan(shardset)
    paths = [record_path(shardset, plan, shard) for shard in plan.shards]
    pixels: dict[str, str] = {}
    for path in paths:
        if path.exists():
            pixels |= load_record(BuiltShard, path).pixels_sha256
    return sorted(other for other, same in pixels.items() if same == pixels.get(key) and other != key)
