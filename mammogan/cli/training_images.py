"""What a launch says of the images that it is about to train on, and what stops it before it starts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mammogan.config.run_config import Run
    from mammogan.data.store.manifest import Manifest, Plan

MOST_SHOWN = 5
"""Reasons that are named, the most frequent first."""
OFTEN = 1000
"""How often each image may be shown before the critic knows it by heart, whatever the method."""


def print_images(run: Run, console: Console) -> None:
    """Print how many images there are and what was left out, and refuse a set that can't be trained on.

    Raises
    ------
    DataError
        If a split that training or scoring reads is empty.
    """
    from mammogan.data.shards import enough_images
    from mammogan.data.store.manifest import find_manifest, load_plan

    shards = Path(run.shards)
    plan = load_plan(shards)
    made = find_manifest(shards, plan)
    train = _train_images(plan, made)
    _print_counts(plan, made, train, console)
    enough_images.check(shards, plan, made)
    enough_images.check_left_out(shards, plan)
    if not made and (empty := enough_images.empty_later(shards, plan)):
        _say(empty, console)
    if made and (missing := enough_images.missing_views(made)):
        _say(_missing(missing, run), console)
    times = 1000 * _total_kimg(run) / max(train, 1)
    if times > OFTEN and run.method.augmentation.kind == "none":
        _say(
            f"Each of the {train} training images would be shown {times:,.0f} times, until the critic knows "
            "them by heart: give --set augmentation.kind=adaptive (docs/augmentation.md), or more images.",
            console,
        )


def _say(text: str, console: Console) -> None:
    """Print as it is: a command that is broken into lines can't be copied."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _missing(views: list[str], run: Run) -> str:
    """Say of which views there is nothing to learn from, and what to set where the method is taught views."""
    text = f"There is no {' and no '.join(views)} among the training images: none is drawn."
    supervision = run.method.supervision
    if supervision.kind == "none" or "view" not in supervision.fields:
        return text
    return (
        f"{text} The method '{run.method.method.name}' is taught views (supervision.fields); without them: "
        "--set supervision.kind=none; with both, plan from a source that has them."
    )


def _print_counts(plan: Plan, made: Manifest | None, train: int, console: Console) -> None:
    from mammogan.data.dicom.file_kinds import NO_IMAGES

    tallies = (made or plan).tallies
    left_out: Counter[str] = Counter()
    for tally in tallies:
        left_out.update(tally.refused)
        left_out.update(tally.unreadable)
    for reason in NO_IMAGES:
        del left_out[reason]
    seen = sum(tally.accepted for tally in tallies) + sum(left_out.values())
    few = "" if made else "At most "
    state = "built" if made else "planned; copies and the rules of the pixels are seen when they are made"
    shown = left_out.most_common(MOST_SHOWN)
    named = ", ".join(f"{reason} {count}{_thresholds(reason, plan)}" for reason, count in shown)
    more = len(left_out) - MOST_SHOWN
    others = f" and {more} reasons more" if more > 0 else ""
    rest = f" Of {seen} images {sum(left_out.values())} were left out: {named}{others}." if named else ""
    _say(f"{few}{train} training images ({state}).{rest}", console)


def _thresholds(reason: str, plan: Plan) -> str:
    """Spell what a rule asked for; nothing on a login node without the packages that read images."""
    try:
        from mammogan.data.shards.reasons import settings
    except ModuleNotFoundError:
        return ""
    values = [f"{key} = {json.dumps(getattr(plan.recipes[0].screening, key))}" for key in settings(reason)]
    return f" ({'; '.join(values)})" if values else ""


def _train_images(plan: Plan, made: Manifest | None) -> int:
    if made:
        return sum(count.images for count in made.counts if count.split == "train")
    return sum(shard.samples for shard in plan.shards if shard.split == "train")


def _total_kimg(run: Run) -> float:
    from mammogan import schedule

    last = schedule.plan(run.method)[-1]
    return (last.images_before + last.images) / 1000
