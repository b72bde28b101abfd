"""Moments from histograms: those of the definition, whatever the order of the pixels."""

import numpy as np
import pytest

from mammogan.metrics.histogram_moments import clipped, histogram, moments


@pytest.fixture
def pixels():
    return np.random.default_rng(0).gamma(3, 5000, 4000).clip(0, 65535).astype(np.uint16)


def test_moments_are_those_of_the_definition(pixels):
    x = pixels / 65535
    mean, sd = x.mean(), x.std()
    shape = [((x - mean) ** k).mean() / sd**k for k in (3, 4, 5)]
    assert moments(histogram(pixels)) == pytest.approx([mean, sd, shape[0], shape[1] - 3, shape[2]])


def test_order_does_not_matter_and_histograms_of_parts_add_up(pixels):
    whole = histogram(pixels)
    shuffled = np.random.default_rng(1).permutation(pixels)
    np.testing.assert_array_equal(moments(histogram(shuffled)), moments(whole))
    np.testing.assert_array_equal(histogram(pixels[:1000]) + histogram(pixels[1000:]), whole)


def test_a_flat_picture_has_no_shape_and_nothing_has_no_moments():
    flat = moments(histogram(np.full(100, 7, np.uint16)))
    assert flat[0] == pytest.approx(7 / 65535) and flat[1] == 0 and np.isnan(flat[2:]).all()
    assert np.isnan(moments(histogram(np.empty(0, np.uint16)))).all()


def test_what_is_clipped_is_black_or_white():
    assert clipped(histogram(np.array([0, 65535, 65534, 1], np.uint16))) == 0.5
    assert np.isnan(clipped(histogram(np.empty(0, np.uint16))))
