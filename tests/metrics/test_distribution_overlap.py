"""Two samples of one quantity: each score by what it should see, and weights by the sets they stand for."""

import numpy as np
import pytest

from mammogan.metrics.bootstrap import bootstrap, halves, some, spread, subsets
from mammogan.metrics.distribution_overlap import SCORES, Pairing

DICE = np.random.default_rng(0)
REAL = DICE.normal(size=2000)


def other(seed, count=2000):
    return np.random.default_rng(seed).normal(size=count)


def test_identical_samples_score_as_identical_in_any_order():
    found = Pairing(REAL, np.random.default_rng(1).permutation(REAL)).value()
    assert found["sis"] == found["ovl"] == found["j99"] == found["jbin"] == 1
    assert found["w1"] == found["ks"] == 0
    assert found["cover"] == found["fidelity"] == pytest.approx(0.99, abs=0.002)


def test_shared_information_of_one_distribution_is_1_after_its_correction_whatever_the_number():
    for count in (500, 5000):
        values = [Pairing(other(s, count), other(s + 50, count)).value() for s in range(20)]
        assert np.mean([value["sis"] for value in values]) == pytest.approx(1, abs=0.006)
    # The overlap of histograms isn't corrected: it needs its null.
    assert 0.92 < np.mean([value["ovl"] for value in values]) < 0.96


@pytest.mark.parametrize(
    ("changed", "expected"),
    # Of normal distributions: 1 - JSD by integration, the overlap 2 Phi(-shift / 2), Wasserstein's distance.
    [
        (REAL + 0.5, {"sis": 0.955, "ovl": 0.80, "w1": 0.5, "ks": 0.197}),
        (REAL + 1, {"sis": 0.841, "ovl": 0.62, "w1": 1.0, "ks": 0.383}),
        (0.7 * REAL, {"sis": 0.966, "ovl": 0.82, "w1": 0.24}),
    ],
)
def test_a_shift_and_a_narrowing_are_seen(changed, expected):
    found = Pairing(REAL, changed).value()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.03), name


def test_a_dropped_mode_is_seen_by_cover_and_not_by_fidelity():
    two = np.concatenate([REAL[:1000] * 0.5 - 2, REAL[1000:] * 0.5 + 2])
    found = Pairing(two, other(3) * 0.5 + 2).value()
    assert found["cover"] == pytest.approx(0.5, abs=0.02) and found["fidelity"] > 0.98
    assert found["ovl"] < 0.55 and found["sis"] < 0.75 and found["j99"] < 0.5 and found["jbin"] < 0.6


def test_disjoint_samples_share_nothing():
    found = Pairing(REAL, REAL + 100).value()
    assert found["ovl"] == found["j99"] == found["jbin"] == found["cover"] == found["fidelity"] == 0
    assert found["sis"] < 0.03 and found["ks"] == 1


def test_a_weight_counts_as_so_many_copies():
    real_BN = bootstrap(np.arange(300) // 2, 3, np.random.default_rng(1))
    synthetic_BM = bootstrap(np.arange(200), 3, np.random.default_rng(2))
    pairing = Pairing(REAL[:300], other(5, 200))
    scores = pairing.scores(real_BN, synthetic_BM)
    for draw in range(3):
        a = np.repeat(REAL[:300], real_BN[draw].astype(int))
        b = np.repeat(other(5, 200), synthetic_BM[draw].astype(int))
        literal = Pairing(a, b)
        literal.edges_K, literal._unit = pairing.edges_K, pairing._unit  # which are fixed for all draws
        literal._starts_K = np.searchsorted(
            np.searchsorted(pairing.edges_K, literal._sorted_U, "right"), np.arange(pairing.bins)
        )
        for name, value in literal.value().items():
            assert scores[name][draw] == pytest.approx(value), name


def test_constant_samples_do_not_break_it():
    found = Pairing(np.ones(5), np.ones(4)).value()
    assert found["ovl"] == found["j99"] == 1 and found["w1"] == 0
    assert set(found) == set(SCORES)


def test_groups_are_drawn_whole_and_as_many():
    groups = np.array([0, 0, 1, 2, 2, 2])
    drawn = bootstrap(groups, 50, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 3:5] == drawn[:, 5:]).all()
    assert (drawn[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(drawn, axis=0)) > 5


def test_halves_share_no_group_and_are_equally_large():
    groups = np.arange(40) // 2
    a, b = halves(groups, 30, np.random.default_rng(0))
    assert (a.sum(axis=1) == 20).all() and (b.sum(axis=1) == 20).all()
    assert not (a * b).any()
    assert (a[:, ::2] == a[:, 1::2]).all()
    assert len(halves(np.zeros(5, int), 30, np.random.default_rng(0))[0]) == 0
    assert len(halves(np.zeros(0, int), 30, np.random.default_rng(0))[0]) == 0


def test_subsets_have_the_number_asked_for_at_most():
    a, b = subsets(np.arange(50) // 3, 10, 20, np.random.default_rng(0))
    assert ((a.sum(axis=1) <= 10) & (a.sum(axis=1) >= 8) & (b.sum(axis=1) <= 10)).all()
    assert not (a * b).any()
    assert (some(9, 4, 5, np.random.default_rng(0)).sum(axis=1) == 4).all()


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says_and_counts_patients_not_images():
    dice, held, naive = np.random.default_rng(0), 0, 0
    for _ in range(200):
        values = np.repeat(dice.normal(size=40), 3)  # three images a patient that are all alike
        for groups, counts in ((np.repeat(np.arange(40), 3), True), (np.arange(120), False)):
            weights = bootstrap(groups, 200, dice)
            means = (weights @ values) / weights.sum(axis=1)
            _, low, high = spread(means, values.mean())
            held, naive = held + (counts and low <= 0 <= high), naive + (not counts and low <= 0 <= high)
    assert 0.88 < held / 200 < 0.99
    assert naive / 200 < 0.85


def test_an_interval_is_moved_to_the_value_and_stays_within_bounds():
    assert spread(np.array([0.8, 0.85, 0.9]), 0.95, (0, 1)) == pytest.approx((0.85, 0.9025, 0.9975))
    assert spread(np.array([0.5, 1.0]), 0.95, (0, 1))[2] == 1
    assert all(np.isnan(spread(np.array([np.nan]))))
