"""Multi-scale structural similarity: its properties, its published definition, values worked out by hand."""

import numpy as np
import pytest
import swd_sets

from mammogan.metrics import ms_ssim, self_similarity
from mammogan.metrics.ms_ssim import WEIGHTS, scales, window

HEIGHT_PX, WIDTH_PX = 45, 37


@pytest.fixture(scope="module")
def images():
    return swd_sets.image_set("A", 6, HEIGHT_PX, WIDTH_PX).astype(np.uint16) * 257


@pytest.fixture(scope="module")
def others():
    return swd_sets.image_set("B", 6, HEIGHT_PX, WIDTH_PX).astype(np.uint16) * 257


def defined(a_HW, b_HW, count):
    """Wang et al. 2003, equations 1 to 7, window by window in double precision."""
    a_HW, b_HW, product = a_HW / 65535, b_HW / 65535, 1.0
    size = min(11, *a_HW.shape)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    weight_PQ = np.exp(-(y**2 + x**2) / (2 * (1.5 * size / 11) ** 2))
    weight_PQ /= weight_PQ.sum()
    for scale in range(count):
        a, b = (np.lib.stride_tricks.sliding_window_view(i, (size, size)) for i in (a_HW, b_HW))
        mean_a, mean_b = ((weight_PQ * i).sum(axis=(2, 3), keepdims=True) for i in (a, b))
        variances = [(weight_PQ * (i - m) ** 2).sum(axis=(2, 3)) for i, m in ((a, mean_a), (b, mean_b))]
        covariance = (weight_PQ * (a - mean_a) * (b - mean_b)).sum(axis=(2, 3))
        structure = (2 * covariance + 0.03**2) / (sum(variances) + 0.03**2)
        means = mean_a[..., 0, 0], mean_b[..., 0, 0]
        luminance = (2 * means[0] * means[1] + 0.01**2) / (means[0] ** 2 + means[1] ** 2 + 0.01**2)
        value = (structure * luminance if scale == count - 1 else structure).mean()
        product *= max(value, 0) ** (WEIGHTS[scale] / sum(WEIGHTS[:count]))
        a_HW, b_HW = (halved(i) for i in (a_HW, b_HW))
    return product


def halved(image_HW):
    height, width = (side // 2 for side in image_HW.shape)
    return image_HW[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [(5, 4, 1), (10, 8, 1), (20, 16, 1), (11, 40, 1), (45, 37, 2), (89, 90, 4), (177, 181, 5)],
)
def test_it_is_the_published_definition_at_every_size(height, width, count):
    a, b = (swd_sets.image(kind, 0, height, width).astype(np.uint16) * 257 for kind in ("A", "A2"))
    similar = ((3 * a.astype(np.uint32) + b) // 4).astype(np.uint16)
    assert scales(height, width) == count
    assert ms_ssim(a[None], similar[None])[0] == pytest.approx(defined(a, similar, count), abs=2e-5)


def test_the_ladder_has_as_many_scales_as_whole_windows_fit():
    ladder = [scales(5 << stage, 4 << stage) for stage in range(9)]
    assert ladder == [1, 1, 1, 2, 3, 4, 5, 5, 5]


def test_the_window_is_the_published_gaussian():
    profile = window(11)
    assert profile.sum() == pytest.approx(1)
    assert profile[5] / profile[8] == pytest.approx(np.exp(9 / (2 * 1.5**2)))


def test_identical_images_are_exactly_1(images):
    assert (ms_ssim(images, images) == 1).all()
    black = np.zeros_like(images)
    assert (ms_ssim(black, black) == 1).all()


def test_it_is_symmetric_and_pairs_do_not_touch_each_other(images, others):
    there = ms_ssim(images, others)
    assert there == pytest.approx(ms_ssim(others, images), abs=1e-6)
    assert there[::-1] == pytest.approx(ms_ssim(images[::-1], others[::-1]))
    assert ((there > 0) & (there < 1)).all()


def test_constant_images_differ_in_luminance_alone():
    dark, light = (np.full((1, HEIGHT_PX, WIDTH_PX), grey, np.uint16) for grey in (13107, 52428))
    luminance = (2 * 0.2 * 0.8 + 0.0001) / (0.2**2 + 0.8**2 + 0.0001)
    expected = luminance ** (WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1]))
    assert ms_ssim(dark, light)[0] == pytest.approx(expected, rel=1e-4)


def test_noise_makes_images_less_alike_and_a_negative_is_unlike(images):
    noise = np.random.default_rng(0).normal(size=images.shape)
    values = [
        ms_ssim(images, np.clip(images + strength * noise, 0, 65535).astype(np.uint16)).mean()
        for strength in (300, 3000, 30000)
    ]
    assert 1 > values[0] > values[1] > values[2] > 0
    assert (ms_ssim(images, 65535 - images) == 0).all()


def test_many_pairs_are_taken_in_parts_with_the_same_result(images, others, monkeypatch):
    whole = ms_ssim(images, others)
    monkeypatch.setitem(ms_ssim.__globals__, "CHUNK_PX", 4 * HEIGHT_PX * WIDTH_PX)
    assert (ms_ssim(images, others) == whole).all()


def test_a_sets_similarity_is_the_mean_of_its_disjoint_pairs(images):
    pairs = [ms_ssim(images[i : i + 1], images[i + 1 : i + 2])[0] for i in (0, 2)]
    assert self_similarity(images[:4]) == pytest.approx(np.mean(pairs))
    assert self_similarity(images[:5]) == self_similarity(images[:4])
    assert self_similarity(np.repeat(images[:1], 4, axis=0)) == 1


def test_sets_that_do_not_pair_are_refused(images):
    with pytest.raises(ValueError, match=r"sets of one shape, not \(6, 45, 37\) with \(5, 45, 37\)"):
        ms_ssim(images, images[:5])
    with pytest.raises(ValueError, match="needs two images, not 1"):
        self_similarity(images[:1])
    assert ms_ssim(images[:0], images[:0]).shape == (0,)
