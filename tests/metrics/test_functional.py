"""Measures of image sets in one call: as the modules beside them compute, and with their known values."""

from __future__ import annotations

import numpy as np
import pytest

from mammogan import metrics


@pytest.fixture(scope="module")
def images():
    """Make 24 noisy discs, and 24 others that are brighter."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :48]
    disc = (rows - 32) ** 2 + columns**2 < 30**2
    found = [disc * random.uniform(15000, level, (24, 64, 48)) for level in (30000, 60000)]
    return tuple(part.astype(np.uint16) for part in found)


@pytest.mark.parametrize("measure", [metrics.frechet_distance, metrics.kernel_distance])
def test_a_distance_is_small_of_a_set_to_itself_and_larger_to_another(images, measure):
    one, other = images
    assert measure(one, one[::-1]) == pytest.approx(0, abs=0.05)
    assert measure(one, other) > 10 * abs(measure(one[::2], one[1::2]))


def test_sliced_wasserstein_is_0_of_a_set_to_itself_at_each_level(images):
    one, other = images
    assert metrics.sliced_wasserstein_distance(one, one[::-1].copy()) == [0.0] * 3
    assert min(metrics.sliced_wasserstein_distance(one, other)) > 0
    with pytest.raises(ValueError, match="compares sets of the same size"):
        metrics.sliced_wasserstein_distance(one, other[:3])


def test_sets_that_lie_apart_are_told_apart(images):
    one, other = images
    assert metrics.classifier_two_sample_auc(one, other) > 0.95
    apart, same = (metrics.precision_recall_density_coverage(one, part) for part in (other, one))
    assert apart["precision"] == apart["recall"] == 0 and same["coverage"] == 1
    with pytest.raises(ValueError, match="neighbours '5' of each image need more images than 4"):
        metrics.precision_recall_density_coverage(one, other[:4])


def test_measures_of_images_are_one_each(images):
    one, other = images
    assert metrics.image_moments(one).shape == (24, 5)
    assert (metrics.image_moments(other)[:, 0] > metrics.image_moments(one)[:, 0]).all()
    assert metrics.image_moments(one)[0, 0] == pytest.approx(one[0].mean() / 65535)
    assert metrics.dense_share(one, oblique=False).shape == (24,)
    assert np.isnan(metrics.dense_share(np.zeros((1, 64, 48), np.uint16), oblique=True)).all()
    assert metrics.random_network_features(one).shape[0] == 24


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8)), np.zeros((8, 8), np.uint16), [1, 2]])
def test_what_is_no_set_of_images_is_refused(wrong):
    with pytest.raises(ValueError, match=r"a set of images is uint16 \(N, H, W\), not"):
        metrics.image_moments(wrong)
