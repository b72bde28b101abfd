"""The collector of the report: joins what the array measured, and holds synthetics against reals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.scored_images import Distance, LevelDistance
from mammogan.steps import feature_parts, report_measures
from mammogan.steps.select_checkpoint import read_choice, scores
from mammogan.steps.task import Task

if TYPE_CHECKING:
    from mammogan.metrics.comparison.measure import Measure
    from mammogan.metrics.comparison.view_sets import ViewSets
    from mammogan.steps.comparison_sets import Subjects

log = logging.getLogger(__name__)


def compare_sets(task: Task, run: Run) -> list[Path]:
    """Write ``measures.json``, ``measures.csv`` and ``images.csv`` into ``report``."""
    from mammogan.steps.comparison_sets import Subjects

    def advance(done: int, total: int) -> None:
        task.progress(done, total, "families of measures")

    return compare(Subjects(task.folder, run), advance)


def compare(
    subjects: Subjects, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Path]:
    """Compare all sets, and write what was found; the same parts give the same bytes.

    Images are not read again. What is held is what was measured of them, 10 KB an image.
    """
    from mammogan.data.shards.sample_facts import spacing_mm
    from mammogan.metrics.comparison.metrics_table import METRICS

    total, done = len(VIEWS) * len(METRICS) + 1, 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    spacing = spacing_mm(subjects.shard_set, subjects.size_px)
    both = [_sets(subjects, view) for view in VIEWS]
    report = report_measures.Report(_about(subjects, both, spacing))
    measured = [sets for sets in both if _enough(sets, report)]
    rows: list[dict[str, Any]] = []
    for sets in measured:
        rows += _compare_view(subjects, sets, spacing, report, advance)
    _add_view_consistency(measured, report)
    report.measures += _swd(subjects)
    report.gallery["closest"].sort(key=lambda pair: (pair.ratio, pair.view, pair.number))
    folder = RunFolder(subjects.folder).report
    paths = report.write(folder)
    write(folder / report_measures.IMAGES, report_measures.spelled(rows[0] if rows else [], rows))
    on_progress(total, total)
    return [*paths, folder / report_measures.IMAGES]


def _compare_view(
    subjects: Subjects,
    sets: ViewSets,
    spacing: float | None,
    report: report_measures.Report,
    advance: Callable[[], None],
) -> list[dict[str, Any]]:
    """Add a view's measures family by family, and return its images' quantities."""
    from mammogan.metrics.comparison import (
        band_measures,
        distributions,
        memorization,
        spectrum_measures,
    )
    from mammogan.metrics.comparison.metrics_table import METRICS
    from mammogan.metrics.comparison.view_comparison import ViewComparison

    view = sets.view
    pairs = _pairs(subjects, "synthetic", view), _pairs(subjects, "real", view)
    of = ViewComparison(sets, spacing, pairs, bool(subjects.weights))
    for family in METRICS.values():
        report.measures += family(of)
        advance()
    report.quartiles[view] = distributions.quartiles(of.quantities)
    report.spectra[view] = spectrum_measures.curves(sets, spacing) | band_measures.curves(sets)
    nearest = of.nearest(memorization.SPACES[0])
    report.gallery["closest"] += memorization.closest(sets, nearest, subjects.positions("train", view))
    report.gallery["duplicates"] += memorization.duplicates(sets, nearest)
    return list(_images(view, of.quantities))


def _sets(subjects: Subjects, view: str) -> ViewSets:
    """Join the parts of a view's images, and number the patients of its reals."""
    import numpy as np

    from mammogan.data.shards.sample_facts import patients
    from mammogan.metrics.comparison.view_sets import Looks, ViewSets
    from mammogan.steps.comparison_sets import SOURCES

    splits, sources, known = {"real": subjects.held_out, "train": "train"}, {}, True
    for source in SOURCES:
        positions = subjects.positions(source, view)
        groups_N = np.arange(len(positions))
        if source in splits:
            keys = subjects.readers[source].keys(positions)
            numbers = patients(subjects.shard_set, splits[source], keys)
            known &= numbers is not None
            groups_N = groups_N if numbers is None else np.array(numbers, np.int64)
        paths = [
            subjects.path(part)
            for part in subjects.parts
            if (part.kind, part.source, part.view) == ("images", source, view)
        ]
        sources[source] = Looks(feature_parts.load(paths, subjects.key), groups_N)
    return ViewSets(view, sources, subjects.method.assessment, subjects.method.method.seed, known)


