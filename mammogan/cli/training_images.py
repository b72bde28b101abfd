"""What a launch says of the images that it is about to train on, and what stops it before it starts."""

from __future__ import annotations

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
    if not made and (empty := enough_images.empty_later(plan)):
        console.print(
            f"The plan has no images for {' and '.join(empty)}, by which checkpoints are scored: the run "
            "will stop before it trains. Plan from more patients, or with other splits.",
            highlight=False,
        )
    if made and (missing := enough_images.missing_views(made)):
        names = " and no ".join(missing)
        console.print(f"There is no {names} among the training images: none is drawn.", highlight=False)
    times = 1000 * _total_kimg(run) / max(train, 1)
    if times > OFTEN and run.method.augmentation.kind == "none":
        console.print(
            f"Each of the {train} training images would be shown {times:,.0f} times, until the critic knows "
            "them by heart: give --set augmentation.kind=adaptive (docs/augmentation.md), or more images.",
            highlight=False,
        )


def _print_counts(plan: Plan, made: Manifest | None, train: int, console: Console) -> None:
    tallies = (made or plan).tallies
    left_out: Counter[str] = Counter()
    for tally in tallies:
        left_out.update(tally.refused)
        left_out.update(tally.unreadable)
    files = sum(tally.files for tally in tallies)
    state = "built" if made else "planned; the rules of the pixels are asked when they are made"
    named = ", ".join(f"{reason} {count}" for reason, count in left_out.most_common(MOST_SHOWN))
    more = len(left_out) - MOST_SHOWN
    others = f" and {more} reasons more" if more > 0 else ""
    rest = f" Of {files} files {sum(left_out.values())} were left out: {named}{others}." if named else ""
    console.print(f"{train} training images ({state}).{rest}", highlight=False)


def _train_images(plan: Plan, made: Manifest | None) -> int:
    if made:
        return sum(count.images for count in made.counts if count.split == "train")
    return sum(shard.samples for shard in plan.shards if shard.split == "train")


def _total_kimg(run: Run) -> float:
    from mammogan import schedule

    last = schedule.plan(run.method)[-1]
    return (last.images_before + last.images) / 1000
