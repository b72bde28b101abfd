"""The error of a score over fresh draws of synthetics and of reals, from halves that all checkpoints share.

Image i of one view has the latent of image i of the other, and patients have both views; so the halves of a
set are the same in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammogan.config.run_config import Run
from mammogan.steps.swd_sets import Sets

if TYPE_CHECKING:
    import numpy as np

    from mammogan.metrics.half_samples import Splits

SETS = ("validation", "others", "synthetic")
Groups = dict[int, "np.ndarray"]
"""Which group each image is of, (N,), by view: its patient, or itself."""
SplitsOf = dict[int, "Splits"]
Differences = dict[int, "np.ndarray"]
"""Half the differences of SWD x 1000 between halves by view: (splits, levels)."""


def split(run: Run, name: str, groups: Groups) -> SplitsOf:
    """Split the set `name` of `SETS` in halves, view by view; views of one group alone are left out."""
    from mammogan.metrics import half_samples

    most = max(int(groups_N.max()) for groups_N in groups.values()) + 1
    seed = (run.method.method.seed, SETS.index(name))
    ranks_SG = half_samples.ranks(most, run.method.scoring.splits, seed)
    found = {view: half_samples.splits(groups_N, ranks_SG) for view, groups_N in groups.items()}
    return {view: splits for view, splits in found.items() if splits}


def ungrouped(counts: dict[int, int]) -> Groups:
    """Make each image a group of its own, as synthetics are."""
    import numpy as np

    return {view: np.arange(count) for view, count in counts.items()}


def differences(run: Run, mine: Sets, theirs: Sets, of_mine: SplitsOf, of_theirs: SplitsOf) -> Differences:
    """Compare halves with halves, in the mean over seeds, which share the directions of one projection."""
    import numpy as np

    from mammogan.metrics.half_distances import half_differences

    scoring, found = run.method.scoring, {}
    each = -(-scoring.directions // scoring.seeds)
    for view in of_mine.keys() & of_theirs.keys():
        by_seed = [
            half_differences(mine[kind], theirs[kind], of_mine[view], of_theirs[view], each)
            for kind in mine
            if kind[1:] == (False, view)
        ]
        found[view] = np.mean(by_seed, axis=0)
    return found
