"""The page of whoever runs the study: how far it is, and how well people read only once it is locked."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mammogan.study.reader import answer_tables
from mammogan.study.reader.answer_tables import is_locked, participant_state
from mammogan.study.reader.reading_plan import Plan
from mammogan.study.reader.study_service import StudyService, lock
from mammogan.study.web.answer_store import Snapshot
from mammogan.study.web.web_app import NOT_FOUND, Fields, RefusalError, go, page


@dataclass(frozen=True)
class Progress:
    """One participant: scored answers of how many, minutes from consent to the last answer if complete."""

    number: int
    page: str
    answered: int
    pairs: int
    enrolled: str
    minutes: float | None


@dataclass(frozen=True)
class Status:
    """How far a study is; what people got right is no part of it."""

    participants: tuple[Progress, ...]
    erased: int
    locked: str
    unblinded: str

    @property
    def complete(self) -> int:
        """Participants who have answered everything."""
        return sum(one.page == "thanks" for one in self.participants)

    @property
    def answers(self) -> int:
        """Scored answers of all."""
        return sum(one.answered for one in self.participants)

    @property
    def median_min(self) -> float | None:
        """Minutes that those who are through needed, the median."""
        times = [one.minutes for one in self.participants if one.minutes is not None]
        return statistics.median(times) if times else None


def status(snapshot: Snapshot) -> Status:
    """Count how far a study is."""
    found = []
    for row in snapshot.rows("SELECT participant FROM participants ORDER BY number"):
        state = participant_state(snapshot, row["participant"])
        assert state is not None
        scored = [pair for pair in state.plan.pairs if pair.trial > 0]
        last = snapshot.value("SELECT max(t) FROM answers WHERE participant = ?", row["participant"])
        begun = state.row["enrolled"]
        found.append(
            Progress(
                number=state.row["number"],
                page=state.page,
                answered=sum(trial > 0 for trial in state.answered),
                pairs=len(scored),
                enrolled=begun,
                minutes=_minutes(begun, last) if state.page == "thanks" else None,
            )
        )
    marks = {row[0]: row[1] for row in snapshot.rows("SELECT kind, min(t) FROM marks GROUP BY kind")}
    erased = snapshot.value("SELECT count(*) FROM erased")
    return Status(
        tuple(found), erased, marks.get(answer_tables.LOCKED, ""), marks.get(answer_tables.UNBLINDED, "")
    )


def right(snapshot: Snapshot) -> tuple[int, int]:
    """Count right answers and all, of those that are scored; for a study that was unblinded."""
    hits = total = 0
    for row in snapshot.rows("SELECT participant, plan FROM participants"):
        plan = Plan.model_validate_json(row["plan"])
        given = snapshot.rows("SELECT trial, side FROM answers WHERE participant = ?", row["participant"])
        for answer in given:
            pair = plan.at(answer["trial"])
            if pair and pair.trial > 0:
                hits, total = hits + (pair.synthetic_side == answer["side"]), total + 1
    return hits, total


def router(service: StudyService) -> APIRouter:
    """Return the admin's routes; they are not there for anybody else."""
    routes = APIRouter()

    @routes.get("/admin")
    def show(request: Request) -> Response:
        _check(request)
        with service.store.transaction() as transaction:
            found = status(transaction)
            score = right(transaction) if found.locked and found.unblinded else None
        return page("reader_admin.html", study=service.study, status=found, score=score, idle_s=0)

    @routes.post("/admin-lock")
    def close(request: Request, fields: Fields) -> Response:
        _check(request)
        if fields.get("sure", "").strip().lower() != "lock":
            raise RefusalError(
                400, "The study is not locked", "Type the word lock to confirm it.", "admin", "Back"
            )
        with service.store.transaction() as transaction:
            lock(transaction)
        return go("admin")

    @routes.post("/admin-unblind")
    def unblind(request: Request) -> Response:
        _check(request)
        with service.store.transaction() as transaction:
            if not is_locked(transaction):
                raise RefusalError(
                    409, "Lock the study first", "Whoever runs it must not know before.", "admin", "Back"
                )
            transaction.add(answer_tables.UNBLINDED, where="page")
        return go("admin")

    return routes


def _check(request: Request) -> None:
    if "admin" not in request.state.roles:
        raise NOT_FOUND


def _minutes(first: str, last: str) -> float:
    """Return the minutes between two times as they are written down."""
    begin, end = (datetime.fromisoformat(text) for text in (first, last))
    return (end - begin).total_seconds() / 60
