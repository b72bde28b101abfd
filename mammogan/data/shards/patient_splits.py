"""Which patient is in which split: each in one only, whatever sources and images there are of her."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from mammogan.config.dataset import Dataset, Splits
from mammogan.data.store.private_folder import pseudonym

NEW_PATIENTS = """
INSERT INTO patient SELECT DISTINCT patient, rank(patient), NULL FROM found
WHERE outcome = 'accepted' AND recipe = ? AND patient NOT IN (SELECT name FROM patient)
"""


def assign_splits(table: sqlite3.Connection, recipes: Sequence[Dataset], key: bytes) -> None:
    """Give every patient one split; each source keeps its own fractions."""
    table.create_function("rank", 1, lambda patient: pseudonym(key, "split", patient), deterministic=True)
    for index, recipe in enumerate(recipes):
        table.execute(NEW_PATIENTS, [index])
        ranked = table.execute("SELECT name FROM patient WHERE split IS NULL ORDER BY rank")
        count = table.execute("SELECT count(*) FROM patient WHERE split IS NULL").fetchone()[0]
        chosen = zip(splits_by_rank(count, recipe.splits), (name for (name,) in ranked), strict=True)
        table.execute("CREATE TEMP TABLE chosen (split TEXT, name TEXT PRIMARY KEY)")
        table.executemany("INSERT INTO chosen VALUES (?, ?)", chosen)
        table.execute(
            "UPDATE patient SET split = (SELECT split FROM chosen WHERE chosen.name = patient.name) "
            "WHERE split IS NULL"
        )
        table.execute("DROP TABLE chosen")


def splits_by_rank(patients: int, splits: Splits) -> Iterator[str]:
    """Name the split of each of so many patients, ranked by a keyed hash; none is left empty in vain."""
    wanted = {name: part for name, part in splits.model_dump().items() if part > 0}
    names = sorted(wanted, key=lambda name: -wanted[name])[:patients]
    left = patients
    for name in names[1:]:
        size = max(round(wanted[name] * patients), 1)
        left -= size
        yield from (name for _ in range(size))
    yield from (names[0] for _ in range(left))
