"""The detector of copies: its false alarms, what it finds, and the control of the split."""

import numpy as np
import pytest

from mammogan.metrics import copy_detection
from mammogan.metrics.bootstrap import subsets
from mammogan.metrics.copy_detection import (
    Detector,
    aloneness,
    correlated,
    correlation,
    first,
    quotients,
    share_nearer,
)
from mammogan.metrics.image_features import thumbnail
from mammogan.metrics.planted_copies import KINDS, plant
from mammogan.metrics.prdc import nearest
from tests.metrics.noise import pictures


@pytest.fixture(scope="module")
def spaces():
    """Give unit vectors of training pictures and held-out ones, and of copies of each kind."""
    train, held_out = pictures(150, 0, 96, 78), pictures(150, 1, 96, 78)
    shown = [np.stack([thumbnail(image) for image in part]).reshape(150, -1) for part in (train, held_out)]
    mean = shown[0].mean(axis=0).astype(np.float32)
    dice = np.random.default_rng(0)
    planted = {
        kind: np.stack([thumbnail(plant(image, kind, dice)) for image in train[:60]]).reshape(60, -1)
        for kind in KINDS
    }
    vectors = {kind: correlated(part, mean) for kind, part in planted.items()}
    return correlated(shown[0], mean), correlated(shown[1], mean), vectors


def test_the_detector_finds_planted_copies_at_one_percent_of_false_alarms(spaces):
    train, held_out, planted = spaces
    rows = np.arange(len(held_out))
    others = nearest(held_out, held_out, 1, barred=lambda part: rows[part, None] == rows)
    detector = Detector.of(quotients(nearest(held_out, train, 1), others))
    assert detector.negatives == 150 and detector.alarms <= 0.01
    recall = {
        kind: detector.found(quotients(nearest(part, train, 1), nearest(part, held_out, 1))).mean()
        for kind, part in planted.items()
    }
    assert recall["noise"] > 0.95 and recall["shift"] > 0.95 and recall["crop"] > 0.4


def test_the_limit_leaves_one_percent_below_and_nothing_is_called_without_reals():
    detector = Detector.of(np.arange(1, 1001) / 1000)
    assert detector.alarms == 0.01 and detector.limit == pytest.approx(0.011)
    none = Detector.of(np.array([np.nan]))
    assert not none.found(np.array([0.0, 5.0])).any() and none.negatives == 0


def test_vectors_tell_correlation_about_the_mean_picture():
    dice = np.random.default_rng(0)
    shown = dice.integers(0, 65536, (3, 500)).astype(np.uint16)
    mean = dice.uniform(0, 65535, 500).astype(np.float32)
    vectors = correlated(shown, mean)
    expected = np.corrcoef(shown[0] - mean, shown[1] - mean)[0, 1]
    assert correlation(float(np.linalg.norm(vectors[0] - vectors[1]))) == pytest.approx(expected, abs=1e-4)
    assert not correlated(np.zeros((1, 500), np.uint16), np.zeros(500, np.float32)).any()


def test_the_nearest_of_a_draw_is_that_of_the_drawn_set():
    dice = np.random.default_rng(0)
    a, b = dice.normal(size=(30, 4)).astype(np.float32), dice.normal(size=(40, 4)).astype(np.float32)
    found = nearest(a, b, 40)
    drawn = (dice.random((6, 40)) < 0.3).astype(np.float32)
    for row, distances in zip(drawn, first(found, drawn), strict=True):
        np.testing.assert_allclose(distances, nearest(a, b[row > 0], 1).distance_QK[:, 0], rtol=1e-3)


def test_halves_of_one_set_are_equally_near_and_a_copier_is_nearer_to_what_it_copied(monkeypatch):
    dice = np.random.default_rng(0)
    train, held_out, fair = (dice.normal(size=(200, 8)).astype(np.float32) for _ in range(3))
    copier = (train + 0.1 * dice.normal(size=train.shape)).astype(np.float32)
    a, b = subsets(np.arange(200) // 2, 100, 30, dice)
    ones = np.ones((30, 200), np.float32)
    for queries, low, high in ((fair, 0.4, 0.6), (copier, 0.9, 1.0)):
        to_train, to_held_out = (nearest(queries, targets, 64) for targets in (train, held_out))
        nulls = share_nearer(to_train, a, to_train, b, ones)
        assert nulls.mean() == pytest.approx(0.5, abs=0.03)
        whole = share_nearer(to_train, ones[:1], to_held_out, ones[:1], ones[:1])
        assert low < whole[0] <= high
        monkeypatch.setattr(copy_detection, "AT_ONCE", 1)
        np.testing.assert_array_equal(share_nearer(to_train, a, to_train, b, ones), nulls)
        monkeypatch.undo()


def test_one_training_image_that_is_much_nearer_than_all_others_stands_alone():
    train = np.float32([[0, 0], [0.1, 0], [5, 0], [9, 9]])
    found = nearest(np.float32([[0.0, 0.01], [2.5, 0]]), train, 4)
    told = aloneness(found, np.array([0, 0, 1, 2]))  # the first two are of one patient
    assert told[0] < 0.01 and told[1] == pytest.approx(2.4 / 2.5, rel=1e-3)
    assert np.isnan(aloneness(found, np.zeros(4, int))).all()
