"""The measures of a score beside SWD: looks at images as they pass, and what they say beside the reals'."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.schedule import Stage
from mammogan.scored_images import Measure
from mammogan.steps import score_error
from mammogan.steps.score_error import Groups
from mammogan.steps.swd_sets import AT_ONCE, batches

if TYPE_CHECKING:
    import numpy as np

    from mammogan.metrics.set_measures import Found, Looks

LooksOf = dict[int, "Looks"]
"""By view."""


@dataclass(frozen=True)
class RealLooks:
    """Looks at validation reals, whose group each is of, and looks at as many reals of other patients."""

    validation: LooksOf
    groups: Groups
    others: LooksOf


def measured(run: Run, counts: dict[int, int]) -> dict[int, int]:
    """Say how many images of each view are looked at, of those that are compared."""
    share = max(1, run.method.scoring.measured // len(VIEWS))
    return {view: min(share, count) for view, count in counts.items()}


def looking(images: Iterable[np.ndarray], count: int, found: LooksOf, view: int) -> Iterator[np.ndarray]:
    """Pass images on, each uint16 (H, W), and put looks at the first `count` into `found`."""
    import numpy as np
    import torch

    from mammogan.metrics import set_measures

    each: list[dict[str, np.ndarray]] = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for some in batches(images, AT_ONCE):
            each += pool.map(set_measures.look, some[: count - len(each)])
            yield from some
    found[view] = {name: np.stack([one[name] for one in each]) for name in each[0]}


def measures(run: Run, stage: Stage, fakes: LooksOf, reals: RealLooks) -> dict[str, Measure]:
    """Compare synthetics with validation reals, by name; and other reals with the same, which is the null."""
    from mammogan.metrics import set_measures
    from mammogan.metrics.half_samples import deviation

    side = set_measures.side_px((stage.height_px, stage.width_px))
    halves = _halves(run, fakes, reals, side)
    whole, nulls = (
        {view: set_measures.compare(mine[view], reals.validation[view], side) for view in fakes}
        for mine in (fakes, reals.others)
    )
    found = {}
    for name in set_measures.MEASURES:
        values, differences = [of[name] for of in whole.values()], halves.get(name, ())
        found[name] = Measure(
            value=_mean(one.value for one in values),
            null=_mean(of[name].value for of in nulls.values()),
            off=_mean(one.off for one in values),
            error=deviation(differences),
            halves=differences,
            views={VIEWS[view]: _known(of[name].value) for view, of in whole.items()},
            octaves=_octaves(values),
        )
    return found


def _halves(run: Run, fakes: LooksOf, reals: RealLooks, side: int) -> dict[str, tuple[float, ...]]:
    """Return half the differences of `off` between halves, by measure; of those that all halves have."""
    import numpy as np

    from mammogan.metrics import set_measures
    from mammogan.metrics.set_measures import some

    alone = score_error.ungrouped({view: len(looks["background"]) for view, looks in fakes.items()})
    groups = {view: reals.groups[view][: len(alone[view])] for view in fakes}
    mine, theirs = score_error.split(run, "synthetic", alone), score_error.split(run, "validation", groups)
    if not fakes.keys() == mine.keys() == theirs.keys():
        return {}

    def compared(view: int, split: int) -> list[dict[str, Found]]:
        pairs = zip(mine[view][split], theirs[view][split], strict=True)
        return [
            set_measures.compare(some(fakes[view], my), some(reals.validation[view], their), side)
            for my, their in pairs
        ]

    by_view = [[compared(view, split) for split in range(run.method.scoring.splits)] for view in fakes]
    found = {}
    for name in set_measures.MEASURES:
        off_VS2 = np.array([[[half[name].off for half in both] for both in of_view] for of_view in by_view])
        if np.isfinite(off_VS2).all():
            off_S2 = off_VS2.mean(axis=0)
            found[name] = tuple(((off_S2[:, 0] - off_S2[:, 1]) / 2).tolist())
    return found


def _octaves(values: list[Found]) -> dict[str, float | None]:
    return {name: _mean(one.octaves[name] for one in values) for name in values[0].octaves}


def _mean(values: Iterable[float]) -> float | None:
    every = list(values)
    return _known(sum(every) / len(every))


def _known(value: float) -> float | None:
    """Return None for what JSON has no number for."""
    return value if math.isfinite(value) else None
