"""The error of a distance from halves of its sets: who is in which half, and that it is the true error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammogan.metrics import SlicedWasserstein, half_samples
from mammogan.metrics.half_distances import half_differences
from tests.bench import score_error


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_halves_are_disjoint_of_one_size_and_keep_all_groups_whole_but_one(groups):
    groups_N = np.array(groups)
    found = half_samples.splits(groups_N, half_samples.ranks(10, 6, (1, 2)))
    assert len(found) == (6 if len(set(groups)) > 1 else 0)
    for first_H, second_H in found:
        assert len(first_H) == len(second_H) == len(groups) // 2
        assert not set(first_H) & set(second_H)
        assert len(set(groups_N[first_H]) & set(groups_N[second_H])) <= 1


def test_a_patient_is_in_the_same_half_in_both_views():
    ranks_SG = half_samples.ranks(20, 4, (3,))
    cc, mlo = (half_samples.splits(np.arange(20)[::step], ranks_SG) for step in (1, -1))
    for (one_H, _), (other_H, _) in zip(cc, mlo, strict=True):
        assert set(one_H) == {19 - position for position in other_H}
    assert len({tuple(first_H) for first_H, _ in cc}) == 4


def test_the_deviation_of_a_mean_is_its_standard_error():
    random = np.random.default_rng(0)
    values_N, ranks_SG = random.standard_normal(400), half_samples.ranks(400, 400, (0,))
    halves = half_samples.splits(np.arange(400), ranks_SG)
    differences = [(values_N[a].mean() - values_N[b].mean()) / 2 for a, b in halves]
    assert half_samples.deviation(differences) == pytest.approx(values_N.std(ddof=1) / 20, rel=0.08)
    assert half_samples.deviation([]) is None


def test_a_half_is_compared_as_if_it_had_been_gathered_alone():
    random = np.random.default_rng(0)
    sides = [random.integers(0, 65536, (7, 40, 32), dtype=np.uint16) // scale for scale in (1, 3)]
    whole = [gathered(images) for images in sides]
    of_a, of_b = (half_samples.splits(np.arange(7), half_samples.ranks(7, 3, (n,))) for n in (0, 1))
    found_SL = half_differences(*whole, of_a, of_b, 16)
    for (mine, theirs), found_L in zip(zip(of_a, of_b, strict=True), found_SL, strict=True):
        first, second = (
            np.array(gathered(sides[0][my]).distance(gathered(sides[1][their])))
            for my, their in zip(mine, theirs, strict=True)
        )
        np.testing.assert_allclose(found_L, (first - second) / 2, atol=2e-3)


def gathered(images_NHW):
    one = SlicedWasserstein(40, 32, 8, 16, 1)
    one.update(images_NHW)
    return one


def test_sets_gathered_otherwise_are_refused():
    with pytest.raises(ValueError, match="one set was gathered with seed '0', the other with '1'"):
        half_differences(SlicedWasserstein(40, 32), SlicedWasserstein(40, 32, seed=1), [], [], 8)


@pytest.fixture(scope="module")
def draws():
    return [score_error.draw(number, 48, ("sound", "blurred")) for number in range(40)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sound", "blurred"])
def test_the_error_is_the_true_deviation_over_fresh_fakes_and_reals_and_that_of_seeds_is_not(draws, kind):
    of = score_error.compared([one[kind] for one in draws])
    assert 1 / 1.4 < of["said"] / of["true"] < 1.4
    assert of["seeds"] < 0.6 * of["true"]


def test_the_error_of_a_difference_leaves_out_what_both_share(draws):
    pairs = [tuple(a - b for a, b in zip(one["blurred"], one["sound"], strict=True)) for one in draws]
    of = score_error.compared(pairs)
    assert 1 / 1.4 < of["said"] / of["true"] < 1.4
    assert of["said"] < 0.8 * score_error.compared([one["sound"] for one in draws])["said"]