def _pairs(subjects: Subjects, source: str, view: str) -> feature_parts.Arrays:
    mine = [part for part in subjects.parts if (part.kind, part.source, part.view) == ("pairs", source, view)]
    return feature_parts.load([subjects.path(part) for part in mine], subjects.key)


def _enough(sets: ViewSets, report: report_measures.Report) -> bool:
    """Say whether a view has images of each source; if not, that it is skipped."""
    counts = {"synthetic": len(sets.synthetic), "held-out": len(sets.real), "training": len(sets.train)}
    missing = [f"{count} {name}" for name, count in counts.items() if count < 2]
    if missing:
        report.skipped.append(f"{sets.view}: there are {' and '.join(missing)} images, and it takes 2")
    return not missing


def _add_view_consistency(both: list[ViewSets], report: report_measures.Report) -> None:
    from mammogan.metrics.comparison.view_consistency import views

    try:
        report.measures += views(both) if len(both) > 1 else []
    except ValueError as error:
        report.skipped.append(f"view_told_right: {error}")


def _about(subjects: Subjects, both: list[ViewSets], spacing: float | None) -> dict[str, Any]:
    import numpy as np

    from mammogan.metrics import distribution_overlap, prdc

    known = all(sets.known for sets in both)
    if not known:
        log.warning("who the reals' patients are stands in the shard set's private folder, which is not here")
    advance: dict[str, dict[str, Any]] = {}
    for sets in both:
        for source in ("synthetic", "real", "train"):
            looks = getattr(sets, source)
            flat = int(np.isnan(looks.quantity("all_skewness")).sum()) if len(looks) else 0
            of_patients = looks.patients if known and source != "synthetic" else None
            advance.setdefault(sets.view, {})[source] = {
                "images": len(looks),
                "patients": of_patients,
                "flat": flat,
            }
    return {
        "run": subjects.run.run_id,
        "checkpoint": subjects.checkpoint,
        "size_px": subjects.size_px,
        "held_out": subjects.held_out,
        "patients": "known" if known else "unknown",
        "spacing_mm": spacing,
        "settings": {
            **subjects.method.assessment.model_dump(),
            "bins": distribution_overlap.BINS,
            "neighbours": prdc.K,
            "seed": subjects.method.method.seed,
        },
        "sets": advance,
    }


def _swd(subjects: Subjects) -> Iterator[Measure]:
    """Give SWD of the chosen checkpoint by level and view, as it was scored, beside its floor."""
    from mammogan.metrics.comparison.measure import Interval, Measure

    choice = read_choice(subjects.folder)
    stage = schedule.plan(subjects.method)[choice.stage]
    nan = float("nan")
    for score in scores(subjects.folder, stage):
        if score.images != choice.images:
            continue
        for region, whole in score.regions.items():
            for view, part in whole.views.items():
                for of, found in _levels_and_mean(part):
                    sd = found.sd if found.error is None else found.error
                    over = "from seed to seed" if found.error is None else "over fresh draws of images"
                    yield Measure(
                        group="swd",
                        name=f"swd_{region}",
                        of=of,
                        view=view,
                        value=found.swd,
                        ci=Interval(found.swd, found.swd - 1.96 * sd, found.swd + 1.96 * sd),
                        null=Interval(found.floor, nan, nan),
                        ideal=0.0,
                        images=score.compared // max(1, len(score.views)),
                        note=f"x 1000; ci: {over}; null: reals of other patients",
                    )


def _levels_and_mean(part: Distance) -> Iterator[tuple[str, Distance | LevelDistance]]:
    yield from ((f"{level.height_px}x{level.width_px}", level) for level in part.levels)
    yield "mean", part


def _images(view: str, values: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for source in next(iter(values.values())):
        columns = {name: by_source[source] for name, by_source in values.items()}
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            yield {
                "source": source,
                "view": view,
                "number": number,
                **dict(zip(columns, map(float, row), strict=True)),
            }
