"""A classifier that tries to tell synthetics from reals (C2ST: Lopez-Paz and Oquab 2017).

Shape suffixes: N reals, M synthetics, A all of them, F features, B draws, U different scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.resample import Groups, Values, Weights

FOLDS = 5
TREES, LEAVES = 60, 8


@dataclass(frozen=True)
class Told:
    """What the classifier said of images that it had not learned from: the more, the more synthetic.

    Scores (N,) and (M,) are ranks within their fold, 0 to 1, for each fold has a classifier of its own;
    `folds` are theirs.
    """

    real_N: Values
    synthetic_M: Values
    folds: tuple[NDArray[np.int64], NDArray[np.int64]]

    @property
    def auc(self) -> float:
        """The chance that a synthetic is ranked above a real: 0.5 if they can't be told apart."""
        ones = np.ones((1, len(self.real_N)), np.float32), np.ones((1, len(self.synthetic_M)), np.float32)
        return float(self.aucs(*ones)[0])

    def aucs(self, real_BN: Weights, synthetic_BM: Weights) -> Values:
        """Give the AUC of each draw, (B,), the classifiers being as they are."""
        both_A = np.concatenate([self.real_N, self.synthetic_M])
        order_A = np.argsort(both_A, kind="stable")
        starts_U = np.flatnonzero(np.append(True, np.diff(both_A[order_A]) > 0))
        count = len(self.real_N)
        real_BU, synthetic_BU = (
            np.add.reduceat(padded_BA[:, order_A], starts_U, axis=1, dtype=np.float64)
            for padded_BA in (
                np.pad(real_BN, ((0, 0), (0, len(both_A) - count))),
                np.pad(synthetic_BM, ((0, 0), (count, 0))),
            )
        )
        below_BU = real_BU.cumsum(axis=1) - real_BU / 2
        pairs_B = real_BU.sum(axis=1) * synthetic_BU.sum(axis=1)
        return np.asarray((below_BU * synthetic_BU).sum(axis=1) / pairs_B)

    def p_value(self, groups: tuple[Groups, Groups], permutations: int, random: np.random.Generator) -> float:
        """Give the share of permutations of the sources, among groups of a fold, with as high an AUC.

        The classifiers stay: given them, whoever they have not seen is exchangeable if the sets are one.
        """
        both_A = np.concatenate([self.real_N, self.synthetic_M])
        groups_A = np.concatenate([groups[0], groups[1] + groups[0].max(initial=-1) + 1])
        folds_A = np.concatenate(self.folds)
        first_G = np.unique(groups_A, return_index=True)[1]
        real_G, fold_G = first_G < len(self.real_N), folds_A[first_G]
        ranks_A = _ranks(both_A)
        real_BA = np.empty((permutations + 1, len(both_A)), bool)
        real_BA[0] = real_G[groups_A]
        for draw in range(1, permutations + 1):
            permuted_G = real_G.copy()
            for fold in range(int(fold_G.max(initial=0)) + 1):
                mine = np.flatnonzero(fold_G == fold)
                permuted_G[mine] = real_G[random.permutation(mine)]
            real_BA[draw] = permuted_G[groups_A]
        counts_B = real_BA.sum(axis=1)
        sums_B = real_BA @ ranks_A
        others_B = len(both_A) - counts_B
        aucs_B = 1 - (sums_B - counts_B * (counts_B + 1) / 2) / (counts_B * others_B).clip(1)
        return float((aucs_B[1:] >= aucs_B[0] - 1e-12).sum() + 1) / (permutations + 1)


def classify(
    real_NF: Values, synthetic_MF: Values, groups: tuple[Groups, Groups], random: np.random.Generator
) -> Told | None:
    """Score each image by boosted trees that learned from the other folds; no group is in two folds.

    None if there are too few groups of either source for two folds. A feature may be NaN.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    smallest = min(len(np.unique(part)) for part in groups)
    count = min(FOLDS, smallest)
    if count < 2:
        return None
    folds = tuple(_folds(part, count, random) for part in groups)
    features_AF, folds_A = np.vstack([real_NF, synthetic_MF]), np.concatenate(folds)
    synthetic_A = np.repeat([0, 1], [len(real_NF), len(synthetic_MF)])
    scores_A = np.empty(len(folds_A))
    for fold in range(count):
        here, rest = folds_A == fold, folds_A != fold
        model = HistGradientBoostingClassifier(
            max_iter=TREES,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=min(20, max(2, int(rest.sum()) // 10)),
            early_stopping=False,
            class_weight="balanced",
            random_state=0,
        )
        model.fit(features_AF[rest], synthetic_A[rest])
        scores_A[here] = _ranks(model.decision_function(features_AF[here])) / here.sum()
    return Told(scores_A[: len(real_NF)], scores_A[len(real_NF) :], (folds[0], folds[1]))


def _folds(groups_N: Groups, folds: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Deal groups out to folds in random order."""
    numbers_N = np.unique(groups_N, return_inverse=True)[1]
    count = int(numbers_N.max()) + 1
    return np.asarray((random.permutation(count) % folds)[numbers_N], np.int64)


def _ranks(values_A: Values) -> Values:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values_A), np.float64)
