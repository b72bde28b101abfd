"""Alarms: what they measure, and when they go off and what they say."""

import math
import re

import numpy as np
import pytest

from mammogan.config.alarm_settings import Alarms, Rule
from mammogan.config.settings import validate
from mammogan.errors import ConfigError
from mammogan.metrics import self_similarity
from mammogan.train.alarms import WATCHES, good_ticks, judge, label_entropy, observe, sheet

GOOD = {
    "fade": 1.0,
    "critic/penalty": 0.1,
    "critic/score_real": -1.0,
    "critic/label_real": 0.2,
    "critic/gradient_norm": 2.0,
    "generator/gradient_norm": 3.0,
    "critic/skipped": 0.0,
    "generator/skipped": 0.0,
    "alarm/distance": 3.0,
    "alarm/deviation_real": 0.1,
    "alarm/deviation_fake": 0.08,
    "alarm/ms_ssim_real": 0.65,
    "alarm/ms_ssim_fake": 0.7,
    "alarm/label_entropy": math.log(2),
}
RECORDED = {
    "healthy": {
        "fade": [0.496, 1, 1, 1, 1, 1, 1],
        "critic/penalty": [0.42, 0.139, 0.0821, 0.0917, 0.0809, 0.0853, 0.0908],
        "critic/score_real": [-1.95, -2.31, -2.93, -2.69, -2.73, -2.65, -3.02],
        "critic/label_real": [0.129, 0.142, 0.105, 0.0484, 0.0387, 0.023, 0.0163],
        "critic/gradient_norm": [1.71, 1.88, 4.45, 5.14, 4.89, 5.15, 5.45],
        "generator/gradient_norm": [1.91, 1.98, 2.71, 2.59, 3.6, 3.03, 3.65],
        "alarm/distance": [6.13, 8.2, 6.53, 5.92, 4.54, 4.08, 3.81],
        "alarm/deviation_real": [0.0921, 0.0986, 0.0986, 0.0986, 0.0986, 0.0986, 0.0986],
        "alarm/deviation_fake": [0.0801, 0.0545, 0.0781, 0.0806, 0.0836, 0.0841, 0.0857],
        "alarm/ms_ssim_real": [0.677, 0.646, 0.646, 0.646, 0.646, 0.646, 0.646],
        "alarm/ms_ssim_fake": [0.524, 0.678, 0.482, 0.537, 0.642, 0.675, 0.695],
    },
    "rate": {
        "fade": [1, 1, 1, 1],
        "critic/penalty": [13, 19.2, 42.4, 7.17],
        "critic/score_real": [-0.0524, -0.803, 0.00294, 0.412],
        "critic/label_real": [1.1, 0.834, 1.67, 2.68],
        "critic/gradient_norm": [18.2, 26.6, 49.9, 14.8],
        "generator/gradient_norm": [7.73, 5.71, 8.83, 7.85],
        "alarm/distance": [2.85, 2.64, 2.41, 2.24],
        "alarm/deviation_real": [0.0792, 0.0792, 0.0792, 0.0792],
        "alarm/deviation_fake": [0.495, 0.46, 0.397, 0.322],
        "alarm/ms_ssim_real": [0.824, 0.824, 0.824, 0.824],
        "alarm/ms_ssim_fake": [0.165, 0.174, 0.264, 0.441],
    },
    "collapse": {
        "fade": [0.66, 1, 1, 1],
        "critic/penalty": [4.05, 1.48, 0.879, 0.618],
        "critic/score_real": [-0.88, -1.78, -1.01, -0.549],
        "critic/label_real": [0.559, 0.47, 0.374, 0.324],
        "critic/gradient_norm": [2.02, 1.98, 1.89, 1.71],
        "generator/gradient_norm": [1.5, 3.3, 3.49, 3.16],
        "alarm/distance": [5.25, 6.51, 5.85, 5.08],
        "alarm/deviation_real": [0.0838, 0.0899, 0.0899, 0.0899],
        "alarm/deviation_fake": [0, 0, 0, 0],
        "alarm/ms_ssim_real": [0.793, 0.766, 0.766, 0.766],
        "alarm/ms_ssim_fake": [1, 1, 1, 1],
    },
}
"""Ticks of real training, `tour` to 20x16 on phantoms: stage 2 of seed 2, stage 0 at a hundred times the
learning rate, and stage 1 of a generator that can't hear its latent."""


def recorded(name):
    series = RECORDED[name]
    columns = zip(*series.values(), strict=True)
    return [dict(zip(series, column, strict=True)) | {"alarm/label_entropy": 0.6931} for column in columns]


def names(settings, ticks):
    return [alarm.name for alarm in judge(settings, ticks)]


def test_every_alarm_has_its_settings():
    rules = [name for name in Alarms.model_fields if isinstance(getattr(Alarms(), name), Rule)]
    assert sorted(rules) == sorted(WATCHES)


