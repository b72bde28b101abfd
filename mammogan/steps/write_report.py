"""The report page of a run, from what its steps have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.schedule import Stage
from mammogan.steps.select_checkpoint import read_choice, scores
from mammogan.steps.task import Task

if TYPE_CHECKING:
    import numpy as np

    from mammogan.data.shards.shard_reader import ImageReader, ShardSet
    from mammogan.report.quality_section import Quality

SHOWN_PER_VIEW = 64


def write_report(task: Task, run: Run) -> list[Path]:
    """Write ``report/index.html``, and each sheet as a picture of its own beside it."""
    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.report import report_page
    from mammogan.steps.tracking_sync import sync_trackers

    stages, choice = schedule.plan(run.method), read_choice(task.folder)
    last, shard_set = stages[-1], ShardSet(Path(run.shards))
    shown = min(SHOWN_PER_VIEW, run.method.sampling.images_per_view)
    synthetic = [[_synthetic(task, view, number) for number in range(shown)] for view in VIEWS]
    real = [_real(task, shard_set, last, view) for view in range(len(VIEWS))]
    abouts = [recipe.dataset for recipe in run.recipes]
    counts: Counter[str] = Counter()
    for count in shard_set.manifest.counts:
        counts[count.split] += count.images
    findings = report_page.Findings(
        title=f"MammoGAN: {run.method.method.name} at {last.height_px} x {last.width_px}",
        facts=[
            ("run", run.run_id),
            ("method", run.method.method.summary),
            ("data", ", ".join(about.name for about in abouts)),
            ("training images", f"{counts['train']:,}"),
            ("validation images", f"{counts['validation']:,}"),
            ("stages", str(len(stages))),
            ("real images shown", f"{(last.images_before + last.images) / 1000:,.1f} thousand"),
            ("synthetic images drawn", f"{run.method.sampling.images_per_view:,} of each view"),
        ],
        views=VIEWS,
        real=real,
        synthetic=synthetic,
        losses=[(f"{s.height_px}x{s.width_px}", _ticks(task, s)) for s in stages],
        scores=[scores(task.folder, stage) for stage in stages],
        choice=choice,
        conditions=[about.terms for about in abouts],
        quality=_quality(task, shard_set.reader(last.height_px, last.width_px, "train")),
    )
    folder = RunFolder(task.folder).report
    files = [folder / "index.html"]
    write(files[0], report_page.page(findings))
    for name, *kinds in zip(VIEWS, real, synthetic, strict=True):
        for kind, images in zip(("real", "synthetic"), report_page.side_by_side(*kinds), strict=True):
            if images:
                files.append(folder / f"{kind}-{name.lower()}.png")
                write(files[-1], report_page.contact(images))
    sync_trackers(task.folder, run, finished=task.node.name)
    return files


def _quality(task: Task, training: ImageReader) -> Quality | None:
    """Read what was measured, with the pictures of its galleries; nothing if it was not."""
    import numpy as np

    from mammogan.report.quality_section import Quality
    from mammogan.steps import report_measures

    folder = RunFolder(task.folder).report
    if not (folder / report_measures.JSON).exists():
        return None
    tree = report_measures.read(folder)
    closest, duplicates = tree["gallery"]["closest"], tree["gallery"]["duplicates"]
    return Quality(
        tree,
        report_measures.read_images(folder),
        [(p, _drawn(task, p, "number"), training.read(np.array([p["other"]]))[0]) for p in closest],
        [(p, _drawn(task, p, "number"), _drawn(task, p, "other")) for p in duplicates],
    )


def _drawn(task: Task, pair: Mapping[str, Any], which: str) -> np.ndarray:
    return _synthetic(task, pair["view"], pair[which])


def _ticks(task: Task, stage: Stage) -> list[dict[str, float]]:
    from mammogan import tracking

    entries = tracking.read(task.folder, f"train-{stage.index}")
    return [entry["metrics"] for entry in entries if "metrics" in entry]


def _synthetic(task: Task, view: str, number: int) -> np.ndarray:
    from mammogan.data.synthetic.synthetic_pool import image_name, read_image

    return read_image(RunFolder(task.folder).samples / "png" / f"{image_name(view, number)}.png")


def _real(task: Task, shard_set: ShardSet, stage: Stage, view: int) -> list[np.ndarray]:
    """Take validation images of a view: the page says that training never saw these patients."""
    reader = shard_set.reader(stage.height_px, stage.width_px, "validation")
    return list(reader.read((reader.views_N == view).nonzero()[0][:SHOWN_PER_VIEW]))
