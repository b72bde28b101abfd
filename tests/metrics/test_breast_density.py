"""The breast and its dense part; features that need no download."""

import numpy as np
import pytest

from mammogan.metrics import breast_density, random_features
from mammogan.metrics.image_features import QUANTITIES, THUMBNAIL_PX, look, plant_copies, thumbnail
from tests.metrics.noise import picture, pictures


def blob(dense, height=200, width=160):
    """Give half a disc of fat, grey 12000, with a part of about `dense` of its area at 40000."""
    y, x = np.indices((height, width))
    radius = 0.45 * height
    inside = (y - height / 2) ** 2 + x**2 < radius**2
    core = (y - height / 2) ** 2 + x**2 < dense * radius**2
    ring = (y - height / 2) ** 2 + x**2 < (dense + 0.25 * (1 - dense)) * radius**2
    return np.where(core, 40000, np.where(ring, 22000, 12000)).astype(np.uint16) * inside


def test_the_outline_is_found_at_full_size_and_depth_is_the_distance_to_it():
    image = blob(0.3, 1000, 800)
    mask = breast_density.outline(image)
    assert mask.shape == image.shape and (mask != (image > 0)).mean() < 0.01
    depth = breast_density.depth(mask)
    assert depth[500, 0] == pytest.approx(450, rel=0.03)  # the chest wall is no outline
    assert depth[~mask].max() == 0
    top, left, height, width = breast_density.box(mask)
    assert (top, left, height, width) == pytest.approx((50, 0, 900, 450), abs=6)
    assert breast_density.box(np.zeros((5, 4), bool)) == (0, 0, 0, 0)


@pytest.mark.parametrize("dense", [0.1, 0.25, 0.5])
def test_the_dense_share_is_that_of_the_brightest_of_three_classes(dense):
    assert breast_density.dense_share(blob(dense), oblique=False) == pytest.approx(dense, abs=0.04)


def test_muscle_in_the_corner_is_not_dense_tissue():
    y, x = np.indices((200, 160))
    with_muscle = np.where((x / 60 + y / 100 < 1), 45000, np.maximum(blob(0.2), 2000)).astype(np.uint16)
    with_it, without = (breast_density.dense_share(with_muscle, oblique=oblique) for oblique in (False, True))
    plain = breast_density.dense_share(np.maximum(blob(0.2), 2000), oblique=False)
    assert abs(without - plain) < 0.5 * abs(with_it - plain)


def test_thresholds_separate_three_levels():
    values = np.repeat(np.float32([1, 5, 9]), [500, 300, 100])
    low, high = breast_density.thresholds(values)
    assert 1 < low <= 5 < high <= 9
    assert breast_density.thresholds(np.ones(4, np.float32)) == (1, 1)


def test_features_do_not_see_a_mirror_image_and_tell_what_differs():
    one, other = pictures(2, 0, 160, 130)
    same = random_features.embed(one)
    np.testing.assert_allclose(
        random_features.embed(np.ascontiguousarray(one[:, ::-1])), same, rtol=1e-4, atol=1e-5
    )
    noisy = random_features.embed(
        (one + np.random.default_rng(0).normal(0, 30, one.shape) * (one > 0)).astype(np.uint16)
    )
    assert np.linalg.norm(noisy - same) < 0.3 * np.linalg.norm(random_features.embed(other) - same)


def test_texture_sees_a_blur():
    rough, smooth = (picture(256, 208, np.random.default_rng(0), beta) for beta in (2.5, 4.0))
    a, b = (
        random_features.texture(image, breast_density.depth(breast_density.outline(image)))
        for image in (rough, smooth)
    )
    assert a[0] > b[0] + 0.3
    assert np.isnan(
        random_features.texture(np.zeros((64, 52), np.uint16), np.zeros((64, 52), np.float32))
    ).all()


@pytest.mark.parametrize("size", [(10, 8), (40, 32), (160, 128)])
def test_an_image_of_any_size_is_looked_at_and_so_is_an_empty_one(size):
    for image in (picture(*size, np.random.default_rng(0)), np.zeros(size, np.uint16)):
        found = look(image, oblique=True)
        assert len(found["quantities"]) == len(QUANTITIES)
        assert found["thumbnail"].shape == THUMBNAIL_PX and found["thumbnail"].dtype == np.uint16
        assert np.isfinite(found["random-network"]).all()
    assert np.isnan(found["quantities"][QUANTITIES.index("breast_mean")])


def test_a_thumbnail_is_of_the_breast_wherever_it_lies():
    image = picture(128, 104, np.random.default_rng(0))
    moved = np.zeros_like(image)
    moved[5:, 5:] = image[:-5, :-5]
    assert image[-5:].max() == 0
    np.testing.assert_array_equal(thumbnail(moved), thumbnail(image))


def test_copies_are_planted_the_same_again():
    image = picture(64, 52, np.random.default_rng(0))
    first, again, other = (plant_copies(image, number) for number in (3, 3, 4))
    np.testing.assert_array_equal(first["planted-thumbnail"], again["planted-thumbnail"])
    assert (first["planted-thumbnail"] != other["planted-thumbnail"]).any()
    assert first["planted-random-network"].shape[0] == first["planted-thumbnail"].shape[0] == 3
