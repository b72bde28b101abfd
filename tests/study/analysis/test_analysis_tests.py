"""Equivalence, spread, single readers and confidence, each against numbers worked out elsewhere."""

import numpy as np
import pytest
from scipy import stats

from mammogan.errors import ConfigError
from mammogan.study.analysis import dispersion as spread
from mammogan.study.analysis.clustered_intervals import Share
from mammogan.study.analysis.dispersion import dispersion
from mammogan.study.analysis.equivalence import check, tost
from mammogan.study.analysis.reader_tests import (
    against_a_coin,
    benjamini_hochberg,
    chance_of,
    holm,
    least_right,
)
from mammogan.study.analysis.roc import d_prime, roc


def independent(value, trials):
    return Share(value, trials, 0.0, float(trials), 1.0, 10**6)


def test_equivalence_is_the_90_percent_interval_within_the_margin():
    rng = np.random.default_rng(0)
    for value, count in zip(rng.uniform(0.3, 0.7, 200), rng.integers(20, 2000, 200), strict=True):
        found = tost(independent(value, count), 0.1)
        assert found.equivalent == (found.low > 0.4 and found.high < 0.6)


@pytest.mark.parametrize(("margin", "trials"), [(0.1, 271), (0.075, 481), (0.05, 1083)])
def test_trials_for_90_percent_power_are_those_of_the_plan(margin, trials):
    right = np.arange(trials + 1)
    passed = np.array([tost(independent(k / trials, trials), margin).equivalent for k in right])
    assert stats.binom.pmf(right, trials, 0.5)[passed].sum() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("margin", [0, -0.1, 0.5, 3])
def test_a_margin_that_says_nothing_is_refused(margin):
    with pytest.raises(
        ConfigError, match=f"study.toml: the margin '{margin:g}' .* is not above 0 and below 0.5"
    ):
        check(margin, "study.toml")


def test_chance_certifies_a_reader_of_117_as_often_as_not():
    right = np.array([5] * 116 + [9])
    found = against_a_coin(right, np.full(117, 10))
    assert least_right(10) == 9
    assert chance_of(10) == pytest.approx(11 / 1024)
    assert found.expected_above == pytest.approx(1.2568, abs=1e-4)
    assert found.chance_of_any == pytest.approx(0.717, abs=1e-3)
    assert (found.above, found.bh, found.holm) == (1, 0, 0)
    assert not found.holm_possible


