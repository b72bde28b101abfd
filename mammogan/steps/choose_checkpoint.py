"""The rule of the selection: measures one after the other, each among the ties of the one before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mammogan.config.scoring_settings import Selection
from mammogan.run_records import Choice, Decision, Rival, Score

NO_ERROR = (
    "{of} of {all} scores do not know their error over fresh draws of images, as those of earlier versions: "
    "they tie by the deviation from seed to seed, which is several times too small. To have them scored "
    "anew, remove the run's folder 'scores' and launch the run again, as long as the checkpoints are there."
)
UNKNOWN = "some scores do not have it, as those of earlier versions, or of images that are too small or few"
FAR = math.inf


def choose(rivals: Sequence[Score], rule: Selection) -> Choice:
    """Choose the lowest by each of the rule's measures in turn; of what ties by all of them the latest.

    Checkpoints that `barred` has a reason against are left out, unless all are.
    """
    reasons = {score.images: barred(score, rule) for score in rivals}
    field = [score for score in rivals if not reasons[score.images]]
    left, decisions = field or list(rivals), list[Decision]()
    first = _Contest(left, rule.measures[0], rule.tie_sd)
    for name in rule.measures:
        if len(left) == 1 and decisions:
            break
        contest = _Contest(left, name, rule.tie_sd)
        left = contest.ties
        decisions.append(contest.decision)
    chosen = max(left, key=lambda score: score.images)
    second = first.second
    margin = first.behind(second) if second else None
    sd = first.sd(second) if second else None
    return Choice(
        **dict(_rival(chosen, reasons[chosen.images])),
        schema_version=Choice.CURRENT,
        rule=rule.rule,
        measures=rule.measures,
        tie_sd=rule.tie_sd,
        stage=chosen.stage,
        tie=len(first.ties) > 1,
        ties=_images(first.ties),
        lowest=first.best.images,
        second=second.images if second else None,
        margin=margin,
        margin_sd=margin / sd if margin is not None and sd else None,
        rivals=tuple(_rival(score, reasons[score.images]) for score in rivals),
        decisions=tuple(decisions),
        reason=_reason(chosen, left, decisions),
        notices=tuple(_notices(rivals, field, reasons, decisions)),
    )


def barred(score: Score, rule: Selection) -> str:
    """Say why a checkpoint can't be chosen: washed out or veiled in a view; empty where nothing is known."""
    found = []
    for view, ratio in _views(score, "deviation"):
        if ratio < rule.deviation_min:
            found.append(
                f"washed out: {view} images deviate from each other by {ratio:.2f} of what reals do, less "
                f"than {rule.deviation_min:g}"
            )
    for view, above in _views(score, "background"):
        if above > rule.background_max:
            found.append(
                f"veiled: the background of {view} images is {above:.1f} greys of 255 above that of reals, "
                f"more than {rule.background_max:g}"
            )
    return "; ".join(found)


def _views(score: Score, name: str) -> list[tuple[str, float]]:
    views = score.measures[name].views if name in score.measures else {}
    return [(view, value) for view, value in views.items() if value is not None]


@dataclass(frozen=True)
class _Contest:
    """Scores compared by one measure."""

    scores: Sequence[Score]
    measure: str
    tie_sd: float

    @property
    def known(self) -> bool:
        """Whether every score has the measure with its error, or at least its reals have it."""
        if self.measure == "swd":
            return True
        found = [score.measures.get(self.measure) for score in self.scores]
        return all(
            one is not None and one.null is not None and (one.off is None or one.error is not None)
            for one in found
        )

    @property
    def best(self) -> Score:
        return min(self.scores, key=lambda score: off(score, self.measure)) if self.known else self.scores[0]

    @property
    def ties(self) -> list[Score]:
        """The best, and all that are within `tie_sd` deviations of the difference."""
        if not self.known:
            return list(self.scores)
        return [
            score
            for score in self.scores
            if score is self.best or self.behind(score) <= self.tie_sd * self.sd(score)
        ]

    @property
    def second(self) -> Score | None:
        """The best of those that don't tie."""
        ties = _images(self.ties)
        return min(
            (score for score in self.scores if score.images not in ties), key=self.behind, default=None
        )

    @property
    def decision(self) -> Decision:
        return Decision(
            measure=self.measure,
            lowest=self.best.images if self.known else None,
            left=_images(self.ties),
            passed_over="" if self.known else UNKNOWN,
        )

    def behind(self, score: Score) -> float:
        """How much further off a score is than the best."""
        mine, best = off(score, self.measure), off(self.best, self.measure)
        return 0.0 if mine == best else mine - best

    def sd(self, score: Score) -> float:
        return difference_sd(score, self.best, self.measure)


def off(score: Score, measure: str) -> float:
    """Return how far from alike a checkpoint is by a measure; infinite if only the reals have it."""
    if measure == "swd":
        return score.above_floor
    value = score.measures[measure].off
    return FAR if value is None else value


def difference_sd(one: Score, other: Score, measure: str) -> float:
    """Estimate the deviation of the difference of two scores over fresh draws of synthetics and reals.

    Scores of the same reals share them and their halves, so that what the reals do to both cancels. Without
    halves, of reals that differ, errors add up in squares; without errors the larger deviation from seed to
    seed is taken.
    """
    from mammogan.metrics.half_samples import deviation

    halves = [
        score.above_floor_halves if measure == "swd" else score.measures[measure].halves
        for score in (one, other)
    ]
    if one.reals == other.reals and halves[0] and len(halves[0]) == len(halves[1]):
        return deviation([a - b for a, b in zip(*halves, strict=True)]) or 0.0
    errors = [
        score.above_floor_error if measure == "swd" else score.measures[measure].error
        for score in (one, other)
    ]
    if None not in errors:
        return math.hypot(*(error for error in errors if error is not None))
    return max(one.above_floor_sd, other.above_floor_sd) if measure == "swd" else 0.0


def _reason(chosen: Score, left: Sequence[Score], decisions: Sequence[Decision]) -> str:
    """Say in words why it was chosen."""
    parts = []
    for decision in decisions:
        if decision.passed_over:
            continue
        others = len(decision.left) - 1
        parts.append(
            f"by {decision.measure} " + (f"{others + 1} tie" if others else "it is the lowest of those left")
        )
    end = "; the latest of these was taken" if len(left) > 1 else ""
    return ", ".join(parts) + end if parts else "it is the latest"


def _notices(
    rivals: Sequence[Score], field: Sequence[Score], reasons: dict[int, str], decisions: Sequence[Decision]
) -> list[str]:
    found = []
    without = sum(score.above_floor_error is None for score in rivals)
    if without:
        found.append(NO_ERROR.format(of=without, all=len(rivals)))
    why = [f"{score.kimg:g} kimg ({reasons[score.images]})" for score in rivals if reasons[score.images]]
    if not field:
        found.append(f"One was chosen though all are washed out or veiled: {', '.join(why)}.")
    elif why:
        found.append(f"{len(why)} of {len(rivals)} can't be chosen: {', '.join(why)}.")
    found += [
        f"'{decision.measure}' was passed over: {decision.passed_over}."
        for decision in decisions
        if decision.passed_over
    ]
    return found


def _images(scores: Sequence[Score]) -> tuple[int, ...]:
    return tuple(sorted(score.images for score in scores))


def _rival(score: Score, reason: str) -> Rival:
    views = {view: part.swd - part.floor for view, part in score.views.items()}
    facts = score.model_dump(include=set(Rival.model_fields) - {"views", "off", "barred"})
    offs = {name: measure.off for name, measure in score.measures.items()}
    return Rival(**facts, views=views, off=offs, barred=reason)
