import numpy as np
import pytest
import scipy.stats

from mammogan.data.store.intensity_moments import NOTHING, add, moments, power_sums

RNG = np.random.default_rng(0)


def test_power_sums_are_exact():
    image = RNG.integers(0, 65536, (300, 200), dtype=np.uint16)
    image[:100] = 0
    levels = [int(level) >> 4 for level in image.ravel()]
    assert power_sums(image) == (60000, *(sum(level**power for level in levels) for power in (1, 2, 3, 4)))


def test_the_brightest_and_largest_picture_does_not_overflow():
    n = 2560 * 2048
    white = np.full((2560, 2048), 65535, np.uint16)
    assert power_sums(white) == (n, *(n * 4095**power for power in (1, 2, 3, 4)))


def test_moments_are_those_that_scipy_finds_in_all_pixels():
    images = [(RNG.beta(2, 5, (64, 48)) * 65535).astype(np.uint16) for _ in range(3)]
    sums = NOTHING
    for image in images:
        sums = add(sums, power_sums(image))
    values = np.concatenate([(image >> 4).ravel() for image in images]).astype(float)
    mean, sd, skewness, kurtosis = moments(sums)
    assert mean == pytest.approx((values.mean() + 0.5) / 4096, rel=1e-12)
    assert sd == pytest.approx(values.std() / 4096, rel=1e-9)
    assert skewness == pytest.approx(scipy.stats.skew(values), rel=1e-9)
    assert kurtosis == pytest.approx(scipy.stats.kurtosis(values, fisher=False), rel=1e-9)


def test_what_is_added_and_taken_away_again_leaves_nothing():
    image = RNG.integers(0, 65536, (30, 20), dtype=np.uint16)
    assert add(add(NOTHING, power_sums(image)), power_sums(image), -1) == NOTHING
    assert moments(NOTHING) == (0, 0, 0, 0)
    assert moments(power_sums(np.zeros((3, 3), np.uint16)))[2:] == (0, 0)
