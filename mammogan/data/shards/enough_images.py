"""Whether a set is fit to train on: images in the splits, of each view, and few that the pixels refused."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import get_args

from mammogan.config.label_fields import VIEWS
from mammogan.config.screening_settings import PixelFlag
from mammogan.data.store.manifest import Manifest, Plan, Tally
from mammogan.errors import DataError

MOST_REFUSED = 0.5
"""Of the images that their headers let pass, so many may be refused for their pixels without a halt."""
SPLITS = ("train", "validation")


def check(shardset: Path, plan: Plan, made: Manifest | None) -> None:
    """Refuse a set, planned or `made`, in which a split is empty that training or scoring reads.

    Of one that is only planned, the run says so when it is made: `empty_later` names it.

    Raises
    ------
    DataError
        With what became of the others, and what to set.
    """
    images = _by_split(plan, made)
    refused = _by_pixels(plan, made) if made else Counter()
    there = ", ".join(f"{name} {images[name]}" for name in SPLITS)
    for split in _empty(plan, images):
        if not made and split != SPLITS[0]:
            continue
        if refused:
            raise DataError(
                f"The set '{shardset}' has no images for {split} ({there}): of {_planned(plan)} planned ones "
                f"{sum(refused.values())} were refused for their pixels.\n"
                f"{_remedies(shardset, plan, refused)}"
            )
        command = f"mammogan shards plan {_shown(shardset)}-2 --like {_shown(shardset)}"
        raise DataError(
            f"The set '{shardset}' has no images for {split} ({there}). `mammogan shards show` says what was "
            "left out. A patient is in one split only, so that a few don't fill all: plan from more, see "
            "that the recipe's source.patient tells them apart, or change the fractions:\n"
            f"  {command} --set splits.train=0.5 --set splits.validation=0.5"
        )


def empty_later(plan: Plan) -> list[str]:
    """Name the splits that a plan leaves empty and a run needs."""
    return _empty(plan, _by_split(plan, None))


def check_refused(shardset: Path, plan: Plan, manifest: Manifest) -> None:
    """Halt once where most images of a plan were refused when they were made: perhaps a rule misfires.

    Raises
    ------
    DataError
        With the reasons, and what to set.
    """
    refused = _by_pixels(plan, manifest)
    if sum(refused.values()) > MOST_REFUSED * _planned(plan):
        raise DataError(
            f"{sum(refused.values())} of the {_planned(plan)} planned images of '{shardset}' were refused "
            f"for their pixels; {manifest.images} are left.\n{_remedies(shardset, plan, refused)}\n"
            f"To go on with the {manifest.images} that are left, launch the run again."
        )


def missing_views(manifest: Manifest) -> list[str]:
    """List the views of which there is no training image."""
    there = {count.view for count in manifest.counts if count.split == "train" and count.images}
    return [view for view in VIEWS if view not in there]


def _planned(plan: Plan) -> int:
    return sum(shard.samples for shard in plan.shards)


def _by_split(plan: Plan, made: Manifest | None) -> Counter[str]:
    images: Counter[str] = Counter()
    for each in made.counts if made else ():
        images[each.split] += each.images
    for shard in () if made else plan.shards:
        images[shard.split] += shard.samples
    return images


def _empty(plan: Plan, images: Counter[str]) -> list[str]:
    """List the empty ones of `SPLITS` that recipes want filled."""
    wanted = (split for split in SPLITS if any(getattr(each.splits, split) for each in plan.recipes))
    return [split for split in wanted if not images[split]]


def _shown(shardset: Path) -> str:
    return shlex.quote(str(shardset))


def _by_pixels(plan: Plan, manifest: Manifest) -> Counter[str]:
    """Count what was refused or unreadable beyond what the plan knew, by reason."""
    found: Counter[str] = Counter()
    for sign, tallies in ((1, manifest.tallies), (-1, plan.tallies)):
        for tally in tallies:
            for reason, files in _reasons(tally):
                found[reason] += sign * files
    return Counter({reason: files for reason, files in found.items() if files > 0})


def _reasons(tally: Tally) -> list[tuple[str, int]]:
    return [*tally.refused.items(), *tally.unreadable.items()]


def _remedies(shardset: Path, plan: Plan, refused: Counter[str]) -> str:
    """Name the reasons, and the command by which rules of the pixels only mark the images."""
    lines = [f"  {files:7}  {reason}{_meaning(reason)}" for reason, files in refused.most_common()]
    rules = [reason for reason in refused if reason in get_args(PixelFlag)]
    if rules:
        flagged = json.dumps(sorted({*plan.recipes[0].screening.only_flag, *rules}))
        command = f"mammogan shards plan {_shown(shardset)}-2 --like {_shown(shardset)}"
        lines += [
            f"Look at them: mammogan shards show {_shown(shardset)} --rejects",
            "If they are as you want them, let these rules mark images instead of refusing them:",
            f"  {command} --set {shlex.quote(f'screening.only_flag={flagged}')}",
        ]
    return "\n".join(lines)


def _meaning(reason: str) -> str:
    """Say what a reason means; nothing on a login node without the packages that read images."""
    try:
        from mammogan.data.shards.reasons import meaning
    except ModuleNotFoundError:
        return ""
    return f": {meaning(reason)}"