def test_a_wrong_setting_is_named():
    with pytest.raises(ConfigError, match=r"unknown key 'colapse'\. Did you mean 'collapse'\?"):
        validate(Alarms, {"colapse": {"bound": 0.1}}, "ours.toml")
    with pytest.raises(ConfigError, match=r"key 'images' is '3': input should be a multiple of 2"):
        validate(Alarms, {"images": 3}, "ours.toml")
    with pytest.raises(ConfigError, match=r"key 'rollback_rate' is '2': .*less than or equal to 1"):
        validate(Alarms, {"rollback_rate": 2}, "ours.toml")
    assert validate(Alarms, {"collapse": {"bound": 0.1}}, "ours.toml").collapse.patience == 2


def test_recorded_healthy_ticks_set_off_nothing_at_any_moment():
    ticks = recorded("healthy")
    assert all(judge(Alarms(), ticks[:end]) == () for end in range(len(ticks) + 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rate", [["penalty"], ["penalty"], ["penalty"], ["penalty", "labels"]]),
        ("collapse", [[], ["collapse"], ["collapse"], ["collapse"]]),
    ],
)
def test_recorded_faults_set_off_their_alarms_when_patience_ends(name, expected):
    ticks = recorded(name)
    assert [names(Alarms(), ticks[:end]) for end in range(1, len(ticks) + 1)] == expected


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "reals",
            {"alarm/deviation_real": 0.001},
            r"real images of a label deviate from each other by '0\.001', and alarms\.reals\.bound allows no "
            r"less than 0\.005; so it was for 1 tick\. They are all alike: look at them",
        ),
        (
            "skipped",
            {"generator/skipped": 0.25},
            r"the share of the generator's updates whose gradients were not finite is '0\.25', and "
            r"alarms\.skipped\.bound allows no more than 0\.1; so it was for 2 ticks\. Lower optimiser",
        ),
        (
            "penalty",
            {"critic/penalty": 12.0},
            r"the mean penalty of the critic's gradients is '12', and alarms\.penalty\.bound allows no more "
            r"than 5; so it was for 1 tick\. The critic is not held to its slope: lower optimiser",
        ),
        (
            "gradients",
            {"critic/gradient_norm": 0.2},
            r"the critic's gradients are smaller than they were at this stage, by a factor of '10', and "
            r"alarms\.gradients\.bound allows no more than 6; so it was for 1 tick\.",
        ),
        (
            "gradients",
            {"generator/gradient_norm": 24.0},
            r"the generator's gradients are larger than they were at this stage, by a factor of '8'",
        ),
        (
            "drift",
            {"critic/score_real": 36.0, "critic/penalty": 0.1},
            r"the critic's mean score of reals, in distances between real and fake, is '12', and "
            r"alarms\.drift\.bound allows no more than 5; so it was for 2 ticks\. Raise loss\.drift_weight",
        ),
        (
            "growth",
            {"critic/score_real": -9.0},
            r"the critic's mean score of reals has grown at this stage, by a factor of '9', and "
            r"alarms\.growth\.bound allows no more than 6",
        ),
        (
            "collapse",
            {"alarm/deviation_fake": 0.01},
            r"generated images of a label are nearly all alike; their deviation, as a part of the reals', is "
            r"'0\.1', and alarms\.collapse\.bound allows no less than 0\.15; so it was for 2 ticks\. Look at",
        ),
        (
            "collapse",
            {"alarm/ms_ssim_fake": 0.965},
            r"are nearly all alike; their 1 - MS-SSIM, as a part of the reals', is '0\.1'",
        ),
        (
            "labels",
            {"critic/label_real": math.log(2)},
            r"the critic does not learn the reals' labels; their entropy to it, as a part of chance, is '1', "
            r"and alarms\.labels\.bound allows no more than 0\.98; so it was for 4 ticks\. Check supervision",
        ),
    ],
)
def test_an_alarm_goes_off_with_the_last_bad_tick_of_its_patience_and_says_why(name, change, message):
    settings, before = Alarms(), [GOOD] * 6
    patience = getattr(settings, name).patience
    almost = [*before, *[GOOD | change] * (patience - 1)]
    assert name not in names(settings, almost)
    ticks = [*almost, GOOD | change]
    (alarm,) = (alarm for alarm in judge(settings, ticks) if alarm.name == name)
    assert re.match(rf"Alarm '{name}': .*{message}", alarm.message), alarm.message
    assert alarm.ticks == patience
    assert good_ticks([alarm], ticks) == 6
    off = settings.model_copy(update={name: getattr(settings, name).model_copy(update={"patience": 0})})
    assert name not in names(off, ticks)
    assert name not in names(settings, [*ticks, GOOD])


def test_what_is_not_finite_is_bad():
    lost = dict.fromkeys(GOOD, math.nan) | {"fade": 1.0}
    assert {"skipped", "penalty", "drift", "gradients"} <= set(names(Alarms(), [GOOD] * 4 + [lost] * 2))
    assert names(Alarms(), [GOOD] * 4 + [lost] + [GOOD] * 4) == []


