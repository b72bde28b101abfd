"""Checkpoints that SWD takes for good and other measures see: striped, grainy, blurred, veiled, collapsed."""

import functools
import re

import cv2
import numpy as np
import pytest

from mammogan import schedule
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import merge
from mammogan.config.scoring_settings import Selection
from mammogan.config.site import load_site
from mammogan.metrics import set_measures
from mammogan.steps import score_measures
from mammogan.steps.choose_checkpoint import choose
from mammogan.steps.score_measures import RealLooks
from tests.steps.scored import measure, score

EACH, SHAPE = 64, (80, 64)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("set")
    method = load_method("tour", ("ladder.stages=5",))
    return merge(method, (load_recipe("phantom"),), load_site("local"), path, "data", "0")


@pytest.fixture(scope="module")
def stage(run):
    (found,) = (stage for stage in schedule.plan(run.method) if (stage.height_px, stage.width_px) == SHAPE)
    return found


def sound(random, count=EACH):
    """Draw half discs with texture, black around."""
    images = []
    for _ in range(count):
        size, tone = random.uniform(0.38, 0.48), random.uniform(0.3, 0.5)
        away = np.hypot(X / 1.4, Y - 0.5 + random.normal(0, 0.03)) / size
        texture = cv2.GaussianBlur(random.standard_normal(SHAPE), (0, 0), random.uniform(0.7, 1.2))
        grey = tone + 0.15 * texture + random.uniform(0, 0.3) * np.exp(-4 * away**2)
        images.append(np.clip(grey, 0.08, 1) * np.clip(20 * (1 - away), 0, 1))
    return np.array(images)


def striped(random):
    images = sound(random)
    return images + 0.05 * (images > 0) * np.cos(np.pi * np.arange(SHAPE[1]) * 0.8)


def grainy(random):
    images = sound(random)
    return images + 0.1 * (images > 0) * random.standard_normal(images.shape)


def blurred(random):
    return np.array([cv2.GaussianBlur(image, (0, 0), 0.9) for image in sound(random)])


def veiled(random):
    """Blend with grey, as an average that lags behind its generator does."""
    return 0.3 * sound(random) + 0.7 * 0.15


def lifted(random):
    images = sound(random)
    return np.where(images > 0, images, 0.05)


def collapsed(random):
    images = np.repeat(sound(random, 1), EACH, axis=0)
    return images + 0.002 * (images > 0) * random.standard_normal(images.shape)


def looks(make, *seed):
    found = {}
    for view in (0, 1):
        greys = np.clip(make(np.random.default_rng([*seed, view])), 0, 1)
        list(score_measures.looking((greys * 65535).astype(np.uint16), EACH, found, view))
    return found


@pytest.fixture(scope="module")
def measured(run, stage):
    """Give a function that measures a checkpoint of a kind beside the same reals."""
    groups = {view: np.arange(EACH) // 2 for view in (0, 1)}
    reals = RealLooks(looks(sound, 0), groups, looks(sound, 1))
    return functools.cache(lambda make: score_measures.measures(run, stage, looks(make, 2), reals))


def scored(measured, bad):
    """Give scores of a bad checkpoint and of a sound one whose SWD is a little worse, and which is older."""
    halves = {
        name: {"above_floor_error": 3.0, "above_floor_halves": values} for name, values in HALVES.items()
    }
    return [
        score(1000, 21.0, measures=measured(sound), **halves["sound"]),
        score(2000, 20.0, measures=measured(bad), **halves["bad"]),
    ]


HALVES = {"sound": tuple(np.arange(16) - 7.5), "bad": tuple(7.5 - np.arange(16))}


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (striped, "band-power"),
        (striped, "anisotropy"),
        (grainy, "band-power"),
        (blurred, "band-power"),
        (veiled, "background"),
        (veiled, "deviation"),
        (lifted, "background"),
        (collapsed, "coverage"),
        (collapsed, "deviation"),
    ],
)
def test_each_fault_is_seen_by_its_measure(measured, bad, name):
    fault, healthy = measured(bad)[name], measured(sound)[name]
    assert healthy.off < fault.off
    errors = np.subtract(fault.halves, healthy.halves)
    assert fault.off - healthy.off > 3 * np.sqrt(np.mean(errors**2))
    assert measured(sound)[name].null == pytest.approx(healthy.value, abs=0.25 if name != "background" else 1)


