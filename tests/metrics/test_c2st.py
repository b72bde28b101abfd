"""The classifier that tells sets apart: chance where there is nothing to tell, and a p-value that is one."""

import numpy as np
import pytest

from mammogan.metrics.bootstrap import bootstrap
from mammogan.metrics.c2st import Told, classify, p_value

GROUPS = np.repeat(np.arange(40), 2), np.arange(80)


def draw(seed, shift=0.0):
    dice = np.random.default_rng(seed)
    return dice.normal(size=(80, 5)), dice.normal(size=(80, 5)) + shift, dice


def test_identical_sets_are_told_by_chance_exactly():
    real, _, dice = draw(0)
    assert classify(real, dice.permutation(real), GROUPS, dice).auc == 0.5


def test_permuted_labels_give_an_auc_of_a_half():
    aucs = [classify(a, b, GROUPS, dice).auc for a, b, dice in map(draw, range(30))]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.06)


def test_p_values_of_one_distribution_are_small_as_seldom_as_they_should_be():
    p = np.array([p_value(a, b, GROUPS, 99, dice) for a, b, dice in map(draw, range(80))])
    assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.1) and p.mean() == pytest.approx(0.5, abs=0.1)


def test_a_shifted_set_is_told():
    real, synthetic, dice = draw(0, 1.0)
    told = classify(real, synthetic, GROUPS, dice)
    assert told.auc > 0.85 and p_value(real, synthetic, GROUPS, 99, dice) == 0.01
    aucs = told.aucs(bootstrap(GROUPS[0], 100, dice), bootstrap(GROUPS[1], 100, dice))
    assert aucs.mean() == pytest.approx(told.auc, abs=0.03) and 0.005 < aucs.std() < 0.08


def test_a_patient_is_in_one_fold_so_that_learning_whose_images_are_alike_is_no_use():
    dice = np.random.default_rng(0)
    patients = np.repeat(dice.normal(size=(20, 5)), 4, axis=0)  # four images that are the same
    groups = np.repeat(np.arange(20), 4), np.repeat(np.arange(20), 4)
    told = [
        classify(patients + 1e-3 * dice.normal(size=(80, 5)), np.repeat(dice.normal(size=(20, 5)), 4, axis=0),
                 groups, np.random.default_rng(seed)).auc
        for seed in range(8)
    ]  # fmt: skip
    assert np.mean(told) < 0.75
    folds = classify(patients, patients + 1, groups, dice).folds_A.reshape(-1, 4)
    assert (folds == folds[:, :1]).all()


def test_aucs_are_those_of_pairs_with_ties_by_half():
    told = Told(np.array([0.1, 0.5, 0.5]), np.array([0.5, 0.9]), np.zeros(5, int))
    assert told.auc == pytest.approx((1 + 0.5 + 0.5 + 3) / 6)
    weights = np.array([[2, 0, 1]], np.float32), np.array([[1, 0]], np.float32)
    assert told.aucs(*weights) == pytest.approx([(2 + 0.5) / 3])


def test_one_patient_is_too_few():
    real, synthetic, dice = draw(0)
    assert classify(real, synthetic, (np.zeros(80, int), GROUPS[1]), dice) is None


def test_features_may_be_missing():
    real, synthetic, dice = draw(0, 1.0)
    real[:3, 0] = np.nan
    assert classify(real, synthetic, GROUPS, dice).auc > 0.8