def test_what_a_tick_does_not_tell_of_is_not_judged():
    assert judge(Alarms(), []) == ()
    assert judge(Alarms(), [{"kimg": 1.0}] * 9) == ()
    unsupervised = GOOD | {"alarm/label_entropy": 0.0, "critic/label_real": 0.0}
    assert judge(Alarms(), [unsupervised] * 9) == ()


def test_labels_are_not_asked_for_while_a_stage_fades_in():
    hard = GOOD | {"critic/label_real": 0.7}
    assert names(Alarms(), [hard | {"fade": 0.5}] * 9) == []
    assert names(Alarms(), [hard | {"fade": 0.5}, hard, hard, hard]) == []
    assert names(Alarms(), [hard | {"fade": 0.5}, hard, hard, hard, hard]) == ["labels"]


def test_a_norm_is_compared_once_there_is_a_history_and_a_slow_trend_is_let_pass():
    larger = GOOD | {"critic/gradient_norm": 60.0}
    assert names(Alarms(), [GOOD, GOOD, larger]) == []
    assert names(Alarms(), [GOOD, GOOD, GOOD, larger]) == ["gradients"]
    trend = [GOOD | {"critic/gradient_norm": 1.05**number} for number in range(100)]
    assert all(names(Alarms(), trend[:end]) == [] for end in range(101))


def test_training_goes_back_before_the_alarm_that_began_first():
    ticks = [
        *[GOOD] * 3,
        GOOD | {"critic/penalty": 9.0},
        GOOD | {"critic/penalty": 9.0} | {"alarm/deviation_real": 0.0},
    ]
    alarms = judge(Alarms(), ticks)
    assert [(alarm.name, alarm.ticks) for alarm in alarms] == [("reals", 1), ("penalty", 2)]
    assert good_ticks(alarms, ticks) == 3
    assert good_ticks((), ticks) == 5


def test_a_sheets_neighbours_share_their_labels():
    labels_NF = np.random.default_rng(0).integers(0, 2, (200, 2))
    places, drawn = sheet(labels_NF, 64)
    assert len(places) == len(set(places.tolist())) == 64
    assert places.max() - places.min() > 190
    assert (drawn[0::2] == drawn[1::2]).all()
    assert (labels_NF[places] == drawn).mean() > 0.95
    assert np.array_equal(sheet(labels_NF, 64)[0], places)
    assert len(sheet(labels_NF[:7], 64)[0]) == 6


@pytest.fixture(scope="module")
def reals():
    return np.random.default_rng(1).integers(20000, 40000, (8, 20, 16), dtype=np.uint16)


def test_a_set_beside_itself_has_no_distance_and_one_diversity(reals):
    seen = observe(reals, reals)
    assert seen["alarm/distance"] == 0
    assert seen["alarm/deviation_fake"] == seen["alarm/deviation_real"] > 0
    assert seen["alarm/ms_ssim_fake"] == seen["alarm/ms_ssim_real"] == self_similarity(reals)


def test_distance_and_deviation_are_in_greys_from_minus_1_to_1():
    low, high = np.full((1, 5, 4), 0, np.uint16), np.full((1, 5, 4), 65535, np.uint16)
    seen = observe(np.concatenate([low, high]), np.concatenate([high, high]))
    assert seen["alarm/distance"] == pytest.approx(2 * math.sqrt(20) / 2)
    assert seen["alarm/deviation_real"] == pytest.approx(2 / math.sqrt(2))
    assert seen["alarm/deviation_fake"] == 0


def test_one_picture_a_label_is_a_collapse_however_the_labels_differ(reals):
    fakes = np.repeat(reals[::2], 2, axis=0)
    seen = observe(reals, fakes)
    assert (seen["alarm/deviation_fake"], seen["alarm/ms_ssim_fake"]) == (0, 1)
    assert names(Alarms(), [GOOD | seen] * 2) == ["collapse"]


def test_grain_does_not_hide_that_large_pictures_are_alike():
    random = np.random.default_rng(2)
    smooth = np.cumsum(random.integers(0, 100, (4, 640, 512)), axis=2).astype(np.uint16)
    grainy = np.repeat(smooth[::2], 2, axis=0) + random.integers(0, 2000, smooth.shape).astype(np.uint16)
    seen = observe(smooth, grainy)
    assert seen["alarm/deviation_fake"] == pytest.approx(2 / 65535 * 2000 / math.sqrt(12) / 2, rel=0.2)


def test_the_labels_entropy_is_that_of_their_shares():
    even = np.array([[0, 0], [1, 1], [0, 2], [1, 3]])
    assert label_entropy(even, 1.0) == {"alarm/label_entropy": pytest.approx(math.log(2) + math.log(4))}
    assert label_entropy(even[:, :1], 0.5) == {"alarm/label_entropy": pytest.approx(0.5 * math.log(2))}
    half_known = np.array([[0], [1], [-1], [-1]])
    assert label_entropy(half_known, 1.0)["alarm/label_entropy"] == pytest.approx(0.5 * math.log(2))
    nothing = np.full((4, 1), -1)
    assert label_entropy(nothing, 1.0)["alarm/label_entropy"] == 0
