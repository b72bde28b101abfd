"""What reviewers found: rates by source and view, kinds, agreement, and the images that nobody objects to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

from mammogan import __version__
from mammogan.errors import DataError
from mammogan.study.review.artefact_rates import Agreement, Excess, Rate, agreement, excess
from mammogan.study.review.review_folder import Review
from mammogan.study.review.review_plan import Plan
from mammogan.study.review.verdicts import Verdict, is_finished, undone, verdicts
from mammogan.study.web.answer_store import Snapshot
from mammogan.study.web.image_store import Index, Picture

Rule = Literal["unanimous", "majority"]
RULES: tuple[Rule, ...] = ("unanimous", "majority")


@dataclass(frozen=True)
class Row:
    """Rates of both sources, and the excess of the synthetic one."""

    name: str
    synthetic: Rate
    real: Rate

    @property
    def excess(self) -> Excess | None:
        """Synthetic less real; None without images."""
        return excess(self.synthetic, self.real)


@dataclass(frozen=True)
class Reviewer:
    """One reviewer's part: `seen` of `total` images, verdicts taken back, and the reviewer's own rates."""

    description: str
    seen: int
    total: int
    undone: int
    is_finished: bool
    rates: Row


@dataclass(frozen=True)
class Results:
    """Rates in which each image counts once, by its owner's verdict, or who else has seen it.

    `views` are overall and by view, `kinds` by kind of artefact over all views; an image may have several.
    `agreements` are (number, number, agreement) of each two reviewers, counted from 1.
    """

    review: Review
    views: tuple[Row, ...]
    kinds: tuple[Row, ...]
    reviewers: tuple[Reviewer, ...]
    agreements: tuple[tuple[int, int, Agreement], ...]
    judged: dict[str, tuple[str, ...]]

    @property
    def is_complete(self) -> bool:
        """Whether every reviewer has ended the session."""
        return all(reviewer.is_finished for reviewer in self.reviewers)


def results(review: Review, index: Index, plan: Plan, snapshot: Snapshot) -> Results:
    """Compute everything from the verdicts that stand."""
    given = verdicts(snapshot)
    by_picture: dict[str, dict[int, Verdict]] = {}
    for verdict in given:
        by_picture.setdefault(verdict.picture, {})[verdict.reviewer] = verdict
    judged = {
        key: by_reviewer.get(plan.owners[key], by_reviewer[min(by_reviewer)]).artefacts
        for key, by_reviewer in by_picture.items()
    }
    seen = [picture for picture in index.pictures if picture.key in judged]
    names = sorted({picture.view for picture in index.pictures})
    views = [_row("all views", seen, judged)]
    views += [_row(name, [p for p in seen if p.view == name], judged) for name in names]
    kinds = [_row(kind.label, seen, judged, kind.name) for kind in review.artefacts]
    pictures = {picture.key: picture for picture in index.pictures}
    reviewers = []
    for number, description in enumerate(review.reviewers):
        own = {v.picture: v.artefacts for v in given if v.reviewer == number}
        row = _row(description, [pictures[key] for key in own], own)
        facts = undone(snapshot, number), is_finished(snapshot, number)
        reviewers.append(Reviewer(description, len(own), len(plan.series[number]), *facts, row))
    pairs = []
    for one, other in combinations(range(len(review.reviewers)), 2):
        both = [of_both for of_both in by_picture.values() if one in of_both and other in of_both]
        first, second = ([bool(of_both[number].artefacts) for of_both in both] for number in (one, other))
        pairs.append((one + 1, other + 1, agreement(first, second)))
    return Results(review, tuple(views), tuple(kinds), tuple(reviewers), tuple(pairs), judged)


def accepted(index: Index, plan: Plan, snapshot: Snapshot, rule: Rule = "unanimous") -> list[str]:
    """List the synthetic images that were looked at and found clean, by their names in the pool.

    ``unanimous`` takes those in which nobody saw an artefact, ``majority`` those in which fewer than half of
    those who looked did. An image of which a reviewer's verdict is still due is not taken.

    Raises
    ------
    DataError
        If there is none.
    """
    verdicts_on: dict[str, list[bool]] = {}
    for verdict in verdicts(snapshot):
        verdicts_on.setdefault(verdict.picture, []).append(bool(verdict.artefacts))
    reviewers = len(plan.series)
    found = []
    for picture in index.pictures:
        objections = verdicts_on.get(picture.key, [])
        due = reviewers if picture.key in plan.shared else 1
        clean = not any(objections) if rule == "unanimous" else 2 * sum(objections) < len(objections)
        if picture.source == "synthetic" and len(objections) >= due and clean:
            found.append(picture.origin)
    if not found:
        raise DataError(
            "No synthetic image was accepted: none has all its verdicts and is clean. `mammogan review "
            "status` shows how far the reviewers are."
        )
    return sorted(found)


def as_json(found: Results) -> str:
    """Write every number: rates from 0 to 1, intervals of 95 %."""
    tree = {
        "mammogan": __version__,
        "review_id": found.review.review_id,
        "model_id": found.review.model_id,
        "split": found.review.split,
        "complete": found.is_complete,
        "views": [_tree(row) for row in found.views],
        "kinds": [_tree(row) for row in found.kinds],
        "reviewers": [
            {
                "reviewer": number,
                "description": one.description,
                "seen": one.seen,
                "total": one.total,
                "undone": one.undone,
                "finished": one.is_finished,
                **_tree(one.rates),
            }
            for number, one in enumerate(found.reviewers, 1)
        ],
        "agreements": [
            {
                "reviewers": [one, other],
                "images": each.images,
                "observed": each.observed if each.images else None,
                "positive": each.positive,
                **asdict(each),
            }
            for one, other, each in found.agreements
        ],
    }
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def _row(name: str, pictures: Sequence[Picture], judged: dict[str, tuple[str, ...]], kind: str = "") -> Row:
    """Count pictures with any artefact, or with one of a `kind`, by source."""

    def rate(source: str) -> Rate:
        found = [judged[picture.key] for picture in pictures if picture.source == source]
        return Rate(sum(bool(kinds) and (not kind or kind in kinds) for kinds in found), len(found))

    return Row(name, rate("synthetic"), rate("real"))


def _tree(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name}
    for source, rate in (("synthetic", row.synthetic), ("real", row.real)):
        low, high = rate.interval
        found[source] = {"artefacts": rate.hits, "images": rate.of, "low": low, "high": high}
        found[source]["rate"] = rate.value if rate.of else None
    found["excess"] = asdict(row.excess) if row.excess else None
    return found
