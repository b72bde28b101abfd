import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mammogan.data.shards.shuffle_order import positions

counts = st.integers(1, 40)


@given(counts, st.integers(0, 200), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_every_image_comes_once_an_epoch(count, epoch, key):
    shown = positions(count, epoch * count, count, key)
    assert sorted(shown) == list(range(count))


@given(counts, st.integers(0, 300), st.integers(0, 100), st.integers(0, 100))
def test_any_part_is_the_same_as_in_one_go(count, first, n, more):
    whole = positions(count, first, n + more, (7,))
    assert np.array_equal(
        np.concatenate([positions(count, first, n, (7,)), positions(count, first + n, more, (7,))]), whole
    )


def test_epochs_and_keys_give_other_orders():
    first, second = positions(100, 0, 100, (1,)), positions(100, 100, 100, (1,))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, positions(100, 0, 100, (2,)))


def test_the_order_is_the_same_for_ever():
    assert positions(10, 0, 12, (1000, 3)).tolist() == FROZEN


FROZEN = [6, 8, 3, 0, 2, 4, 7, 9, 5, 1, 9, 7]
