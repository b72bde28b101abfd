"""What families make of a view's sets: intervals by patient, pairs that count as often as their images."""

import numpy as np
import pytest

from mammogan.config.scoring_settings import Assessment
from mammogan.metrics.comparison.diversity import diversity
from mammogan.metrics.comparison.view_sets import Looks, ViewSets, means, space


def sets(real=40, synthetic=30, a_patient=2, **arrays):
    settings = Assessment(bootstraps=200, splits=20)
    dice = np.random.default_rng(0)

    def looks(count, groups):
        made = {"random-network": dice.normal(size=(count, 3)) * [1, 10, 0] + 5, **arrays}
        return Looks(made, groups)

    sources = {
        "real": looks(real, np.arange(real) // a_patient),
        "train": looks(real, np.arange(real) // a_patient),
        "synthetic": looks(synthetic, np.arange(synthetic)),
    }
    return ViewSets("CC", sources, settings, 1)


def pairs(count, number, values):
    dice = np.random.default_rng(number)
    first = dice.integers(0, count, 60)
    return {
        "pairs": np.stack([first, (first + dice.integers(1, count, 60)) % count], axis=1),
        "ms_ssim": values,
    }


def test_a_collapsed_set_is_seen_by_its_pairs_and_no_pair_is_of_one_patient():
    dice = np.random.default_rng(0)
    reals = pairs(40, 1, dice.uniform(0.2, 0.4, 60))
    reals["pairs"][:10] = [4, 5]  # of one patient, who is alike on both sides
    reals["ms_ssim"][:10] = 1.0
    mean, difference = diversity(sets(), pairs(30, 2, np.full(60, 0.9)), reals)
    assert mean.value == pytest.approx(0.9) and mean.real == pytest.approx(0.3, abs=0.03)
    assert difference.ci.low > 0.5 > difference.null.high
    others = (reals["pairs"][:, 0] // 2 != reals["pairs"][:, 1] // 2).sum()
    assert others <= 50 and mean.note == f"60 and {others} pairs"
    assert not list(diversity(sets(), {"pairs": np.zeros((0, 2), int), "ms_ssim": np.zeros(0)}, reals))


def test_features_are_in_units_of_the_training_reals_and_what_never_varies_is_nothing():
    made = sets(real=4000)
    scaled = space(made, made.train, "random-network")
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-4)
    assert scaled.std(axis=0) == pytest.approx([1, 1, 0], abs=1e-4)
    assert space(made, made.real, "random-network").std(axis=0)[:2] == pytest.approx([1, 1], abs=0.06)


def test_draws_are_the_same_again_and_of_patients():
    one, again = sets(), sets()
    both = [(*each.drawn, *each.halves, each.some) for each in (one, again)]
    for mine, theirs in zip(*both, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (one.drawn[0][:, ::2] == one.drawn[0][:, 1::2]).all()
    assert (one.halves[0].sum(axis=1) == 20).all() and (one.some.sum(axis=1) == 20).all()


def test_a_mean_leaves_out_what_is_not_there():
    weights = np.array([[1, 2, 1], [0, 0, 3]], np.float32)
    assert means(weights, np.array([1.0, 4.0, np.nan]))[0] == 3
    assert np.isnan(means(weights, np.array([1.0, 4.0, np.nan]))[1])


def test_a_measure_tells_its_interval_its_null_and_its_numbers():
    made = sets()
    told = made.measure(
        "x", 0.9, "g", boots=np.linspace(0.6, 1.0, 200), nulls=np.array([0.5, 0.7]), within=(0, 1)
    )
    assert (told.images, told.reals, told.patients, told.view) == (30, 40, 20, "CC")
    assert told.ci.low < 0.9 < told.ci.high == 1 and told.ci.mean == pytest.approx(0.8)
    assert told.null.mean == pytest.approx(0.6)
    assert made.measure("x", 0.9, "g", nulls=np.zeros(0)).null is None
