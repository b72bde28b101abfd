"""A classifier that tries to tell synthetics from reals (C2ST: Lopez-Paz and Oquab 2017).

Shape suffixes: N reals, M synthetics, A all of them, F features, B draws, U different scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.bootstrap import Groups, Values, Weights

FOLDS = 5
TREES, LEAVES, RATE, BINS = 25, 8, 0.2, 63


@dataclass(frozen=True)
class Told:
    """What the classifier said of images that it had not learned from: the more, the more synthetic.

    Scores (N,) and (M,) are ranks within their fold, 0 to 1, for each fold has a classifier of its own;
    `folds_A` are those of reals and synthetics.
    """

    real_N: Values
    synthetic_M: Values
    folds_A: NDArray[np.int64]

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


def classify(
    real_NF: Values,
    synthetic_MF: Values,
    groups: tuple[Groups, Groups],
    random: np.random.Generator,
    folds: int = FOLDS,
) -> Told | None:
    """Score each image by boosted trees that learned from the other folds; no group is in two folds.

    None if there are too few groups of either source for two folds. A feature may be NaN.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    count = min(folds, *(len(np.unique(part)) for part in groups))
    if count < 2:
        return None
    features_AF = np.vstack([real_NF, synthetic_MF])
    folds_A = _folds(features_AF, groups, count, random)
    synthetic_A = np.repeat([0, 1], [len(real_NF), len(synthetic_MF)])
    scores_A = np.empty(len(folds_A))
    for fold in range(count):
        in_fold, rest = folds_A == fold, folds_A != fold
        if not in_fold.any() or len(np.unique(synthetic_A[rest])) < 2:
            scores_A[in_fold] = 0.5
            continue
        model = HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=min(20, max(2, int(rest.sum()) // 10)),
            early_stopping=False,
            max_bins=BINS,
            random_state=0,
        )
        model.fit(features_AF[rest], synthetic_A[rest])
        scores_A[in_fold] = _ranks(model.decision_function(features_AF[in_fold])) / in_fold.sum()
    return Told(scores_A[: len(real_NF)], scores_A[len(real_NF) :], folds_A)


def p_value(
    real_NF: Values,
    synthetic_MF: Values,
    groups: tuple[Groups, Groups],
    permutations: int,
    random: np.random.Generator,
) -> float:
    """Give the share of permutations of the sources, among groups, that have at least as high an AUC.

    A classifier learns from one half; only images of the other are permuted. Given the classifier they are
    exchangeable if both sets are one, so that this is exact; scores of several folds hang on each other, and
    are not. NaN if there are too few groups.
    """
    result = classify(real_NF, synthetic_MF, groups, random, 2)
    if result is None:
        return float("nan")
    mine_A = result.folds_A == 0
    groups_A = np.concatenate([groups[0], groups[1] + groups[0].max(initial=-1) + 1])[mine_A]
    ranks_A = _ranks(np.concatenate([result.real_N, result.synthetic_M])[mine_A])
    real_A = (np.arange(len(result.folds_A)) < len(result.real_N))[mine_A]
    _, first_G, group_A = np.unique(groups_A, return_index=True, return_inverse=True)
    real_G = real_A[first_G]
    real_BA = np.array([real_A, *(random.permutation(real_G)[group_A] for _ in range(permutations))])
    counts_B, others_B = real_BA.sum(axis=1), (~real_BA).sum(axis=1)
    below_B = real_BA @ ranks_A - counts_B * (counts_B + 1) / 2
    aucs_B = 1 - below_B / (counts_B * others_B).clip(1)
    return float((aucs_B[1:] >= aucs_B[0] - 1e-12).sum() + 1) / (permutations + 1)


def _folds(
    features_AF: Values, groups: tuple[Groups, Groups], folds: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Deal groups out to folds in random order, those of each source and of both evenly.

    Groups that share an image, to the last digit, go together: a copy in another fold would be told wrong.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(features_AF)
    groups_A = np.concatenate([groups[0], groups[1] + groups[0].max(initial=-1) + 1])
    rows_A = np.unique(features_AF, axis=0, return_inverse=True)[1].ravel()
    nodes = groups_A.max() + 1
    edges = coo_matrix((np.ones(count), (groups_A, nodes + rows_A)), shape=(nodes + count, nodes + count))
    joined_A = np.unique(connected_components(edges, directed=False)[1][groups_A], return_inverse=True)[1]
    synthetic_A = np.repeat([0, 1], [len(groups[0]), len(groups[1])])
    holds = [np.bincount(joined_A, synthetic_A == source) > 0 for source in (0, 1)]
    kinds = holds[0] + 2 * holds[1]
    dealt, next_fold = np.empty(len(kinds), np.int64), 0
    for kind in np.unique(kinds):
        mine = random.permutation(np.flatnonzero(kinds == kind))
        dealt[mine] = (next_fold + np.arange(len(mine))) % folds
        next_fold += len(mine)
    return dealt[joined_A]


def _ranks(values_A: Values) -> Values:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values_A), np.float64)
