"""The service that reviewers use: one picture at a time, a verdict on each, the last ones can be taken back.

A verdict can be taken back, the latest first, until the reviewer ends the session: a slip of the finger is no
finding. Both stay in the journal, and the report counts them. No page shows where a picture comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammogan.study.form_fields import number
from mammogan.study.review.review_folder import load_review, load_secret
from mammogan.study.review.verdicts import (
    FINISHED,
    JUDGED,
    LOG,
    TABLES,
    UNDONE,
    artefacts_at,
    is_finished,
    judged,
    undone,
)
from mammogan.study.web.answer_store import AnswerStore, Snapshot
from mammogan.study.web.auth import same
from mammogan.study.web.image_store import ImageStore
from mammogan.study.web.web_app import RefusalError

MOST = {"rt_ms": 10**9, "max_zoom": 100, "wl_changes": 10**5, "hidden_ms": 10**9}
"""The most that a browser may report; what is more, or no number, is dropped: no verdict is lost by it."""


class ReviewService:
    """A review that is being served from `folder`.

    Raises
    ------
    DataError
        If the folder is no review, or its pictures are missing, or not those that it began with.
    ConfigError
        If another process serves it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.review, self.secret = folder, load_review(folder), load_secret(folder)
        self.image_store = ImageStore(folder)
        self.plan = self.review.plan(self.image_store.index)
        self._records = {picture.key: number for number, picture in enumerate(self.image_store.pictures)}
        self.store = AnswerStore(folder, TABLES)

    def state(self, reviewer: int) -> dict[str, Any]:
        """Return what a reviewer's page shows: place in the series, names of pictures there and around."""
        with self.store.transaction() as transaction:
            return self._state(transaction, reviewer)

    def judge(self, reviewer: int, fields: Mapping[str, str]) -> dict[str, Any]:
        """Store the verdict on the picture that is due; the same once more is the retry of a browser.

        `artefacts` names the kinds, apart by blanks; ``none`` is a clean picture.

        Raises
        ------
        RefusalError
            If it is no verdict, on another picture than the one that is due, or the session is over.
        """
        kinds = fields.get("artefacts", "").split()
        clean = kinds == ["none"]
        if not kinds or not (clean or set(kinds) <= set(self.review.kinds)):
            raise RefusalError(
                400, "Nothing was chosen", "Say what is wrong with the image, or that nothing is."
            )
        named = [] if clean else [kind for kind in self.review.kinds if kind in kinds]
        with self.store.transaction() as transaction:
            position = _position(fields)
            if artefacts_at(transaction, reviewer, position) != " ".join(named):
                self._check(transaction, reviewer, position, judged(transaction, reviewer))
                transaction.add(
                    JUDGED,
                    reviewer=reviewer,
                    position=position,
                    picture=self.plan.series[reviewer][position],
                    artefacts=named,
                    **{name: number(fields.get(name, ""), MOST[name], places=2) for name in LOG},
                )
            return self._state(transaction, reviewer)

    def take_back(self, reviewer: int, fields: Mapping[str, str]) -> dict[str, Any]:
        """Take back the verdict at a position, which must be the latest; once more changes nothing.

        Raises
        ------
        RefusalError
            If another is the latest, or the session is over.
        """
        with self.store.transaction() as transaction:
            position, due = _position(fields), judged(transaction, reviewer)
            before = artefacts_at(transaction, reviewer, position)
            if position != due or before is not None:
                self._check(transaction, reviewer, position, due - 1)
                transaction.add(UNDONE, reviewer=reviewer, position=position)
            return {**self._state(transaction, reviewer), "artefacts": (before or "").split()}

    def finish(self, reviewer: int) -> None:
        """End a reviewer's session, if every picture has its verdict."""
        with self.store.transaction() as transaction:
            missing = len(self.plan.series[reviewer]) - judged(transaction, reviewer)
            if missing:
                raise RefusalError(
                    409,
                    "Images are left",
                    f"{missing} images have no verdict yet.",
                    f"look-{reviewer + 1}",
                    "Go on",
                )
            if not is_finished(transaction, reviewer):
                transaction.add(FINISHED, reviewer=reviewer)

    def picture(self, reviewers: list[int], name: str) -> bytes | None:
        """Return a picture that one of `reviewers` looks at, or that is next to it in the series."""
        with self.store.transaction() as transaction:
            for reviewer in reviewers:
                due = judged(transaction, reviewer)
                for position in range(max(0, due - 1), min(due + 2, len(self.plan.series[reviewer]))):
                    if same(name, self.secret.picture(reviewer, position)):
                        return self.image_store.read(self._records[self.plan.series[reviewer][position]])
        return None

    def _state(self, snapshot: Snapshot, reviewer: int) -> dict[str, Any]:
        position, total = judged(snapshot, reviewer), len(self.plan.series[reviewer])
        names = {"before": position - 1, "now": position, "next": position + 1}
        return {
            "position": position,
            "total": total,
            "finished": is_finished(snapshot, reviewer),
            "undone": undone(snapshot, reviewer),
            "artefacts": [],
        } | {
            key: f"p/{self.secret.picture(reviewer, place)}" if 0 <= place < total else ""
            for key, place in names.items()
        }

    def _check(self, snapshot: Snapshot, reviewer: int, position: int, expected: int) -> None:
        if is_finished(snapshot, reviewer):
            raise RefusalError(
                409, "This session is over", "Verdicts can't be changed any more.", f"as-{reviewer + 1}"
            )
        if position != expected or not 0 <= position < len(self.plan.series[reviewer]):
            raise RefusalError(
                409,
                "This image is not due",
                "Another page of yours is further on. Nothing was changed.",
                f"look-{reviewer + 1}",
                "Show the current image",
            )


def _position(fields: Mapping[str, str]) -> int:
    text = fields.get("position", "")
    return int(text) if re.fullmatch(r"\d{1,7}", text) else -1