def test_with_ten_pairs_all_right_is_not_enough_among_117_and_with_twenty_it_is():
    for pairs, kept in ((10, 0), (20, 1)):
        right = np.array([pairs // 2] * 116 + [pairs])
        found = against_a_coin(right, np.full(117, pairs))
        assert (found.holm, found.holm_possible) == (kept, bool(kept))


def test_four_pairs_can_show_nothing_and_chance_expects_nothing():
    assert least_right(4) is None
    assert against_a_coin(np.array([4, 2]), np.array([4, 4])).expected_above == 0


def test_single_readers_have_exact_intervals_and_tests():
    right, answered = np.array([0, 3, 8, 10]), np.full(4, 10)
    found = against_a_coin(right, answered)
    for r, k in enumerate(right.tolist()):
        exact = stats.binomtest(k, 10).proportion_ci(0.95, method="exact")
        assert (found.low_R[r], found.high_R[r]) == pytest.approx((exact.low, exact.high))
        assert found.p_two_sided_R[r] == pytest.approx(stats.binomtest(k, 10).pvalue)
        assert found.p_above_R[r] == pytest.approx(stats.binomtest(k, 10, alternative="greater").pvalue)
    assert (found.above, found.below) == (1, 1)


def test_adjusted_p_are_those_of_the_papers():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_the_likelihood_of_readers_is_the_beta_binomials():
    right, answered = np.array([0, 3, 7, 10, 2]), np.array([10, 10, 10, 10, 4])
    mean, rho = 0.45, 0.12
    a, b = mean * (1 / rho - 1), (1 - mean) * (1 / rho - 1)
    expected = stats.betabinom.logpmf(right, answered, a, b).sum()
    ways = stats.binom.logpmf(right, answered, 0.5) + answered * np.log(2)
    kinds = np.stack([right, answered])
    assert spread._likelihood(kinds, np.ones(5), mean, rho) == pytest.approx(expected - ways.sum())
    assert spread._likelihood(kinds, np.ones(5), mean, 1e-8) == pytest.approx(
        spread._likelihood(kinds, np.ones(5), mean, 0.0), abs=1e-3
    )


def test_readers_who_are_coins_show_no_spread_and_knowing_ones_do():
    rng = np.random.default_rng(1)
    answered = np.full(400, 10)
    coins = dispersion(rng.binomial(10, 0.5, 400), answered)
    assert coins.ratio == pytest.approx(1, abs=0.2)
    assert coins.low == 0
    assert coins.p_extra > 0.05
    true = 0.1
    a = (0.25 / true**2 - 1) / 2
    differing = dispersion(rng.binomial(10, rng.beta(a, a, 400)), answered)
    assert differing.low < true < differing.high
    assert differing.low > 0
    assert differing.p_extra < 0.001
    assert differing.p < 0.01


def test_readers_who_agree_more_than_coins_are_seen_too():
    found = dispersion(np.full(100, 5), np.full(100, 10))
    assert found.ratio == 0
    assert found.p < 1e-10
    assert (found.sd, found.p_extra) == (0, 1)


@pytest.mark.parametrize(("right", "answered"), [([7], [10]), ([10, 10], [10, 10]), ([0, 0], [10, 10])])
def test_there_is_no_spread_of_one_reader_or_of_answers_all_alike(right, answered):
    assert dispersion(np.array(right), np.array(answered)) is None


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 0.0), (0.55, 0.18), (0.6, 0.36)])
def test_d_prime_of_two_choices(rate, expected):
    value, low, high = d_prime(independent(rate, 500))
    assert value == pytest.approx(expected, abs=0.005)
    assert low < value < high


def rated(seed=0, count=600, ease=0.8):
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2, count).astype(bool)
    evidence = rng.normal(np.where(left, ease, -ease))
    return left, evidence > 0, 1.0 + np.floor(np.minimum(4, np.abs(evidence) * 2))


def test_the_area_is_that_of_the_rank_sum():
    left, answers, confidence = rated()
    clusters = (np.arange(600) // 10, np.arange(600) % 50, np.arange(600) % 40)
    found = roc(left, answers, confidence, clusters)
    rating = np.where(answers, 1, -1) * confidence
    u = stats.mannwhitneyu(rating[left], rating[~left]).statistic
    assert found.area.value == pytest.approx(u / left.sum() / (~left).sum())
    assert np.trapezoid(found.true_T, found.false_T) == pytest.approx(found.area.value)
    assert found.area.low < found.area.value < found.area.high


def test_the_areas_error_is_delongs_where_trials_are_independent():
    left, answers, confidence = rated(count=400)
    found = roc(left, answers, confidence, (np.arange(400),))
    rating = np.where(answers, 1, -1) * confidence
    wins = np.sign(rating[left][:, None] - rating[~left]) / 2 + 0.5
    variance = wins.mean(1).var(ddof=1) / left.sum() + wins.mean(0).var(ddof=1) / (~left).sum()
    assert found.area.se == pytest.approx(np.sqrt(variance), rel=0.01)


def test_trials_without_confidence_are_left_out_and_none_gives_no_curve():
    left, answers, confidence = rated()
    clusters = (np.arange(600),)
    holed = confidence.copy()
    holed[::3] = np.nan
    kept = np.isfinite(holed)
    part = roc(left[kept], answers[kept], confidence[kept], (np.arange(400),))
    whole = roc(left, answers, holed, clusters)
    assert (whole.trials, whole.area.value, whole.area.se) == pytest.approx(
        (400, part.area.value, part.area.se)
    )
    assert roc(left, answers, np.full(600, np.nan), clusters) is None
    assert roc(np.ones(600, bool), answers, confidence, clusters) is None
