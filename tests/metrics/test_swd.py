"""Sliced Wasserstein distance: its properties, its published definition, and the original's own numbers."""

import itertools

import numpy as np
import pytest
import swd_sets

from mammogan.metrics import METRICS, SlicedWasserstein
from mammogan.metrics import swd as room

HEIGHT_PX, WIDTH_PX = 80, 64
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


@pytest.fixture(scope="module")
def images():
    return (np.random.default_rng(0).random((12, HEIGHT_PX, WIDTH_PX)) ** 2 * 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def others():
    smooth = np.random.default_rng(1).random((12, HEIGHT_PX, WIDTH_PX)).cumsum(axis=2) / WIDTH_PX
    return (smooth * 65535).astype(np.uint16)


def gathered(images_NHW, seed=0, patches=16, **settings):
    found = SlicedWasserstein(*images_NHW.shape[1:], patches, seed=seed, **settings)
    found.update(images_NHW)
    return found


def test_the_table_of_metrics_names_it():
    assert METRICS["swd"] is SlicedWasserstein


def test_identical_sets_have_distance_0(images):
    assert gathered(images).distance(gathered(images)) == [0.0, 0.0, 0.0]


def test_different_sets_have_a_distance_that_is_symmetric(images, others):
    there, back = gathered(images).distance(gathered(others)), gathered(others).distance(gathered(images))
    assert min(there) > 50
    assert there == back


def test_order_does_not_matter(images, others):
    real = gathered(others)
    assert gathered(images[::-1]).distance(real) == pytest.approx(gathered(images).distance(real), rel=1e-6)
    assert gathered(images[::-1]).distance(gathered(images)) == pytest.approx([0, 0, 0], abs=1e-4)


def test_merged_parts_are_one_pass(images, others):
    first, second = gathered(images[:5]), gathered(images[5:])
    first.merge(second)
    assert first.distance(gathered(others)) == gathered(images).distance(gathered(others))


def test_another_seed_draws_other_patches_and_directions(images, others):
    values = [gathered(images, seed).distance(gathered(others, seed)) for seed in (0, 1)]
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], rel=0.2)


def test_brightness_and_contrast_of_a_whole_set_are_invisible_as_published(images):
    patches = np.concatenate(gathered(images).patches[2])
    np.testing.assert_allclose(room.normalised(patches * 0.25 + 1000), room.normalised(patches), atol=1e-5)
    assert abs(room.normalised(patches).mean()) < 1e-6
    assert room.normalised(patches).std() == pytest.approx(1, abs=1e-5)


def test_sets_of_different_size_or_none_are_refused(images):
    empty = SlicedWasserstein(HEIGHT_PX, WIDTH_PX, 16)
    with pytest.raises(ValueError, match="sets of the same size, not 12 with 5 images"):
        gathered(images).distance(gathered(images[:5]))
    with pytest.raises(ValueError, match="not 0 with 0 images"):
        empty.distance(empty)


def test_sets_gathered_with_different_settings_are_refused(images):
    with pytest.raises(ValueError, match="gathered with seed '0', the other with '1'"):
        gathered(images).distance(gathered(images, seed=1))
    with pytest.raises(ValueError, match="gathered with patches_per_image '16', the other with '8'"):
        gathered(images).merge(gathered(images, patches=8))


def test_levels_halve_while_even_and_at_least_16_rows_are_left():
    assert room.levels(1280, 1024)[-1] == (20, 16)
    assert len(room.levels(1280, 1024)) == 7
    assert room.levels(40, 32) == ((40, 32), (20, 16))
    assert room.levels(10, 8) == ((10, 8),)
    assert room.levels(70, 50) == ((70, 50), (35, 25))


@pytest.mark.parametrize(("height", "width", "numbers"), [(5, 4, 16), (10, 8, 49), (20, 16, 49)])
def test_rungs_below_the_patch_are_cut_in_smaller_patches(height, width, numbers):
    images = np.random.default_rng(0).integers(0, 65536, (4, height, width), dtype=np.uint16)
    found = gathered(images)
    assert [level[0].shape for level in found.patches] == [(16, numbers)]
    assert found.distance(gathered(images[:, ::-1])) != [0]


def test_levels_have_their_shapes_and_add_up_to_the_image(images):
    image = images[0].astype(np.float32)
    parts = list(room.pyramid(image, 3))
    assert [part.shape for part in parts] == [(80, 64), (40, 32), (20, 16)]
    restored = parts[2]
    for part in parts[1::-1]:
        restored = part + up(restored.astype(np.float64))
    np.testing.assert_allclose(restored, image, atol=0.1)


