"""Sliced Wasserstein distance: its properties, its published definition, and the original's own numbers."""

import itertools
import os
import tracemalloc

import numpy as np
import pytest
import swd_sets
import torch
from numpy.lib.stride_tricks import sliding_window_view

from mammogan.metrics import (
    SlicedWasserstein,
    gather,
    laplacian_pyramid,
    patch_sampling,
    sliced_projection,
)
from tests.bench import swd_peer

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


def test_identical_sets_have_distance_0(images):
    assert gathered(images).distance(gathered(images)) == [0.0, 0.0, 0.0]


def test_threads_change_nothing(images, others):
    alone, before = gathered(images).distance(gathered(others)), torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 3)
        assert gathered(images).distance(gathered(others)) == pytest.approx(alone, rel=1e-6)
    finally:
        torch.set_num_threads(before)


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
    patches = gathered(images).stores[2].read()
    once = sliced_projection.normalise(patches.copy())
    np.testing.assert_allclose(sliced_projection.normalise(patches * 0.25 + 1000), once, atol=1e-5)
    assert abs(once.mean(dtype=np.float64)) < 1e-6
    assert once.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)


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
    assert laplacian_pyramid.levels(1280, 1024)[-1] == (20, 16)
    assert len(laplacian_pyramid.levels(1280, 1024)) == 7
    assert laplacian_pyramid.levels(40, 32) == ((40, 32), (20, 16))
    assert laplacian_pyramid.levels(10, 8) == ((10, 8),)
    assert laplacian_pyramid.levels(70, 50) == ((70, 50), (35, 25))


@pytest.mark.parametrize(("height", "width", "numbers"), [(5, 4, 16), (10, 8, 49), (20, 16, 49)])
def test_rungs_below_the_patch_are_cut_in_smaller_patches(height, width, numbers):
    images = np.random.default_rng(0).integers(0, 65536, (4, height, width), dtype=np.uint16)
    found = gathered(images)
    assert [store.read().shape for store in found.stores] == [(numbers, 64)]
    assert found.distance(gathered(images[:, ::-1])) != [0]


def test_a_constant_image_has_constant_patches_and_nothing_but_its_low_pass():
    found = gathered(np.full((2, HEIGHT_PX, WIDTH_PX), 4321, dtype=np.uint16))
    values = [np.unique(store.read()) for store in found.stores]
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


def by_sums(images_NHW, shapes, _):
    """Build the low-passes as a GPU does."""
    found = [torch.from_numpy(images_NHW.astype(np.float32))]
    for _ in shapes[1:]:
        found.append(laplacian_pyramid.halved(found[-1]))
    return found


@pytest.mark.parametrize("low_passes", [laplacian_pyramid.low_passes, by_sums], ids=["cpu", "gpu's sums"])
@pytest.mark.parametrize("shape", [(80, 64), (64, 48), (32, 8), (64, 6), (48, 34)])
def test_every_patch_of_every_level_is_cut_from_the_published_pyramid(shape, low_passes):
    images = np.random.default_rng(0).integers(0, 65536, (2, *shape), dtype=np.uint16)
    shapes = laplacian_pyramid.levels(*shape)
    lows = low_passes(images, shapes, torch.device("cpu"))
    published = [list(published_pyramid(image.astype(np.float64), len(shapes))) for image in images]
    for level, (height, width) in enumerate(shapes):
        size = laplacian_pyramid.patch_px((height, width))
        y, x = (at.ravel() for at in np.mgrid[: height - size + 1, : width - size + 1])
        patches = laplacian_pyramid.cut(
            lows[level], (*lows, None)[level + 1], np.stack([y, y]), np.stack([x, x])
        )
        windows = [sliding_window_view(levels[level], (size, size))[y, x] for levels in published]
        # Of 65535: float32's rounding.
        np.testing.assert_allclose(patches, np.concatenate(windows).reshape(-1, size**2), atol=0.05)


