"""The spectrum of tissue: noise of a known exponent, grids, and what can't be measured."""

import numpy as np
import pytest

from mammogan.metrics import power_spectrum
from mammogan.metrics.breast_density import depth, outline
from tests.metrics.noise import noise, picture


def filled(beta, dice, height=512, width=448):
    """Give a picture that is breast all over."""
    return (30000 + 4000 * noise(height, width, beta, dice)).clip(3000, 65535).astype(np.uint16)


def measured(image):
    return power_spectrum.spectrum(image, depth(outline(image)))


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_noise_of_power_1_by_f_to_the_beta_gives_beta(beta):
    dice = np.random.default_rng(int(10 * beta))
    power = np.array([measured(filled(beta, dice, 1024, 832)).power_R for _ in range(4)])
    cycles, of = power_spectrum.band(128, 0.2)
    assert of == "mm" and cycles == pytest.approx((0.03, 0.14))
    assert power_spectrum.exponents(power, cycles).mean() == pytest.approx(beta, abs=0.05)


def test_white_noise_has_its_variance_at_all_frequencies():
    image = np.random.default_rng(0).normal(30000, 3000, (512, 512)).astype(np.uint16)
    power = measured(image).power_R[1:]
    assert power.mean() == pytest.approx((3000 / 65535) ** 2, rel=0.02)
    assert power == pytest.approx(np.full(63, power.mean()), rel=0.15)


@pytest.mark.parametrize(
    ("wave", "name"),
    [
        (lambda y, x: (-1.0) ** (x + y), "nyquist/1-xy"),
        (lambda y, x: (-1.0) ** x, "nyquist/1-x"),
        (lambda y, x: np.cos(np.pi * y / 2), "nyquist/2-y"),
        (lambda y, x: np.cos(np.pi * x / 4) * np.cos(np.pi * y / 4), "nyquist/4-xy"),
    ],
)
def test_a_planted_grid_stands_out_at_its_frequency_and_nowhere_else(wave, name):
    image = filled(3.0, np.random.default_rng(1))
    y, x = np.indices(image.shape)
    found = measured((image + 300 * wave(y, x)).clip(0, 65535).astype(np.uint16))
    grids = dict(zip(power_spectrum.grid_names(128), found.grids, strict=True))
    assert max(grids, key=grids.get) == name and grids[name] > 1
    assert max(np.abs(measured(image).grids)) < 0.4


def test_regions_lie_inside_the_breast_and_a_breast_too_small_has_no_spectrum():
    dice = np.random.default_rng(0)
    found = measured(picture(256, 208, dice))
    assert 5 < found.regions < 0.6 * 15 * 12 and np.isfinite(found.power_R).all()
    thin = np.zeros((256, 208), np.uint16)
    thin[100:110, :40] = 30000
    lost = measured(thin)
    assert lost.regions == 0 and np.isnan(lost.power_R).all() and np.isnan(lost.grids).all()
    assert np.isnan(power_spectrum.exponents(lost.power_R[None], power_spectrum.BAND_PX)).all()


def test_regions_are_smaller_in_small_images_and_the_band_is_then_of_pixels():
    sizes = ((1280, 1024), (320, 256), (80, 64), (40, 32), (10, 8))
    assert [power_spectrum.side_px(size) for size in sizes] == [128, 64, 16, 8, 8]
    assert power_spectrum.band(128, None) == (power_spectrum.BAND_PX, "px")
    assert power_spectrum.band(8, 6.0)[1] == "px"
    flat = np.ones((1, 4))
    assert power_spectrum.exponents(flat, power_spectrum.band(8, None)[0]) == pytest.approx([0])
