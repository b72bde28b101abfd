"""Whether a set is fit to train on: images in the splits, of each view, and few that were refused."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from mammogan.config.label_fields import VIEWS
from mammogan.data.dicom.file_kinds import NO_IMAGES
from mammogan.data.shards import remedies
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import Manifest, Plan, Tally
from mammogan.errors import DataError
from mammogan.files import write

MOST_REFUSED = 0.5
"""Of the images that their headers let pass, so many may be refused for their pixels without a halt; and of
pictures, whose names and tables say what they are, so many in all."""
SPLITS = ("train", "validation")
HALTED = "halted"
"""In the private folder: identity of the plan at which a launch halted because most pictures were refused."""


def check(shardset: Path, plan: Plan, made: Manifest | None) -> None:
    """Refuse a set, planned or `made`, in which a split is empty that training or scoring reads.

    Of one that is only planned, the run says so when it is made: `empty_later` names it.

    Raises
    ------
    DataError
        With what became of the others, and what to set.
    """
    if found := empty_split(shardset, plan, made):
        raise DataError(found)


def empty_split(shardset: Path, plan: Plan, made: Manifest | None) -> str:
    """Say which split is empty, why, and what to set; nothing where a run finds what it needs."""
    images = _by_split(plan, made)
    refused = _by_pixels(plan, made) if made else Counter()
    there = ", ".join(f"{name} {images[name]}" for name in SPLITS)
    for split in _empty(plan, images):
        if not made and split != SPLITS[0]:
            continue
        if refused:
            return (
                f"The set '{shardset}' has no images for {split} ({there}): of {_planned(plan)} planned ones "
                f"{sum(refused.values())} were refused for their pixels.\n"
                f"{_remedies(shardset, plan, refused)}"
            )
        return (
            f"The set '{shardset}' has no images for {split} ({there}). `mammogan shards show` says what was "
            "left out. A patient is in one split only, so that a few don't fill all: plan from more, see "
            "that the recipe's source.patient tells them apart, or change the fractions:\n"
            f"{_fuller(shardset, plan)}"
        )
    return ""


def empty_later(shardset: Path, plan: Plan) -> str:
    """Say which splits a plan leaves empty and a run needs, and what to set; nothing where there are none."""
    empty = _empty(plan, _by_split(plan, None))
    if not empty:
        return ""
    return (
        f"The plan has no images for {' and '.join(empty)}, by which checkpoints are scored: the run will "
        f"stop before it trains. Plan from more patients, or with other fractions:\n{_fuller(shardset, plan)}"
    )


def check_refused(shardset: Path, plan: Plan, manifest: Manifest) -> None:
    """Halt once where most images of a plan were refused when they were made: perhaps a rule misfires.

    Raises
    ------
    DataError
        With the reasons, and what to set.
    """
    if found := mostly_refused(shardset, plan, manifest):
        raise DataError(f"{found}\nTo go on with the {manifest.images} that are left, launch the run again.")


def mostly_refused(shardset: Path, plan: Plan, manifest: Manifest) -> str:
    """Say that most images of a plan were refused when they were made, why, and what to set; else nothing."""
    refused = _by_pixels(plan, manifest)
    if sum(refused.values()) <= MOST_REFUSED * _planned(plan):
        return ""
    return (
        f"{sum(refused.values())} of the {_planned(plan)} planned images of '{shardset}' were refused "
        f"for their pixels; {manifest.images} are left.\n{_remedies(shardset, plan, refused)}"
    )


def check_left_out(shardset: Path, plan: Plan) -> None:
    """Halt once where most pictures were left out when they were planned.

    Raises
    ------
    DataError
        With the reasons, and what to set.
    """
    found, path = mostly_left_out(shardset, plan), private_folder.folder(shardset) / HALTED
    if not found or (path.exists() and path.read_text(encoding="utf-8") == plan.identity):
        return
    if path.parent.is_dir():
        write(path, plan.identity, mode=0o600)
    raise DataError(
        f"{found}\nTo go on with the {_planned(plan)} that are left, give the same command again."
    )


def mostly_left_out(shardset: Path, plan: Plan) -> str:
    """Say that most pictures of a source were left out when planned, why, and what to set; else nothing.

    An archive of DICOM files holds much that nobody wants; a folder of pictures is meant to be read.
    """
    texts = []
    for recipe, tally in zip(plan.recipes, plan.tallies, strict=False):
        left_out = Counter({reason: n for reason, n in _reasons(tally) if reason not in NO_IMAGES})
        count = sum(left_out.values())
        if recipe.source.kind != "images" or count <= MOST_REFUSED * (count + tally.accepted):
            continue
        command = remedies.again(shardset)
        lines = [f"{count} of the {count + tally.accepted} pictures of '{tally.recipe}' are left out."]
        lines += [f"  {n:7}  {reason}{_meaning(reason)}" for reason, n in left_out.most_common()]
        lines += remedies.naming(left_out, recipe, command)
        if changes := remedies.settings(left_out, recipe):
            lines.append(f"To take those whose rules can be set:\n  {command} {remedies.given(changes)}")
        texts.append("\n".join(lines))
    return "\n".join(texts)


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
    """List the empty ones of `SPLITS`: nothing is learned without the first, recipes may want no other."""
    wanted = [SPLITS[0]] + [s for s in SPLITS[1:] if any(getattr(each.splits, s) for each in plan.recipes)]
    return [split for split in wanted if not images[split]]


def _fuller(shardset: Path, plan: Plan) -> str:
    """Name the commands that fill training and validation from a few patients, or from one."""
    command = f"  {remedies.again(shardset)}"
    halves = ["splits.train=0.5", "splits.validation=0.5"]
    if any(recipe.splits.test for recipe in plan.recipes):
        halves.append("splits.test=0.0")
    lines = [f"{command} {remedies.given(halves)}"]
    if any(recipe.source.kind == "images" for recipe in plan.recipes):
        when, setting = remedies.NAMELESS["patient-unknown"]
        lines += [f"{when}:", f"{command} {remedies.given([setting])}"]
    return "\n".join(lines)


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
    if changes := remedies.settings(refused, plan.recipes[0]):
        shown = shlex.quote(str(shardset))
        lines += [
            f"Look at them: mammogan shards show {shown} --rejects",
            "If they are as you want them, let these rules mark images instead of refusing them:",
            f"  mammogan shards plan {shown}-2 --like {shown} {remedies.given(changes)}",
        ]
    return "\n".join(lines)


def _meaning(reason: str) -> str:
    """Say what a reason means; nothing on a login node without the packages that read images."""
    try:
        from mammogan.data.shards.reasons import meaning
    except ModuleNotFoundError:
        return ""
    return f": {meaning(reason)}"
