"""Counts of readers against a coin: pooled as they must be, and never shares."""

from itertools import product
from math import comb, factorial, prod

import numpy as np
import pytest
from scipy import stats

from mammogan.errors import DataError
from mammogan.study.analysis.chance_counts import (
    MonteCarlo,
    binomial,
    fair_range,
    histogram,
    pool,
    pooled_chi_square,
)

FAIR = (0, 1, 5, 14, 24, 29, 24, 14, 5, 1, 0)


def test_tails_are_merged_until_every_cell_expects_five_readers():
    found = pooled_chi_square(FAIR, 117)
    assert found.cells == ((0, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 10))
    np.testing.assert_allclose(found.expected_C, [6.4, 13.7, 24.0, 28.8, 24.0, 13.7, 6.4], atol=0.05)
    assert found.df == 6


@pytest.mark.parametrize("readers", [10, 20, 30, 55, 117, 1000])
@pytest.mark.parametrize("trials", [5, 10, 20])
def test_pooled_cells_cover_every_count_once_and_expect_enough(readers, trials):
    expected = readers * binomial(trials)
    cells = pool(expected)
    assert [k for first, last in cells for k in range(first, last + 1)] == list(range(trials + 1))
    assert len(cells) == 1 or min(expected[a : b + 1].sum() for a, b in cells) >= 5


def test_the_statistic_is_that_of_the_textbook():
    counts = (2, 1, 7, 10, 20, 35, 22, 11, 6, 2, 1)
    found = pooled_chi_square(counts, 117)
    pooled = [10, 10, 20, 35, 22, 11, 9]
    expected = [6.3984375, 13.7109375, 23.994140625, 28.79296875, 23.994140625, 13.7109375, 6.3984375]
    statistic, p = stats.chisquare(pooled, expected)
    assert found.observed_C == tuple(pooled)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(p)


def test_too_few_readers_give_no_chi_square():
    assert pooled_chi_square([0, 1, 2, 1, 0], 4) is None


def test_shares_are_refused_for_they_fit_anything():
    all_at_sixty = np.array([0, 0, 0, 0, 0, 0, 117, 0, 0, 0, 0])
    shares = all_at_sixty / 117
    # What the published way of testing makes of readers who all score 60 %: a perfect fit.
    assert stats.chisquare(shares, binomial(10)).pvalue > 0.9
    assert pooled_chi_square(all_at_sixty, 117).p < 1e-50
    with pytest.raises(
        DataError, match=r"holds shares, not counts of readers.*give how many readers got 0, 1"
    ):
        pooled_chi_square(shares, 117)
    with pytest.raises(DataError, match="shares, not counts"):
        MonteCarlo(117, 10, draws=10).p(shares)


@pytest.mark.parametrize("counts", [[0.5, 0.5, 116], [-1, 100, 18], [float("nan"), 100, 17]])
def test_what_is_no_count_is_refused(counts):
    with pytest.raises(DataError, match="shares, not counts"):
        pooled_chi_square(counts, 117)


def test_counts_that_do_not_sum_to_the_readers_are_refused():
    percentages = [0, 1, 4, 12, 21, 24, 21, 12, 4, 1, 0]
    with pytest.raises(
        DataError, match=r"'0, 1, 4, .*' sums to 100, and there are 117 readers: give each reader"
    ):
        pooled_chi_square(percentages, 117)


def test_the_drawn_p_is_the_exact_one():
    readers, trials = 4, 3
    chances = [comb(trials, k) / 2**trials for k in range(trials + 1)]

    def probability(counts):
        ways = factorial(readers) / prod(map(factorial, counts))
        return ways * prod(p**n for p, n in zip(chances, counts, strict=True))

    every = [c for c in product(range(readers + 1), repeat=trials + 1) if sum(c) == readers]
    test = MonteCarlo(readers, trials, draws=200_000, seed=3)
    for counts in [(0, 2, 2, 0), (1, 1, 1, 1), (2, 0, 0, 2), (0, 4, 0, 0)]:
        exact = sum(probability(c) for c in every if probability(c) <= probability(counts) * (1 + 1e-9))
        assert test.p(counts) == pytest.approx(exact, abs=0.004)


def test_the_same_seed_draws_the_same_p_and_none_is_zero():
    assert MonteCarlo(117, 10, 1000, seed=1).p(FAIR) == MonteCarlo(117, 10, 1000, seed=1).p(FAIR)
    assert MonteCarlo(117, 10, 999).p([117, *([0] * 10)]) == 1 / 1000


def test_readers_are_counted_by_their_right_answers():
    assert histogram(np.array([0, 3, 3, 1]), 4).tolist() == [1, 1, 0, 2, 0]


def test_a_fair_study_lies_in_the_fair_range():
    low, high = fair_range(117, 10)
    assert (low <= FAIR).all()
    assert (high >= FAIR).all()
    assert low[5] > 15
    assert high[5] < 45


def pooled_p(drawn, readers=117, trials=10, *, cells=None):
    """Give chi-square's p of many histograms, in the cells that the test pools, or in others."""
    expected = readers * binomial(trials)
    cells = cells or pool(expected)
    e = np.array([expected[a : b + 1].sum() for a, b in cells])
    o = np.stack([drawn[:, a : b + 1].sum(axis=1) for a, b in cells], axis=1)
    return stats.chi2.sf(((o - e) ** 2 / e).sum(axis=1), len(cells) - 1)


def test_pooling_keeps_the_level_and_its_power_is_what_the_page_says():
    rng = np.random.default_rng(0)
    fair = rng.multinomial(117, binomial(10), 40_000)
    assert (pooled_p(fair) <= 0.05).mean() == pytest.approx(0.05, abs=0.004)
    assert (pooled_p(fair) >= 0.999).mean() == pytest.approx(0.001, abs=0.0007)
    every = [(k, k) for k in range(11)]
    assert (pooled_p(fair, cells=every) <= 0.05).mean() == pytest.approx(0.074, abs=0.006)
    assert (pooled_p(fair, cells=every) >= 0.999).mean() == pytest.approx(0.003, abs=0.001)
    able = rng.multinomial(117, stats.binom.pmf(np.arange(11), 10, 0.55), 20_000)
    assert (pooled_p(able) > 0.05).mean() == pytest.approx(0.28, abs=0.015)  # "three times in ten"
