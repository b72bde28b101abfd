"""The choice among checkpoints that were made worse on purpose: the sound one is found, a tie is told as one.

A checkpoint is its images here, all checkpoints' being of the same latents, as the step draws them.
"""

import functools

import cv2
import numpy as np
import pytest

from mammogan import schedule
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import merge
from mammogan.config.scoring_settings import Selection
from mammogan.config.site import load_site
from mammogan.run_records import Score
from mammogan.steps import score_error, score_measures, swd_sets
from mammogan.steps.choose_checkpoint import choose
from mammogan.steps.score_measures import RealLooks

VIEWS, EACH, SHAPE = (0, 1), 96, (40, 32)
TRIALS, RULE = range(20), Selection()
IN_CI = 1
SOME_SLOW = [pytest.param(n, marks=[pytest.mark.slow] if n >= IN_CI else []) for n in TRIALS]
SETTINGS = ("scoring.seeds=5", "scoring.directions=32", "scoring.repeats=2", "scoring.patches_per_image=64")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("set")
    return merge(
        load_method("tour", SETTINGS), (load_recipe("phantom"),), load_site("local"), path, "data", "0"
    )


@pytest.fixture(scope="module")
def stage(run):
    (found,) = (stage for stage in schedule.plan(run.method) if (stage.height_px, stage.width_px) == SHAPE)
    return found


def breasts(view, random, dense=0.5):
    """Draw a set of one view: half discs with texture, of which the share `dense` is bright within."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[0]
    images = []
    for _ in range(EACH):
        size, tilt = random.uniform(0.35, 0.48), (0.25 if view else 0.0) + random.normal(0, 0.04)
        away = np.hypot(x / 1.4, y - 0.5 + tilt * (x - 0.3)) / size
        texture = cv2.GaussianBlur(random.standard_normal(SHAPE), (0, 0), 1.0)
        texture += random.standard_normal(SHAPE) * 0.08
        grey = 0.35 + 0.12 * texture
        if random.random() < dense:
            grey = grey + 0.3 * np.exp(-4 * away**2) * (1 + texture)
        images.append(np.clip(grey, 0.05, 1) * np.clip(12 * (1 - away), 0, 1))
    return np.array(images)


def a_little_later(view, random):
    images = breasts(view, random)
    return images + random.normal(0, 0.002, images.shape) * (images > 0)


def noisy(view, random):
    images = breasts(view, random)
    return images + random.normal(0, 0.04, images.shape) * (images > 0)


def blurred(view, random):
    return np.array([cv2.GaussianBlur(image, (0, 0), 0.65) for image in breasts(view, random)])


def dropped(view, random):
    return breasts(view, random, dense=0.2)


def of_an_earlier_stage(view, random):
    halves = [cv2.resize(image, (16, 20), interpolation=cv2.INTER_AREA) for image in breasts(view, random)]
    return np.array([half.repeat(2, axis=0).repeat(2, axis=1) for half in halves])


SOUND, WORSE = (breasts, a_little_later), (noisy, blurred, dropped, of_an_earlier_stage)


def gathered(run, stage, make, *seed):
    sets, looks = swd_sets.empty(run, stage, VIEWS), {}
    for view in VIEWS:
        greys = np.clip(make(view, np.random.default_rng([*seed, view])), 0, 1)
        images = (greys * 65535).astype(np.uint16)
        swd_sets.add(sets, view, score_measures.looking(images, EACH, looks, view))
    return sets, looks


@pytest.fixture(scope="module")
def scored(run, stage):
    """Give a function that scores a checkpoint of every kind in one trial."""

    @functools.cache
    def trial(seed):
        (reals, looks), (others, of_others) = (gathered(run, stage, breasts, seed, n) for n in range(2))
        floors, found = swd_sets.compare(reals, others), {}
        groups = score_error.ungrouped(dict.fromkeys(VIEWS, EACH))
        splits = {name: score_error.split(run, name, groups) for name in score_error.SETS}
        beside = RealLooks(looks, groups, of_others)
        floor_halves = score_error.differences(run, reals, others, splits["validation"], splits["others"])
        for make in SOUND + WORSE:
            mine, of_mine = gathered(run, stage, make, seed, 2)
            distances = swd_sets.compare(mine, reals)
            halves = score_error.differences(run, mine, reals, splits["synthetic"], splits["validation"])
            scored_images = swd_sets.score(distances, floors, ((40, 32), (20, 16)), halves, floor_halves)
            measures = score_measures.measures(run, stage, of_mine, beside)
            found[make] = Score(
                **dict(scored_images.model_copy(update={"measures": measures})),
                stage=stage.index,
                height_px=40,
                width_px=32,
                images=0,
                kimg=0,
                compared=0,
                checkpoint=make.__name__,
                reals="reals",
            )
        return found

    return trial


def in_order(scores, kinds):
    """Give the scores of checkpoints of these kinds, each older than the next."""
    return [
        scores[make].model_copy(update={"images": n * 1000, "kimg": n})
        for n, make in enumerate(kinds, start=1)
    ]


@pytest.mark.parametrize("seed", SOME_SLOW)
def test_the_sound_checkpoint_is_chosen_among_those_made_worse(scored, seed):
    kinds = [breasts, *WORSE]
    np.random.default_rng(seed).shuffle(kinds)
    choice = choose(in_order(scored(seed), kinds), RULE)
    assert choice.checkpoint == "breasts"
    assert len(choice.rivals) == 5
    assert choice.margin_sd > RULE.tie_sd


@pytest.mark.parametrize("seed", SOME_SLOW)
def test_two_sound_checkpoints_tie_and_the_later_is_chosen(scored, seed):
    kinds = (noisy, SOUND[seed % 2], blurred, dropped, SOUND[1 - seed % 2], of_an_earlier_stage)
    choice = choose(in_order(scored(seed), kinds), RULE)
    assert {2000, 5000} <= set(choice.ties)
    assert choice.images in (2000, 5000)


def test_what_a_score_says_is_the_mean_of_its_parts(scored):
    score = scored(0)[noisy]
    above = [part.swd - part.floor for part in score.views.values()]
    assert score.above_floor == pytest.approx(np.mean(above))
    assert score.swd == pytest.approx(np.mean([level.swd for level in score.levels]))
    assert list(score.views) == list(score.breast.views) == ["CC", "MLO"]
    assert score.above_floor_error > score.above_floor_sd > 0
    assert score.views["CC"].error > score.views["CC"].sd > 0
    assert all(level.error > 0 for level in score.views["CC"].levels)
    assert score.breast.sd == 0.0  # of the first seed alone


@pytest.mark.slow
def test_a_sound_checkpoint_is_at_the_floor(scored):
    above = [scored(seed)[breasts].above_floor for seed in TRIALS]
    floors = [scored(seed)[breasts].floor for seed in TRIALS]
    assert abs(np.mean(above)) < 0.1 * np.mean(floors)
