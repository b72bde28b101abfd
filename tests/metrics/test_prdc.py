"""Neighbours in chunks against all distances at once; what precision, recall, density and coverage see."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mammogan.metrics import prdc
from mammogan.metrics.frechet_kid import frechet, kernel_distance
from mammogan.metrics.prdc import manifolds, nearest, radii
from mammogan.metrics.view_classifier import ViewTeller


def points(count, seed, shift=0.0, spread=1.0):
    found = np.random.default_rng(seed).normal(size=(count, 6)) * spread + shift
    return found.astype(np.float32)


def test_neighbours_are_those_of_all_distances_whatever_the_chunk(monkeypatch):
    a, b = points(50, 0), points(70, 1)
    distances = np.linalg.norm(a[:, None] - b[None], axis=2)
    for chunk in (7, 512):
        monkeypatch.setattr(prdc, "CHUNK", chunk)
        found = nearest(a, b, 4)
        np.testing.assert_array_equal(found.target_QK, np.argsort(distances, axis=1)[:, :4])
        np.testing.assert_allclose(found.distance_QK, np.sort(distances, axis=1)[:, :4], rtol=1e-3)
        np.testing.assert_allclose(
            radii(a, 3), np.sort(((a[:, None] - a) ** 2).sum(axis=2), axis=1)[:, 3], rtol=1e-3
        )


def test_a_mirror_image_is_found_and_what_is_barred_is_not():
    a = points(20, 0)
    found = nearest(a, points(20, 1), 1, mirrored_TF=a)
    assert found.mirrored_QK.all() and found.distance_QK.max() < 1e-2
    np.testing.assert_array_equal(found.target_QK[:, 0], np.arange(20))
    rows = np.arange(20)
    others = nearest(a, a, 1, barred=lambda part: rows[part, None] // 2 == rows // 2)
    assert (others.target_QK[:, 0] // 2 != rows // 2).all()
    few = nearest(a, a[:2], 4, barred=lambda part: rows[part, None] == rows[:2])
    assert (few.target_QK[0] == [1, -1, -1, -1]).all() and np.isinf(few.distance_QK[0, 1:]).all()


def test_identical_sets_are_precise_recalled_and_covered():
    a = points(100, 0)
    scores = manifolds(a, np.random.default_rng(1).permutation(a)).scores
    assert scores["precision"] == scores["recall"] == scores["coverage"] == 1
    assert scores["density"] == pytest.approx(1.2)  # each lies in its own ball too, of which k has no count


def test_a_dropped_mode_is_seen_by_recall_and_coverage_and_an_outlying_set_by_precision():
    real = np.concatenate([points(200, 0), points(200, 1, shift=8)])
    dropped = manifolds(real, points(400, 2)).scores
    assert dropped["precision"] > 0.85
    assert dropped["recall"] < 0.55 and dropped["coverage"] < 0.55
    outside = manifolds(points(200, 0), points(200, 1, spread=3)).scores
    assert outside["precision"] < 0.4 and outside["density"] < 0.3 and outside["coverage"] < 0.6
    alike = manifolds(points(400, 0), points(400, 1)).scores
    assert min(alike["precision"], alike["recall"], alike["coverage"]) > 0.85


def test_order_does_not_matter_and_too_few_give_none():
    a, b = points(60, 0), points(50, 1)
    shuffled = np.random.default_rng(2).permutation
    assert manifolds(shuffled(a), shuffled(b)).scores == pytest.approx(manifolds(a, b).scores)
    assert manifolds(a[:5], b) is None


def test_the_frechet_distance_is_that_of_two_normal_distributions():
    a = points(40000, 0)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, points(40000, 1, shift=0.5)) == pytest.approx(6 * 0.25, rel=0.05)
    assert frechet(a, points(40000, 1, spread=2.0)) == pytest.approx(6, rel=0.05)
    few = a[:5], points(9, 3, shift=0.3)
    means, covariances = [part.mean(axis=0) for part in few], [np.cov(part, rowvar=False) for part in few]
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    literal = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet(*few) == pytest.approx(literal, rel=1e-4)
    assert frechet(*few[::-1]) == pytest.approx(literal, rel=1e-4)
    assert np.isnan(frechet(a[:1], a))


def test_the_kernel_distance_is_unbiased_and_sees_a_shift(monkeypatch):
    values = [kernel_distance(points(40, s), points(40, s + 100)) for s in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5
    assert kernel_distance(points(200, 0), points(200, 1, shift=1)) > 5 * np.std(values)
    whole = kernel_distance(points(50, 0), points(60, 1))
    monkeypatch.setattr("mammogan.metrics.frechet_kid.CHUNK", 7)
    assert kernel_distance(points(50, 0), points(60, 1)) == pytest.approx(whole)
    assert np.isnan(kernel_distance(points(1, 0), points(9, 1)))


def test_views_are_told_and_a_set_of_the_wrong_view_is_seen():
    views = np.repeat([0, 1], 100)
    teller = ViewTeller(np.concatenate([points(100, 0), points(100, 1, shift=2)]), views)
    assert (
        teller.right(points(50, 2), 0).mean() > 0.9 and teller.right(points(50, 3, shift=2), 1).mean() > 0.9
    )
    assert teller.right(points(50, 2), 1).mean() < 0.1
    assert len(teller.right(points(0, 2), 1)) == 0
    with pytest.raises(ValueError, match=r"can't be learned from \[100, 4\]"):
        ViewTeller(points(104, 0), np.repeat([0, 1], [100, 4]))
    with pytest.raises(ValueError, match="can't be learned"):
        ViewTeller(points(100, 0), np.zeros(100, int))
