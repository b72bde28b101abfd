"""Rates, excess and agreement against numbers from papers and by hand."""

import numpy as np
import pytest
from scipy import stats

from mammogan.study.review.artefact_rates import Rate, agreement, excess


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(136, 1000, 0.116, 0.159), (64, 1000, 0.050, 0.081), (28, 1000, 0.019, 0.040), (68, 500, 0.109, 0.169)],
)
def test_published_rates_have_the_intervals_worked_out_for_them(hits, of, low, high):
    assert Rate(hits, of).interval == pytest.approx((low, high), abs=0.0006)


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (10, 10), (3, 7), (500, 1000)])
def test_the_interval_is_wilsons(hits, of):
    expected = stats.binomtest(hits, of).proportion_ci(0.95, method="wilson")
    assert Rate(hits, of).interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_nothing_says_nothing():
    assert np.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)
    assert excess(Rate(0, 0), Rate(1, 2)) is None


def test_the_excess_is_newcombes():
    # Newcombe (1998), Statistics in Medicine 17:873, table II: 56/70 - 48/80 and 9/10 - 3/10, method 10.
    for one, other, low, high in [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)]:
        found = excess(Rate(*one), Rate(*other))
        assert found.value == pytest.approx(one[0] / one[1] - other[0] / other[1])
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_equal_sources_have_no_excess():
    found = excess(Rate(30, 400), Rate(30, 400))
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)


def verdicts(both, first, second, neither):
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return one, other


def test_kappa_is_cohens():
    found = agreement(*verdicts(20, 5, 10, 15))
    assert (found.both, found.first, found.second, found.neither) == (20, 5, 10, 15)
    assert found.images == 50
    assert found.kappa == pytest.approx(0.4)  # (0.7 - 0.5) / (1 - 0.5)
    assert found.observed == pytest.approx(0.7)
    assert found.positive == pytest.approx(40 / 55)


def test_kappas_interval_is_as_wide_as_its_standard_error_says():
    found = agreement(*verdicts(40, 30, 20, 310))
    p = np.array([[40, 30], [20, 310]]) / 400
    rows, columns = p.sum(1), p.sum(0)
    expected = (rows * columns).sum()
    kappa = (np.trace(p) - expected) / (1 - expected)
    # Fleiss, Cohen & Everitt (1969).
    a = sum(p[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(2))
    b = (1 - kappa) ** 2 * sum(
        p[i, j] * (columns[i] + rows[j]) ** 2 for i in range(2) for j in range(2) if i != j
    )
    se = np.sqrt((a + b - (kappa - expected * (1 - kappa)) ** 2) / 400) / (1 - expected)
    assert found.kappa == pytest.approx(kappa)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * se, rel=0.1)
    assert found.low < kappa < found.high


def test_chance_gives_no_agreement_and_perfection_one():
    rng = np.random.default_rng(1)
    one, other = rng.random(4000) < 0.2, rng.random(4000) < 0.3
    assert agreement(one, other).kappa == pytest.approx(0, abs=0.05)
    assert agreement(one, one).kappa == 1
    assert agreement(one, one).low == 1


def test_the_order_of_images_and_of_reviewers_does_not_matter():
    one, other = (np.array(each) for each in verdicts(20, 5, 10, 15))
    order = np.random.default_rng(0).permutation(50)
    assert agreement(one[order], other[order]) == agreement(one, other)
    assert agreement(other, one).kappa == pytest.approx(agreement(one, other).kappa)


@pytest.mark.parametrize("cells", [(0, 0, 0, 30), (30, 0, 0, 0), (0, 0, 0, 0)])
def test_without_any_difference_there_is_no_kappa(cells):
    found = agreement(*verdicts(*cells))
    assert (found.kappa, found.low, found.high) == (None, None, None)
    assert found.images == sum(cells)
