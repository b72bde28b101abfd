"""The tables of a study, and where each participant is: all of it follows from the events."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mammogan.study.questions import QUESTIONS
from mammogan.study.reader.reading_plan import Pair, Plan
from mammogan.study.web.answer_store import Snapshot, Tables
from mammogan.study.web.event_journal import ERASED, Event

ENROLLED, DESCRIBED, DISPLAYED, READY, ANSWERED = "enrolled", "described", "displayed", "ready", "answered"
LOCKED, UNBLINDED, PACKED = "locked", "unblinded", "packed"
LOG = ("rt_ms", "max_zoom_l", "max_zoom_r", "wl_changes", "hidden_ms", "device", "dpr", "viewport")
"""What is noted with an answer."""


def _schema() -> str:
    return f"""
CREATE TABLE participants (
    participant TEXT PRIMARY KEY, number INTEGER, form TEXT, invitation INTEGER, plan TEXT, plan_hash TEXT,
    enrolled TEXT, {", ".join(f'"{name}" TEXT' for name in QUESTIONS)}, described TEXT, sees_dark TEXT,
    sees_light TEXT, displayed TEXT, ready TEXT
);
CREATE TABLE answers (
    participant TEXT, trial INTEGER, side TEXT, confidence TEXT, {", ".join(LOG)}, app_version TEXT, t TEXT,
    UNIQUE (participant, trial)
);
CREATE TABLE marks (kind TEXT, t TEXT);
CREATE TABLE erased (number INTEGER)
"""


def _apply(connection: sqlite3.Connection, event: Event) -> None:
    kind, who = event["kind"], event.get("participant")
    if kind == ENROLLED:
        values = (who, event["number"], event["form"], event["invitation"])
        plan = (json.dumps(event["plan"]), event["plan_hash"], event["t"])
        connection.execute(
            "INSERT OR IGNORE INTO participants (participant, number, form, invitation, plan, plan_hash, "
            "enrolled) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, *plan),
        )
    elif kind == DESCRIBED:
        columns = ", ".join(f'"{name}" = ?' for name in (*QUESTIONS, "described"))
        # A journal of before a question was in the table has no key of it: it was not asked.
        values = (*(event.get(name, "") for name in QUESTIONS), event["t"], who)
        connection.execute(f"UPDATE participants SET {columns} WHERE participant = ?", values)  # noqa: S608
    elif kind == DISPLAYED:
        connection.execute(
            "UPDATE participants SET sees_dark = ?, sees_light = ?, displayed = ? WHERE participant = ?",
            (event["sees_dark"], event["sees_light"], event["t"], who),
        )
    elif kind == READY:
        connection.execute("UPDATE participants SET ready = ? WHERE participant = ?", (event["t"], who))
    elif kind == ANSWERED:
        names = ("participant", "trial", "side", "confidence", *LOG, "app_version", "t")
        places = ", ".join("?" * len(names))
        connection.execute(
            f"INSERT OR IGNORE INTO answers ({', '.join(names)}) VALUES ({places})",  # noqa: S608
            [event[name] for name in names],
        )
    elif kind == ERASED:
        connection.executemany("INSERT INTO erased VALUES (?)", [(n,) for n in event.get("numbers", [])])
    else:
        connection.execute("INSERT INTO marks VALUES (?, ?)", (kind, event["t"]))


TABLES = Tables(_schema, _apply)


@dataclass(frozen=True)
class ParticipantState:
    """Where a participant is: the row of the table, and what was answered, side and confidence by trial."""

    row: sqlite3.Row
    answered: dict[int, tuple[str, str]]

    @cached_property
    def plan(self) -> Plan:
        """What the participant gets, as it was written down at enrolment."""
        return Plan.model_validate_json(self.row["plan"])

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that are left, the current one first."""
        return [pair for pair in self.plan.pairs if pair.trial not in self.answered]

    @property
    def page(self) -> str:
        """The page that is due."""
        left = self.pairs
        if not self.row["described"]:
            return "questions"
        if not self.row["displayed"]:
            return "display"
        if not left:
            return "thanks"
        practised = any(pair.trial < 0 for pair in self.plan.pairs)
        return "ready" if practised and left[0].trial > 0 and not self.row["ready"] else "pair"


def participant_state(snapshot: Snapshot, participant: str) -> ParticipantState | None:
    """Look up where a participant is; None if there is no such participant."""
    row = snapshot.row("SELECT * FROM participants WHERE participant = ?", participant)
    if row is None:
        return None
    rows = snapshot.rows("SELECT trial, side, confidence FROM answers WHERE participant = ?", participant)
    return ParticipantState(row, {r["trial"]: (r["side"], r["confidence"]) for r in rows})


def is_locked(snapshot: Snapshot) -> bool:
    """Whether the study takes no more answers."""
    return snapshot.value("SELECT 1 FROM marks WHERE kind = ?", LOCKED) is not None


def next_number(snapshot: Snapshot, first: int, count: int) -> int | None:
    """Return the next participant's number, of `count` from `first` on; that of an erased one never again.

    None if all were given.
    """
    used = "SELECT number FROM participants UNION SELECT number FROM erased"
    inside = "number >= ? AND number < ?"
    most: Any = snapshot.value(f"SELECT max(number) FROM ({used}) WHERE {inside}", first, first + count)  # noqa: S608
    number = first if most is None else int(most) + 1
    return number if number < first + count else None
