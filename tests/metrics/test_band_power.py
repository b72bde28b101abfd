"""Bands: hand-worked powers, what each planted fault moves and leaves, and what can't be measured."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammogan.metrics import band_power
from mammogan.metrics.band_power import BandPower, bands, compare
from tests.metrics.noise import noise, picture, pictures

SIZE = (256, 208)


def whole(image):
    """Give the bands of a picture that is breast all over, but for a tenth and a bit at the right edge."""
    padded = np.pad(np.clip(image, 3000, 65535), ((0, 0), (0, image.shape[1] // 4)))
    return bands(padded.astype(np.uint16))


def pooled(images, most=None):
    found = BandPower(images.shape[1:], most)
    found.update(images)
    return found.compute()


def add(images, wave_HW):
    """Add to the breast alone."""
    return np.where(images > 0, np.clip(images + wave_HW, 1, 65535), 0).astype(np.uint16)


def striped(images, greys=1500):
    x = np.arange(images.shape[2])
    return add(images, greys * np.cos(2 * np.pi * 0.35 * x))


def grainy(images, greys=1500):
    return add(images, np.random.default_rng(9).normal(0, greys, images.shape))


def blurred(images, sigma=1.2):
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])


def lifted(images, greys=12):
    return np.maximum(images, greys * 257).astype(np.uint16)


def veiled(images, greys=12, contrast=0.4):
    return (greys * 257 + contrast * images.astype(np.float64)).astype(np.uint16)


@pytest.fixture(scope="module")
def reals():
    return pictures(12, 0, *SIZE)


@pytest.fixture(scope="module")
def others():
    return pictures(12, 1, *SIZE)


def test_octaves_go_down_to_two_cycles_a_region():
    assert band_power.octaves(8) == [(1 / 4, 1 / 2)]
    assert band_power.octaves(16) == [(1 / 4, 1 / 2), (1 / 8, 1 / 4)]
    assert len(band_power.octaves(128)) == 5 and band_power.octaves(128)[-1] == (1 / 64, 1 / 32)
    assert band_power.octave_names(16) == ["2-4px", "4-8px"]


def test_the_cells_of_the_smallest_region_are_those_counted_by_hand():
    """Radius 2 to 4 of 8 x 8: near axes 2, 3, -4 and (1, 3); near diagonals (1, 2), (2, 2) and (2, 3)."""
    near, diagonal = 4 + 4 + 2 + 8, 8 + 4 + 8
    assert band_power.cells(8).tolist() == [[near, diagonal]]


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128])
def test_every_cell_of_the_octaves_is_in_one_sector_and_transposing_changes_nothing(side):
    sectors = band_power._sectors(side)
    assert np.array_equal(sectors, sectors.T)
    cycles = np.fft.fftfreq(side) * side
    radius = np.hypot(cycles[:, None], cycles)
    lowest = band_power.octaves(side)[-1][0] * side
    assert ((sectors < sectors.max()) == ((radius >= lowest) & (radius <= side / 2))).all()


def test_white_noise_has_anisotropy_1_and_its_variance_in_all_octaves():
    found = whole(np.random.default_rng(0).normal(30000, 3000, (512, 512)))
    assert found.power_O == pytest.approx(np.full(5, (3000 / 65535) ** 2), rel=0.06)
    assert found.anisotropy_O[:3] == pytest.approx(np.ones(3), rel=0.05)
    assert found.variance == pytest.approx((3000 / 65535) ** 2, rel=0.05)


def test_a_sinusoid_has_its_power_in_its_octave_near_the_axes():
    """Amplitude A has variance A^2 / 2, which is the sum of its octave's power by the number of all cells."""
    x = np.arange(512)
    found = whole(30000 + 3000 * np.cos(2 * np.pi * 48 / 128 * x) + np.zeros((512, 1)))
    sums = found.power_O2 * band_power.cells(128) / 128**2
    assert sums[0, 0] == pytest.approx((3000 / 65535) ** 2 / 2, rel=0.01)
    assert sums[0, 1] < 1e-6 * sums[0, 0] and sums[1:].max() < 1e-6 * sums[0, 0]
    assert found.variance == pytest.approx((3000 / 65535) ** 2 / 2, rel=0.01)


def test_a_diagonal_sinusoid_has_it_near_the_diagonals():
    y, x = np.indices((512, 512))
    found = whole(30000 + 3000 * np.cos(2 * np.pi * 16 / 128 * (x + y)))
    assert found.power_O2[1, 1] > 1e4 * found.power_O2[1, 0]


def test_isotropic_noise_that_falls_with_frequency_is_nearly_1_too():
    random = np.random.default_rng(3)
    found = whole(30000 + 4000 * noise(512, 512, 3.0, random))
    assert found.anisotropy_O[:3] == pytest.approx(np.ones(3), rel=0.15)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.integers(-1000, 5000))
