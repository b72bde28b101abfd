"""A set that can't be trained on is refused before training, with the reasons and the command that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.shards import enough_images
from mammogan.data.store.manifest import Count, Manifest, Plan, PlannedShard, Tally
from mammogan.errors import DataError

RECIPE = load_recipe("phantom")


def planned(**splits):
    shards = tuple(PlannedShard(name=n, split=n, samples=count, sha256="0") for n, count in splits.items())
    total = sum(splits.values())
    tally = Tally(recipe="phantom", files=total + 5, accepted=total, refused={"view-other": 5}, unreadable={})
    return Plan(identity="0", recipes=(RECIPE,), shards=shards, tallies=(tally,))


def made(plan, refused, **splits):
    before = plan.tallies[0]
    tally = Tally(
        recipe="phantom",
        files=before.files,
        accepted=before.accepted - sum(refused.values()),
        refused={"view-other": 5, **refused},
        unreadable={},
    )
    counts = tuple(
        Count(recipe="phantom", split=split, view=view, vendor="", images=count)
        for split, views in splits.items()
        for view, count in views.items()
    )
    return Manifest(
        identity="0", recipes=(), rungs_px=(), tallies=(tally,), counts=counts, flags={}, moments=(), files=()
    )


def test_a_sound_set_passes_planned_and_built():
    plan = planned(train=8, validation=2)
    whole = made(plan, {}, train={"CC": 4, "MLO": 4}, validation={"CC": 1, "MLO": 1})
    enough_images.check(Path("set"), plan, None)
    enough_images.check(Path("set"), plan, whole)
    enough_images.check_refused(Path("set"), plan, whole)
    assert enough_images.missing_views(whole) == []


def test_a_split_that_the_pixels_have_emptied_is_refused_with_the_rule_and_what_to_set():
    plan = planned(train=8, validation=2)
    left = made(plan, {"metal": 6, "paddle": 2}, validation={"CC": 2})
    with pytest.raises(DataError) as caught:
        enough_images.check(Path("my set"), plan, left)
    told = str(caught.value)
    assert "has no images for train (train 0, validation 2): of 10 planned ones 8 were refused" in told
    assert "      6  metal: " in told
    assert "mammogan shards plan 'my set'-2 --like 'my set' --set 'screening.only_flag=[" in told
    assert '"metal", "paddle"' in told


def test_a_split_that_was_empty_from_the_start_is_refused_with_the_fractions():
    words = r"no images for {} \(train {}, validation {}\).*\n.*splits.train=0.5"
    with pytest.raises(DataError, match=words.format("train", 0, 2)):
        enough_images.check(Path("set"), planned(validation=2), None)
    plan = planned(train=8)
    enough_images.check(Path("set"), plan, None)
    assert "no images for validation, by which" in enough_images.empty_later(Path("set"), plan)
    with pytest.raises(DataError, match=words.format("validation", 8, 0)):
        enough_images.check(Path("set"), plan, made(plan, {}, train={"CC": 8}))


def test_a_recipe_without_a_validation_split_needs_none():
    splits = RECIPE.splits.model_copy(update={"train": 1.0, "validation": 0.0})
    plan = planned(train=8).model_copy(update={"recipes": (RECIPE.model_copy(update={"splits": splits}),)})
    enough_images.check(Path("set"), plan, None)


@pytest.mark.parametrize(("refused", "halts"), [(5, False), (6, True)])
def test_a_set_of_which_most_was_refused_halts_once(refused, halts):
    plan = planned(train=8, validation=2)
    left = made(plan, {"metal": refused}, train={"CC": 9 - refused}, validation={"CC": 1})
    if not halts:
        enough_images.check_refused(Path("set"), plan, left)
        return
    with pytest.raises(DataError, match=r"(?s)6 of the 10 planned .*; 4 are left.*launch the run again"):
        enough_images.check_refused(Path("set"), plan, left)
    assert enough_images.missing_views(left) == ["MLO"]
