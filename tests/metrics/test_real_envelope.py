"""The reals' support: measures worked out by hand, and what lies outside a range."""

import numpy as np
import pytest

from mammogan.metrics.histogram_moments import MOMENTS
from mammogan.metrics.real_envelope import OCTAVES, Support, measure, names


def pictures(count, size=64, seed=0):
    """Give noise whose power falls with frequency, as a mammogram's does."""
    dice = np.random.default_rng(seed)
    cycles = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    gain = 1 / np.maximum(cycles, 1 / size) ** 1.5
    for _ in range(count):
        noise = np.fft.irfft2(np.fft.rfft2(dice.normal(size=(size, size))) * gain, s=(size, size))
        yield (30000 + 6000 * noise / noise.std()).clip(0, 65535).astype(np.uint16)


def test_moments_are_those_of_the_definition():
    image_HW = next(pictures(1))
    x = image_HW / 65535
    mean, sd = x.mean(), x.std()
    told = dict(zip(names(image_HW.shape), measure(image_HW), strict=True))
    assert told["mean"] == pytest.approx(mean) and told["sd"] == pytest.approx(sd)
    assert told["skewness"] == pytest.approx(((x - mean) ** 3).mean() / sd**3)
    assert told["kurtosis"] == pytest.approx(((x - mean) ** 4).mean() / sd**4 - 3)
    assert told["hyperskewness"] == pytest.approx(((x - mean) ** 5).mean() / sd**5)


@pytest.mark.parametrize(
    ("period_px", "octave"), [(3, "power-finest"), (6, "power-fine"), (12, "power-coarse")]
)
def test_a_grid_stands_in_the_octave_of_its_period(period_px, octave):
    wave = 5000 * np.cos(2 * np.pi * np.arange(96) / period_px)
    image_HW = np.rint(30000 + wave[:, None] + np.zeros(96)).astype(np.uint16)
    told = dict(zip(names(image_HW.shape), measure(image_HW), strict=True))
    assert max(OCTAVES, key=told.__getitem__) == octave


def test_a_flat_image_has_no_shape_and_is_outside():
    flat = measure(np.full((64, 64), 7, np.uint16))
    assert np.isnan(flat[2:5]).all()
    support = Support.of(np.array([measure(image) for image in pictures(50)]), 0.0)
    assert support.flagged(flat[None]).all()


def test_a_small_image_has_fewer_octaves():
    assert names((5, 4)) == (*MOMENTS, "power-finest", "power-fine")
    assert len(measure(np.arange(20, dtype=np.uint16).reshape(5, 4))) == 7


def test_what_the_support_was_taken_from_is_inside_and_others_seldom_outside():
    values_NM = np.array([measure(image) for image in pictures(400)])
    assert not Support.of(values_NM, 0.0).flagged(values_NM).any()
    others = Support.of(values_NM, 0.001).flagged(np.array([measure(i) for i in pictures(200, seed=1)]))
    assert others.mean() < 0.1


def test_planted_artefacts_are_outside_by_the_measure_that_is_theirs():
    support = Support.of(np.array([measure(image) for image in pictures(300)]), 0.001)
    clean = next(pictures(1, seed=5)).astype(int)
    board = (np.indices(clean.shape).sum(axis=0) % 2 * 2 - 1) * 1500
    for name, bad in {"power-finest": clean + board, "mean": 65535 - clean // 3}.items():
        outside = support.outside(measure(bad.clip(0, 65535).astype(np.uint16))[None])[0]
        assert outside[names(clean.shape).index(name)]
    assert not support.flagged(measure(clean.astype(np.uint16))[None]).any()