def test_the_distance_is_the_published_one_on_the_same_patches_and_directions(images, others):
    a, b = (
        gathered(images, seed=7, directions=24, repeats=1),
        gathered(others, seed=7, directions=24, repeats=1),
    )
    for level, ours in enumerate(a.distance(b)):
        a_PD, b_PD = (found.stores[level].read().T for found in (a, b))
        directions_DR = sliced_projection.unit_directions(
            a_PD.shape[1], 24, np.random.default_rng([7, level])
        )
        np.testing.assert_allclose(np.linalg.norm(directions_DR, axis=0), 1, rtol=1e-6)
        assert ours == pytest.approx(1000 * published_distance(a_PD, b_PD, directions_DR), rel=1e-5)


def test_places_are_uniform_over_all_where_a_patch_is_inside():
    ((y, x),) = patch_sampling.everywhere(((12, 10),), 6000, np.random.default_rng(0))
    corners, counts = np.unique(np.stack([y, x]), axis=1, return_counts=True)
    np.testing.assert_array_equal(corners, np.indices((6, 4)).reshape(2, -1))
    assert counts.min() > 180
    assert counts.max() < 325


def half_breast(count, width=WIDTH_PX):
    """Draw images whose left half alone is a breast, with a black hole in it and a bright label beside."""
    images = np.random.default_rng(3).integers(20000, 40000, (count, HEIGHT_PX, width), dtype=np.uint16)
    images[:, :, width // 2 :] = 0
    images[:, 30:50, 8:16] = 0
    images[:, 2:6, -6:-2] = 65535
    return images


def test_the_breast_is_the_largest_bright_region_with_its_holes():
    mask = patch_sampling.breast(half_breast(1)[0].astype(np.float32))
    np.testing.assert_array_equal(mask, np.arange(WIDTH_PX)[None] < np.full((HEIGHT_PX, 1), WIDTH_PX // 2))
    assert not patch_sampling.breast(np.zeros((20, 16), np.float32)).any()


def test_foreground_patches_have_their_centres_in_the_breast_at_every_level():
    mask = np.zeros((20, 16), dtype=bool)
    mask[5:15, 4:8] = True
    shapes = ((80, 64), (40, 32), (20, 16))
    for scale, (y, x) in zip(
        (4, 2, 1), patch_sampling.within(mask, shapes, 4000, np.random.default_rng(0)), strict=True
    ):
        assert set(y + 3) == set(range(5 * scale, 15 * scale))
        assert set(x + 3) == set(range(4 * scale, 8 * scale))


def test_patches_of_the_foreground_are_of_the_breast():
    images = half_breast(8)[
        :, 50:70, 24:40
    ]  # one level, so that patches are pixels, and eight columns are breast
    centres = [gathered(images, foreground=chosen).stores[0].read()[24] for chosen in (False, True)]
    assert centres[0].min() == 0
    assert centres[1].min() >= 20000


def test_an_image_without_a_breast_is_cut_everywhere():
    dark = np.random.default_rng(0).integers(0, 900, (4, HEIGHT_PX, WIDTH_PX), dtype=np.uint16)
    assert gathered(dark, foreground=True).stores[0].read().std() > 100


def test_sets_gathered_together_are_those_gathered_alone(images):
    together = [
        SlicedWasserstein(HEIGHT_PX, WIDTH_PX, 16, seed=seed, foreground=foreground)
        for seed in (0, 1)
        for foreground in (False, True)
    ]
    gather(together, images)
    for one in together:
        alone = gathered(images, one.seed, foreground=one.foreground)
        for mine, other in zip(one.stores, alone.stores, strict=True):
            np.testing.assert_array_equal(mine.read(), other.read())


def test_a_set_in_files_is_the_set_in_memory_and_is_found_again(images, others, tmp_path):
    expected = gathered(images).distance(gathered(others))
    stored = gathered(images, folder=tmp_path / "set")
    assert stored.distance(gathered(others)) == expected
    stored.save()
    found = SlicedWasserstein.load(tmp_path / "set")
    assert (found.images, found.settings) == (12, stored.settings)
    assert found.distance(gathered(others)) == expected


def test_parts_in_files_merge_to_one_pass_and_stay_as_they_are(images, others, tmp_path):
    for name, part in (("a", images[:5]), ("b", images[5:])):
        gathered(part, folder=tmp_path / name).save()
    whole, second = (SlicedWasserstein.load(tmp_path / name) for name in ("a", "b"))
    sizes = {path: path.stat().st_size for path in tmp_path.rglob("*.f32")}
    whole.merge(second)
    whole.merge(gathered(others[:3]))
    assert whole.images == 15
    reference = gathered(np.concatenate([images, others[:3]]))
    assert whole.distance(reference) == pytest.approx([0, 0, 0], abs=1e-4)
    assert {path: path.stat().st_size for path in tmp_path.rglob("*.f32")} == sizes


def test_a_file_that_was_cut_short_is_refused(images, tmp_path):
    gathered(images, folder=tmp_path).save()
    os.truncate(tmp_path / "level-1.f32", 100)
    with pytest.raises(ValueError, match=r"level-1.f32' does not hold the 192 patches that 'about.json'"):
        SlicedWasserstein.load(tmp_path)


def test_one_level_of_both_sets_is_held_at_a_time(tmp_path):
    images = np.random.default_rng(0).integers(0, 65536, (4, 160, 128), dtype=np.uint16)
    a, b = (
        gathered(images, patches=8192, directions=4, repeats=1, folder=tmp_path / name) for name in ("a", "b")
    )
    level_bytes = 4 * 8192 * 49 * 4
    tracemalloc.start()
    a.distance(b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(a.levels) == 4
    assert 2 * level_bytes <= peak < 3.5 * level_bytes  # with a block of a file that is being read


# What the original's numpy code makes of these sets: mean and deviation of five seeds, finest level first.
ORIGINAL = {
    ("A", "B"): ([29.524, 36.899, 36.135, 29.287, 18.290], [2.7, 0.75, 1.6, 0.88, 1.0]),
    ("A", "A2"): ([21.798, 21.519, 20.213, 20.225, 17.797], [1.6, 1.3, 1.4, 0.6, 1.4]),
}
# And what it makes of one seed, when places and directions are drawn as it draws them.
SAME_DRAWS = {
    (256, 256, 64): {
        ("A", "B"): [27.543, 37.808, 37.040, 30.850, 18.485],
        ("A", "A2"): [20.594, 22.938, 19.592, 20.609, 18.776],
        ("A", "A"): [23.392, 20.058, 18.694, 20.543, 12.807],
    },
    (1280, 1024, 16): {
        ("A", "B"): [45.146, 43.655, 50.467, 54.043, 52.237, 46.987, 39.131],
        ("A", "A2"): [39.342, 40.415, 50.210, 37.141, 37.096, 38.003, 33.081],
        ("A", "A"): [42.165, 39.532, 39.403, 36.757, 39.283, 37.319, 25.103],
    },
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


@pytest.mark.parametrize("size", SAME_DRAWS, ids="{0[0]}x{0[1]}".format)
def test_the_numbers_of_the_original_are_met_to_a_ten_thousandth_at_the_same_draws(size):
    height, width, count = size
    sets = {kind: swd_sets.image_set(kind, count, height, width) for kind in DIGESTS}
    draws = swd_peer.Draws(count, laplacian_pyramid.levels(height, width), seed=0)
    for pair, original in SAME_DRAWS[size].items():
        a, b = (SlicedWasserstein(height, width) for _ in pair)
        for found, kind, at in zip((a, b), pair, draws.places, strict=True):
            found.update(sets[kind].astype(np.uint16), at)
        assert a.distance(b, draws.directions) == pytest.approx(original, rel=1e-4)


def test_the_peer_of_the_benchmark_is_the_original(reference_sets):
    sets = [reference_sets[kind] for kind in ("A", "B")]
    assert swd_peer.distance(*sets, seed=0) == pytest.approx(SAME_DRAWS[256, 256, 64]["A", "B"], rel=1e-4)