def test_a_constant_image_has_constant_patches_and_nothing_but_its_low_pass():
    found = gathered(np.full((2, HEIGHT_PX, WIDTH_PX), 4321, dtype=np.uint16))
    values = [np.unique(np.concatenate(level)) for level in found.patches]
    np.testing.assert_allclose(values[-1], 4321)
    for level in values[:-1]:
        np.testing.assert_allclose(level, 0, atol=1e-3)
    assert found.distance(gathered(np.full((2, HEIGHT_PX, WIDTH_PX), 9, dtype=np.uint16))) == [0, 0, 0]


# The published definition, written out once more and as plainly as possible: float64, whole loops, no OpenCV.


def blurred(image):
    """Convolve with the binomial kernel; the image goes on mirrored about its last row and column."""
    padded = np.pad(image, 2, mode="reflect")
    height, width = image.shape
    shifts = itertools.product(range(5), range(5))
    return sum(BINOMIAL[dy, dx] * padded[dy : dy + height, dx : dx + width] for dy, dx in shifts)


def up(image):
    """Put zeros between the pixels, blur, and make up for the three quarters that are zeros."""
    sparse = np.zeros((2 * image.shape[0], 2 * image.shape[1]))
    sparse[::2, ::2] = image
    return 4 * blurred(sparse)


def published_pyramid(image, levels):
    """Blur and halve; a level is what that loses, and the last what is left."""
    for _ in range(levels - 1):
        smaller = blurred(image)[::2, ::2]
        yield image - up(smaller)
        image = smaller
    yield image


def published_distance(a_PD, b_PD, directions_DR):
    """Normalise each set, project on each direction, sort, average the absolute differences."""
    a_PD, b_PD = ((x - x.mean()) / x.std() for x in (a_PD.astype(np.float64), b_PD.astype(np.float64)))
    per_direction = []
    for direction_D in directions_DR.T.astype(np.float64):
        a_P, b_P = sorted(a_PD @ direction_D), sorted(b_PD @ direction_D)
        per_direction.append(np.mean([abs(x - y) for x, y in zip(a_P, b_P, strict=True)]))
    return np.mean(per_direction)


def test_the_pyramid_is_the_published_one(images):
    for image in images[:3]:
        ours = room.pyramid(image.astype(np.float32), 3)
        for level, published in zip(ours, published_pyramid(image.astype(np.float64), 3), strict=True):
            np.testing.assert_allclose(level, published, atol=0.05)  # of 65535: float32's rounding


def test_the_distance_is_the_published_one_on_the_same_patches_and_directions(images, others):
    a, b = (
        gathered(images, seed=7, directions=24, repeats=1),
        gathered(others, seed=7, directions=24, repeats=1),
    )
    for level, ours in enumerate(a.distance(b)):
        a_PD, b_PD = (np.concatenate(found.patches[level]) for found in (a, b))
        directions_DR = room.unit_directions(a_PD.shape[1], 24, np.random.default_rng([7, level]))
        np.testing.assert_allclose(np.linalg.norm(directions_DR, axis=0), 1, rtol=1e-6)
        assert ours == pytest.approx(1000 * published_distance(a_PD, b_PD, directions_DR), rel=1e-5)


def test_patches_are_cut_uniformly_from_all_places():
    where = np.arange(12 * 10, dtype=np.float32).reshape(12, 10)
    patches = room.cut_patches(where, 6000, np.random.default_rng(0)).reshape(-1, 7, 7)
    corners, counts = np.unique(patches[:, 0, 0], return_counts=True)
    np.testing.assert_array_equal(corners, where[:6, :4].ravel())
    assert counts.min() > 180
    assert counts.max() < 325
    np.testing.assert_array_equal(patches[:, 6, 6] - patches[:, 0, 0], 66)


# What the original's numpy code makes of these sets: mean and deviation of five seeds, finest level first.
ORIGINAL = {
    ("A", "B"): ([29.524, 36.899, 36.135, 29.287, 18.290], [2.7, 0.75, 1.6, 0.88, 1.0]),
    ("A", "A2"): ([21.798, 21.519, 20.213, 20.225, 17.797], [1.6, 1.3, 1.4, 0.6, 1.4]),
}
DIGESTS = {"A": "715d81018c1b0aa6", "A2": "30f3bc5cffed5e21", "B": "6d2afcc4d8f8e898"}


@pytest.fixture(scope="module")
def reference_sets():
    sets = {kind: swd_sets.image_set(kind, 64, 256, 256) for kind in DIGESTS}
    assert {kind: swd_sets.digest(images) for kind, images in sets.items()} == DIGESTS
    return sets


@pytest.mark.parametrize("pair", ORIGINAL)
def test_the_numbers_of_the_original_are_met_within_three_deviations(reference_sets, pair):
    values = []
    for seed in range(3):
        a, b = (gathered(reference_sets[kind], seed, patches=128) for kind in pair)
        values.append(a.distance(b))
    mean, deviation = np.array(ORIGINAL[pair])
    assert np.abs((np.mean(values, axis=0) - mean) / deviation).max() < 3