@pytest.mark.parametrize("bad", [striped, grainy, blurred, veiled, lifted, collapsed])
def test_a_sound_checkpoint_is_chosen_before_a_bad_one_that_is_later_and_of_lower_swd(measured, bad):
    by_swd = choose(scored(measured, bad), Selection(measures=("swd",), deviation_min=0, background_max=255))
    assert by_swd.images == 2000
    choice = choose(scored(measured, bad), Selection())
    assert choice.images == 1000
    assert choice.reason


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (veiled, "veiled: the background of CC images is .* more than 4"),
        (veiled, "washed out: CC images deviate .* less than 0.5"),
        (lifted, "veiled: the background of MLO images is 1.* greys of 255 above"),
        (collapsed, "washed out"),
    ],
)
def test_washed_out_and_veiled_checkpoints_can_not_be_chosen_and_it_is_said(measured, bad, said):
    choice = choose(scored(measured, bad), Selection(measures=("swd",)))
    assert choice.images == 1000
    assert next(rival.barred for rival in choice.rivals if rival.images == 2000)
    (notice,) = choice.notices
    assert notice.startswith("1 of 2 can't be chosen: 2 kimg (")
    assert re.search(said, notice)


def test_if_all_are_veiled_one_is_chosen_all_the_same_and_both_are_said(measured):
    rivals = [score(1000, 30.0, measures=measured(veiled)), score(2000, 20.0, measures=measured(lifted))]
    choice = choose(rivals, Selection(measures=("swd",)))
    assert choice.images == 2000
    assert choice.barred.startswith("veiled")
    said = choice.notices[-1]
    assert said.startswith("One was chosen though all are washed out or veiled: 1 kimg (washed out")
    assert "2 kimg (veiled" in said


def test_the_values_are_stated_by_view_and_octave(measured):
    found = measured(striped)
    assert list(found) == list(set_measures.MEASURES)
    assert list(found["anisotropy"].octaves) == ["2-4px", "4-8px"]
    assert found["anisotropy"].octaves["2-4px"] > 1.5 > found["anisotropy"].octaves["4-8px"] > 0.7
    assert list(found["coverage"].views) == ["CC", "MLO"]
    assert 0.8 < measured(sound)["coverage"].null <= 1


def test_images_too_small_for_a_region_and_too_few_for_coverage_have_no_such_measures(run):
    small = schedule.plan(run.method)[0]
    images = np.random.default_rng(0).integers(0, 65536, (4, 5, 4), dtype=np.uint16)
    found = {}
    list(score_measures.looking(images, 4, found, 1))
    beside = score_measures.measures(run, small, found, RealLooks(found, {1: np.arange(4)}, found))
    assert {name for name, one in beside.items() if one.value is None} == {
        "band-power",
        "anisotropy",
        "coverage",
    }
    assert beside["background"].views == {"MLO": 0.0}  # of the view that there is
    choice = choose([score(n, 20.0, measures=beside) for n in (1000, 2000)], Selection())
    assert choice.images == 2000
    assert [bool(decision.passed_over) for decision in choice.decisions] == [False, True, True]


def test_what_ties_by_one_measure_is_told_apart_by_the_next_and_at_last_the_latest_is_taken():
    def rival(images, swd, power, coverage):
        measures = {"band-power": measure(power), "coverage": measure(1 - coverage)}
        return score(images, swd, measures=measures)

    rivals = [
        rival(1000, 20.0, 0.10, 0.8),
        rival(2000, 20.5, 0.12, 0.95),
        rival(3000, 21.0, 0.11, 0.94),
        rival(4000, 21.5, 0.60, 0.99),
        rival(5000, 40.0, 0.01, 1.0),
    ]
    choice = choose(rivals, Selection())
    assert choice.images == 3000
    assert [(found.measure, found.left) for found in choice.decisions] == [
        ("swd", (1000, 2000, 3000, 4000)),
        ("band-power", (1000, 2000, 3000)),
        ("coverage", (2000, 3000)),
    ]
    assert (
        choice.reason == "by swd 4 tie, by band-power 3 tie, by coverage 2 tie; the latest of these was taken"
    )
    assert choose(rivals, Selection(measures=("coverage",))).images == 5000


def test_two_scores_tie_by_the_error_of_their_difference_which_leaves_out_the_reals_they_share():
    reals = np.random.default_rng(0).normal(0, 5, 16)
    apart = np.random.default_rng(1).normal(0, 0.2, 16)
    rivals = [
        score(1000, 20.0, above_floor_error=5.0, above_floor_halves=tuple(reals)),
        score(2000, 22.0, above_floor_error=5.0, above_floor_halves=tuple(reals + apart)),
    ]
    choice = choose(rivals, Selection(measures=("swd",)))
    assert (choice.images, choice.margin) == (1000, 2.0)
    assert choice.margin_sd == pytest.approx(2.0 / np.sqrt(np.mean(apart**2)))
    elsewhere = [rivals[0], rivals[1].model_copy(update={"reals": "others"})]
    assert choose(elsewhere, Selection(measures=("swd",))).ties == (1000, 2000)


def test_scores_of_an_earlier_version_are_chosen_from_and_what_they_do_not_know_is_said():
    choice = choose([score(1000, 20.0), score(2000, 21.0)], Selection())
    assert choice.images == 2000
    assert choice.notices[0].startswith("2 of 2 scores do not know their error over fresh draws")
    assert "remove the run's folder 'scores'" in choice.notices[0]
    assert choice.notices[1].startswith("'band-power' was passed over: some scores do not have it")
