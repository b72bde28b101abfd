"""Ranks as p-values, of one measure and of several together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammogan.metrics.conformal import p_values, strangeness

VALUES = arrays(float, st.integers(1, 30), elements=st.integers(-5, 5).map(float))


@given(VALUES)
def test_a_p_value_is_the_share_of_what_is_as_high(values):
    p = p_values(values)
    assert p.tolist() == pytest.approx([(values >= value).mean() for value in values])
    assert p.min() >= 1 / len(values) and p.max() <= 1


@given(VALUES)
def test_two_sided_both_ends_are_strange_alike(values):
    p = p_values(values, two_sided=True)
    assert p.tolist() == p_values(-values, two_sided=True).tolist()
    assert ((p > 0) & (p <= 1)).all()
    low = np.array([(values <= value).mean() for value in values])
    assert p.tolist() == pytest.approx(np.minimum(1, 2 * np.minimum(low, p_values(values))).tolist())


@given(st.integers(0, 99))
def test_the_order_of_the_others_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    newcomer, others = rng.normal(size=2), rng.normal(size=(20, 2))
    one = strangeness(newcomer, others)
    other = strangeness(newcomer, rng.permutation(others))
    assert one[0].tolist() == other[0].tolist() and one[1] == other[1]


def test_a_newcomer_beyond_all_others_has_the_smallest_p_there_is():
    others = np.random.default_rng(0).normal(size=(39, 2))
    p, together = strangeness(np.array([-9.0, 9.0]), others)
    assert p.tolist() == pytest.approx([2 / 40, 2 / 40])
    assert together == pytest.approx(1 / 40)
    usual, together = strangeness(np.median(others, axis=0), others)
    assert min(*usual, together) > 0.3


def test_without_others_nothing_is_strange():
    p, together = strangeness(np.array([9.0, 9.0]), np.empty((0, 2)))
    assert [*p, together] == [1, 1, 1]


@pytest.mark.parametrize("correlation", [0, 0.9, -0.9])
def test_one_that_is_like_the_others_is_rarely_found_strange_however_measures_depend(correlation):
    rng, found = np.random.default_rng(1), []
    for _ in range(1000):
        a, b = rng.normal(size=(2, 20))
        values = np.stack([a, correlation * a + (1 - correlation**2) ** 0.5 * b], axis=1)
        found.append(strangeness(values[0], values[1:])[1])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) < level + 4 * (level * (1 - level) / 1000) ** 0.5
