"""The tables of a review, and where each reviewer is: all of it follows from the events."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from mammogan.study.web.answer_store import Snapshot, Tables
from mammogan.study.web.event_journal import Event

JUDGED, UNDONE, FINISHED = "judged", "undone", "finished"
LOG = ("rt_ms", "max_zoom", "wl_changes", "hidden_ms")
"""What is noted with a verdict."""
_SCHEMA = f"""
CREATE TABLE verdicts (
    reviewer INTEGER, position INTEGER, picture TEXT, artefacts TEXT, {", ".join(LOG)}, t TEXT,
    UNIQUE (reviewer, position)
);
CREATE TABLE undone (reviewer INTEGER, position INTEGER);
CREATE TABLE finished (reviewer INTEGER PRIMARY KEY, t TEXT)
"""


def _apply(connection: sqlite3.Connection, event: Event) -> None:
    kind, reviewer = event["kind"], event.get("reviewer")
    if kind == JUDGED:
        values = [event[name] for name in ("position", "picture")]
        values += [" ".join(event["artefacts"]), *(event[name] for name in LOG), event["t"]]
        places = ", ".join("?" * (1 + len(values)))
        connection.execute(
            f"INSERT OR IGNORE INTO verdicts VALUES ({places})",  # noqa: S608
            (reviewer, *values),
        )
    elif kind == UNDONE:
        where = (reviewer, event["position"])
        connection.execute("DELETE FROM verdicts WHERE reviewer = ? AND position = ?", where)
        connection.execute("INSERT INTO undone VALUES (?, ?)", where)
    elif kind == FINISHED:
        connection.execute("INSERT OR IGNORE INTO finished VALUES (?, ?)", (reviewer, event["t"]))


TABLES = Tables(lambda: _SCHEMA, _apply)


@dataclass(frozen=True)
class Verdict:
    """One reviewer's verdict on a picture: the kinds of artefacts seen, none if it is clean."""

    reviewer: int
    picture: str
    artefacts: tuple[str, ...]


def verdicts(snapshot: Snapshot) -> list[Verdict]:
    """Return all verdicts that stand, by reviewer and in their order."""
    rows = snapshot.rows("SELECT reviewer, picture, artefacts FROM verdicts ORDER BY reviewer, position")
    return [Verdict(row["reviewer"], row["picture"], tuple(row["artefacts"].split())) for row in rows]


def judged(snapshot: Snapshot, reviewer: int) -> int:
    """Count a reviewer's verdicts that stand; it is the position of the picture that is due."""
    return int(snapshot.value("SELECT count(*) FROM verdicts WHERE reviewer = ?", reviewer))


def artefacts_at(snapshot: Snapshot, reviewer: int, position: int) -> str | None:
    """Return the kinds of artefacts that a verdict names, apart by blanks; None if there is none."""
    found: str | None = snapshot.value(
        "SELECT artefacts FROM verdicts WHERE reviewer = ? AND position = ?", reviewer, position
    )
    return found


def undone(snapshot: Snapshot, reviewer: int) -> int:
    """Count the verdicts that a reviewer took back."""
    return int(snapshot.value("SELECT count(*) FROM undone WHERE reviewer = ?", reviewer))


def is_finished(snapshot: Snapshot, reviewer: int) -> bool:
    """Whether a reviewer has ended the session."""
    return snapshot.value("SELECT 1 FROM finished WHERE reviewer = ?", reviewer) is not None
