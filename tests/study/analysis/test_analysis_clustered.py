"""Intervals over readers and images: the formula by hand, its limits, and what it reduces to."""

import numpy as np
import pytest
from scipy import stats

from mammogan.study.analysis.clustered_intervals import Share, difference, mean_variance, share, slope


def crossed(readers, pairs):
    """Every reader sees every pair: reader and image of each trial."""
    return np.repeat(np.arange(readers), pairs), np.tile(np.arange(pairs), readers)


def squares(values, keys):
    groups = {}
    for value, key in zip(values, keys, strict=True):
        groups[key] = groups.get(key, 0.0) + value
    return len(groups) / (len(groups) - 1) * sum(total**2 for total in groups.values())


def test_pairs_that_never_change_partners_have_the_two_way_formula():
    rng = np.random.default_rng(0)
    reader_N, image_N = crossed(12, 9)
    ease = rng.normal(0, 1, 12)[reader_N] + rng.normal(0, 1, 9)[image_N]
    hits_N = (rng.normal(ease) > 0).astype(float)
    centred = hits_N - hits_N.mean()
    by_hand = squares(centred, reader_N) + squares(centred, image_N) - squares(centred, range(108))
    variance, df = mean_variance(centred, (reader_N, image_N, image_N))
    assert variance == pytest.approx(by_hand / 108**2)
    assert df == 8


def test_three_crossed_factors_count_each_overlap_once():
    rng = np.random.default_rng(1)
    reader_N, real_N, synth_N = (rng.integers(0, size, 300) for size in (20, 15, 10))
    values = rng.normal(size=300) + rng.normal(0, 1, 20)[reader_N]
    values -= values.mean()
    r, a, b = reader_N.tolist(), real_N.tolist(), synth_N.tolist()
    by_hand = squares(values, r) + squares(values, a) + squares(values, b)
    by_hand -= sum(squares(values, list(zip(*two, strict=True))) for two in ((r, a), (r, b), (a, b)))
    by_hand += squares(values, list(zip(r, a, b, strict=True)))
    assert mean_variance(values, (reader_N, real_N, synth_N))[0] == pytest.approx(by_hand / 300**2)


def test_trials_that_are_less_alike_than_chance_count_as_independent():
    reader_N, image_N = crossed(10, 2)
    hits_N = image_N.astype(float)  # each reader is right exactly once
    variance, _ = mean_variance(hits_N - 0.5, (reader_N,))
    assert variance == pytest.approx(0.25 / 19)


def test_what_trials_are_called_does_not_matter():
    rng = np.random.default_rng(2)
    reader_N, image_N = crossed(8, 6)
    hits_N, order = rng.integers(0, 2, 48).astype(float), rng.permutation(48)
    names = rng.permutation(8)
    one = share(hits_N, (reader_N, image_N))
    other = share(hits_N[order], (names[reader_N][order], image_N[order] + 100))
    assert (other.se, other.effective_n, other.df) == pytest.approx((one.se, one.effective_n, one.df))
    assert other.value == one.value


def test_a_single_reader_is_judged_by_the_images_alone():
    hits_N = np.array([1.0, 0, 1, 1, 0, 1, 1, 0, 1, 1])
    one = share(hits_N, (np.zeros(10, int), np.arange(10), np.arange(10)))
    assert one.effective_n == pytest.approx(9)
    assert one.df == 9


def test_readers_who_are_all_right_say_as_much_as_there_are_readers():
    reader_N, image_N = crossed(5, 10)
    found = share(np.ones(50), (reader_N, image_N))
    low, high = found.interval()
    assert found.effective_n == 5
    assert high == 1
    assert 0.3 < low < 0.6


def test_the_interval_is_wilsons_where_trials_are_independent():
    found = Share(value=0.3, trials=200, se=0.0, effective_n=200, design_effect=1, df=100_000)
    expected = stats.binomtest(60, 200).proportion_ci(0.95, method="wilson")
    assert found.interval() == pytest.approx((expected.low, expected.high), abs=1e-4)


@pytest.mark.parametrize("value", [0.02, 0.4, 0.55, 0.97])
def test_the_test_of_a_null_is_the_inverse_of_the_interval(value):
    found = Share(value=value, trials=100, se=0.0, effective_n=80, design_effect=1.25, df=30)
    for bound in found.interval():
        assert found.p_two_sided(bound) == pytest.approx(0.05)


def test_a_difference_of_independent_halves_is_that_of_the_textbook():
    rng = np.random.default_rng(3)
    count = 4000
    hits_N, one_N = rng.integers(0, 2, count).astype(float), (np.arange(count) % 2).astype(float)
    found = difference(one_N, 1 - one_N, hits_N, (np.arange(count),))
    p, q = hits_N[one_N == 1].mean(), hits_N[one_N == 0].mean()
    assert found.value == pytest.approx(p - q)
    assert found.se == pytest.approx(np.sqrt((p * (1 - p) + q * (1 - q)) / 2000), rel=1e-3)


def test_a_difference_within_readers_is_surer_than_one_between_them():
    rng = np.random.default_rng(4)
    reader_N, image_N = crossed(60, 20)
    able = rng.normal(0, 2, 60)[reader_N]
    hits_N = (rng.normal(able) > 0).astype(float)
    within, between = (image_N < 10).astype(float), (reader_N < 30).astype(float)
    clusters = (reader_N, image_N)
    assert (
        difference(within, 1 - within, hits_N, clusters).se
        < 0.5 * difference(between, 1 - between, hits_N, clusters).se
    )


def test_trials_of_neither_side_change_nothing():
    rng = np.random.default_rng(5)
    reader_N, image_N = crossed(30, 10)
    hits_N = rng.integers(0, 2, 300).astype(float)
    one_N, other_N = (reader_N < 10).astype(float), ((reader_N >= 10) & (reader_N < 20)).astype(float)
    whole = difference(one_N, other_N, hits_N, (reader_N, image_N))
    kept = reader_N < 20
    part = difference(one_N[kept], other_N[kept], hits_N[kept], (reader_N[kept], image_N[kept]))
    assert (whole.value, whole.se, whole.low) == pytest.approx((part.value, part.se, part.low))


def test_a_slope_is_that_of_a_straight_line_with_robust_errors():
    rng = np.random.default_rng(6)
    x_N = rng.uniform(0, 4, 3000)
    hits_N = (rng.random(3000) < 0.3 + 0.1 * x_N).astype(float)
    found = slope(x_N, hits_N, (np.arange(3000),))
    line = stats.linregress(x_N, hits_N)
    assert found.value == pytest.approx(line.slope)
    assert found.se == pytest.approx(line.stderr, rel=0.05)
    assert found.low < 0.1 < found.high