def test_a_transposed_or_brighter_breast_has_the_same_bands(seed, shift):
    image = picture(64, 52, np.random.default_rng(seed), level=30000)
    image = np.pad(np.where(image > 0, image.clip(8000, 50000), 0), ((0, 0), (0, 12))).astype(np.uint16)
    found = bands(image)
    brighter = bands(np.where(image > 0, image + np.int64(shift), 0).astype(np.uint16))
    assert brighter.power_O2 == pytest.approx(found.power_O2, rel=1e-9)
    assert brighter.background == found.background == 0
    assert bands(np.ascontiguousarray(image.T)).power_O2 == pytest.approx(found.power_O2, rel=1e-9)


def test_a_set_beside_itself_is_alike(reals):
    ratios = compare(pooled(reals), pooled(reals))
    assert ratios.power_O.tolist() == ratios.anisotropy_O.tolist() == [1] * 3
    assert (ratios.variance, ratios.background) == (1, 0)


def test_streamed_and_merged_it_is_what_it_is_at_once(reals):
    one, other = BandPower(SIZE), BandPower(SIZE)
    one.update(image for image in reals[:5])
    other.update(reals[5:])
    one.merge(other)
    found, expected = one.compute(), pooled(reals)
    assert found.power_O2 == pytest.approx(expected.power_O2, rel=1e-12)
    assert (found.images, found.measured) == (12, 12)
    assert found.variance == pytest.approx(expected.variance)
    with pytest.raises(ValueError, match="regions of '8' pixels don't add up with those of '32'"):
        one.merge(BandPower((40, 32)))


def test_power_is_pooled_before_the_ratio_is_taken(reals):
    faint = add((reals[:1] // 100 + 20000) * (reals[:1] > 0), 0).astype(np.uint16)
    both = pooled(np.concatenate([reals[:1], striped(faint, 5)]))
    assert both.anisotropy_O == pytest.approx(pooled(reals[:1]).anisotropy_O, rel=0.05)


@pytest.mark.parametrize(
    ("fault", "power", "anisotropy", "background"),
    [
        (lambda images: images, (0.8, 1.25), (0.85, 1.18), (0, 0)),
        (striped, (3, 1e9), (5, 1e9), (0, 0)),
        (grainy, (3, 1e9), (0.5, 1.5), (0, 0)),
        (blurred, (0, 0.4), (0.5, 1.5), (0, 0.1)),
        (lifted, (0.8, 1.25), (0.85, 1.18), (11.9, 12.1)),
        (veiled, (0.1, 0.25), (0.85, 1.18), (11.9, 12.1)),
        (lambda images: images[:1].repeat(12, axis=0), (0.5, 2), (0.7, 1.4), (0, 0)),
    ],
    ids=["none", "stripes", "grain", "blur", "lifted", "veil", "collapse"],
)
def test_a_planted_fault_moves_its_own_numbers(reals, others, fault, power, anisotropy, background):
    found = compare(pooled(fault(others)), pooled(reals))
    assert power[0] <= found.power_O[0] <= power[1]
    assert anisotropy[0] <= found.anisotropy_O[0] <= anisotropy[1]
    assert background[0] <= found.background <= background[1]


def test_a_veil_scales_all_octaves_by_the_square_of_its_contrast_and_regions_stay_in_the_breast(others):
    found = compare(pooled(veiled(others)), pooled(others))
    assert found.power_O == pytest.approx(np.full(3, 0.16), rel=0.05)
    assert found.variance == pytest.approx(0.16, rel=0.05)
    assert np.mean([band_power.outline(image).mean() for image in veiled(others)]) < 0.7


def test_fewer_regions_give_nearly_the_same(reals):
    ratios = compare(pooled(reals, most=8), pooled(reals))
    assert ratios.power_O == pytest.approx(np.ones(3), rel=0.25)


@pytest.mark.parametrize("size", [(5, 4), (1, 1), (7, 40)])
def test_images_too_small_for_a_region_have_a_background_alone(size):
    found = pooled(np.full((2, *size), 20000, np.uint16))
    assert found.measured == 0 and found.images == 2
    assert np.isnan(found.power_O).all() and np.isnan(found.anisotropy_O).all() and np.isnan(found.variance)
    assert found.background == pytest.approx(20000 / 257)


def test_no_image_and_a_black_one_have_nothing():
    assert np.isnan(BandPower(SIZE).compute().background)
    found = pooled(np.zeros((1, *SIZE), np.uint16))
    assert found.background == 0 and np.isnan(found.power_O).all()


def test_a_constant_breast_has_no_anisotropy():
    found = whole(np.full((256, 256), 30000))
    assert found.power_O.max() < 1e-20 and found.background == 0


def test_a_tenth_of_the_pixels_is_the_background():
    image = np.full((10, 10), 40000, np.uint16)
    image[0] = 257 * np.arange(10)
    assert band_power.background(image) == pytest.approx(4.5)


@pytest.mark.parametrize("size", [(10, 8), (40, 32), (64, 64), (80, 64), (1280, 1024)])
def test_sizes_of_the_ladder_are_measured(size):
    image = np.zeros(size, np.uint16)
    image[:, : -(-size[1] * 7 // 8)] = np.random.default_rng(0).integers(20000, 30000, size)[
        :, : -(-size[1] * 7 // 8)
    ]
    found = bands(image)
    assert found.measured == (size != (10, 8)) and len(found.power_O) >= 1
