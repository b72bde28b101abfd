"""Patches of a stage's images by seed and view, in all of the image and in the breast, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.schedule import Stage
from mammogan.scored_images import Distance, LevelDistance, RegionDistance, ScoredImages

if TYPE_CHECKING:
    import numpy as np

    from mammogan.metrics import SlicedWasserstein

Sets = dict[tuple[int, bool, int], "SlicedWasserstein"]
"""By number of the seed, whether in the breast alone, and view."""
Distances = dict[tuple[bool, int | None], "np.ndarray"]
"""SWD x 1000 by whether in the breast alone and view, None for all views: (seeds, levels)."""
AT_ONCE = 64


def empty(
    run: Run, stage: Stage, views: Iterable[int], folder: Path | None = None, device: str = "cpu"
) -> Sets:
    """Make sets without images: of every seed, and of the first seed in the breast alone too."""
    from mammogan.metrics import SlicedWasserstein

    scoring, seed = run.method.scoring, run.method.method.seed
    kinds = [*((number, False) for number in range(scoring.seeds)), (0, True)]
    return {
        (number, foreground, view): SlicedWasserstein(
            stage.height_px,
            stage.width_px,
            scoring.patches_per_image,
            scoring.directions,
            scoring.repeats,
            seed + number,
            foreground,
            folder=folder and set_folder(folder, number, foreground, view),
            device=device,
        )
        for number, foreground in kinds
        for view in views
    }


def set_folder(folder: Path, number: int, foreground: bool, view: int) -> Path:
    """Where a set's files are."""
    return folder / f"{VIEWS[view].lower()}-{number}{'-breast' if foreground else ''}"


def add(sets: Sets, view: int, images: Iterable[np.ndarray], at_once: int = AT_ONCE) -> None:
    """Add images of a view, each uint16 (H, W), to the sets that are of it."""
    from mammogan.metrics import gather

    mine = [one for (_, _, of), one in sets.items() if of == view]
    for some in batches(images, at_once):
        gather(mine, some)


def compare(mine: Sets, theirs: Sets) -> Distances:
    """Compare two collections of the same kinds, by view and in all."""
    import numpy as np

    found: dict[tuple[bool, int | None], list[list[float]]] = {}
    for number, foreground in dict.fromkeys((number, foreground) for number, foreground, _ in mine):
        views = [view for of, chosen, view in mine if (of, chosen) == (number, foreground)]
        pairs = [(mine[number, foreground, view], theirs[number, foreground, view]) for view in views]
        for view, (a, b) in zip(views, pairs, strict=True):
            found.setdefault((foreground, view), []).append(a.distance(b))
        if len(views) > 1:  # of one view alone all is the same
            a, b = (_joined(sets) for sets in zip(*pairs, strict=True))
            found.setdefault((foreground, None), []).append(a.distance(b))
        else:
            found.setdefault((foreground, None), []).append(found[foreground, views[0]][-1])
    return {kind: np.array(values) for kind, values in found.items()}


def score(
    distances: Distances,
    floors: Distances,
    levels: Iterable[tuple[int, int]],
    halves: Mapping[int, np.ndarray] | None = None,
    floor_halves: Mapping[int, np.ndarray] | None = None,
) -> ScoredImages:
    """Summarise distances beside the floors: of all images, of each view, in the breast alone.

    `halves` and `floor_halves` are half the differences between halves of the images, by view, (splits,
    levels). Without those of every view the error over fresh draws is not known.
    """
    import numpy as np

    from mammogan.metrics.half_samples import deviation

    shapes, halves, floor_halves = list(levels), halves or {}, floor_halves or {}
    parts = {kind: _part(values, floors[kind], shapes) for kind, values in distances.items()}
    views = [view for foreground, view in distances if not foreground and view is not None]
    for view in halves.keys() & views:
        parts[False, view] = _with_errors(parts[False, view], halves[view])
    above = np.mean([(distances[False, v] - floors[False, v]).mean(axis=1) for v in views], axis=0)
    known = all(view in halves and view in floor_halves for view in views)
    above_halves = [halves[v].mean(axis=1) - floor_halves[v].mean(axis=1) for v in views] if known else []
    differences = tuple(np.mean(above_halves, axis=0).tolist()) if known else ()
    image, breast = (
        RegionDistance(
            **dict(parts[foreground, None]), views={VIEWS[view]: parts[foreground, view] for view in views}
        )
        for foreground in (False, True)
    )
    return ScoredImages(
        **dict(image),
        above_floor=float(above.mean()),
        above_floor_sd=_sd(above),
        above_floor_error=deviation(differences),
        above_floor_halves=differences,
        breast=breast,
    )


def _part(values: np.ndarray, floors: np.ndarray, shapes: list[tuple[int, int]]) -> Distance:
    levels = tuple(
        LevelDistance(
            height_px=height,
            width_px=width,
            swd=float(values[:, n].mean()),
            sd=_sd(values[:, n]),
            floor=float(floors[:, n].mean()),
        )
        for n, (height, width) in enumerate(shapes)
    )
    averages = values.mean(axis=1)
    return Distance(swd=float(averages.mean()), sd=_sd(averages), floor=float(floors.mean()), levels=levels)


def _with_errors(part: Distance, halves_SL: np.ndarray) -> Distance:
    """Add what the distances to these reals would deviate by over fresh draws of all images."""
    from mammogan.metrics.half_samples import deviation

    levels = tuple(
        level.model_copy(update={"error": deviation(halves_S)})
        for level, halves_S in zip(part.levels, halves_SL.T, strict=True)
    )
    return part.model_copy(update={"error": deviation(halves_SL.mean(axis=1)), "levels": levels})


def _sd(values: np.ndarray) -> float:
    """Estimate the deviation of one seed's value; of a single seed nothing is known, and 0 is said."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _joined(sets: Iterable[SlicedWasserstein]) -> SlicedWasserstein:
    from mammogan.metrics import SlicedWasserstein

    whole: SlicedWasserstein | None = None
    for one in sets:
        whole = whole or SlicedWasserstein(**one.settings, device=one.device)
        whole.merge(one)
    assert whole is not None
    return whole


def batches(images: Iterable[np.ndarray], at_once: int) -> Iterator[list[np.ndarray]]:
    """Yield images in lists of `at_once`, the last one shorter."""
    rest = iter(images)
    while some := list(islice(rest, at_once)):
        yield some
