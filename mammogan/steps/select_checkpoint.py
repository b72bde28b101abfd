"""The choice of one checkpoint of the last stage, by the rule that the method declares."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.errors import RunFailedError
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Choice, Score
from mammogan.schedule import Stage
from mammogan.scored_images import Distance
from mammogan.steps.choose_checkpoint import barred, choose
from mammogan.steps.licence_notice import TERMS, terms
from mammogan.steps.task import Task

log = logging.getLogger(__name__)


def select_checkpoint(task: Task, run: Run) -> list[Path]:
    """Write the choice, its margin and its rivals, all scores in a table, and the chosen generator.

    Of each stage's checkpoints the best and the last outlive this, and those that are not scored.
    """
    from mammogan.train import checkpoint
    from mammogan.train.checkpoint_retention import Retention
    from mammogan.train.export_model import export

    last = schedule.plan(run.method)[-1]
    rivals = scores(task.folder, last)
    if not rivals:
        raise RunFailedError(
            f"Nothing to choose from: no checkpoint of stage {last.index} is scored. Run the step "
            f"'score-{last.index}' first."
        )
    choice = choose(rivals, run.method.selection)
    for notice in choice.notices:
        log.warning("%s", notice)
    folder = RunFolder(task.folder)
    choice.write(folder.choice)
    stages = schedule.plan(run.method)
    write(folder.scores_table, table([score for stage in stages for score in scores(task.folder, stage)]))
    chosen = checkpoint.at(task.folder, choice.stage, choice.images)
    licence = folder.model / TERMS
    files = export(chosen, run.method, folder.model)
    write(licence, terms(run))
    for stage in stages:
        ranked = sorted(
            scores(task.folder, stage),
            key=lambda score: (bool(barred(score, run.method.selection)), score.above_floor),
        )
        unscored = set(stage.checkpoints()) - {score.images for score in ranked}
        best = {score.images for score in ranked[: run.method.scoring.kept]}
        if stage == last:
            best.add(choice.images)
        Retention(task.folder, stage.index).once_scored(stage.images, best | unscored)
    return [folder.choice, folder.scores_table, *files, licence]


def scores(run: Path, stage: Stage) -> list[Score]:
    """Read the scores of a stage's checkpoints that are there, the oldest first.

    Raises
    ------
    DataError
        If one is damaged.
    """
    paths = [RunFolder(run).score(stage.index, images) for images in stage.checkpoints()]
    remedy = "Remove it, and launch the run again: the checkpoint is then scored anew."
    return [Score.read(path, remedy) for path in paths if path.exists()]


def table(found: list[Score]) -> str:
    """Return scores as CSV: a line for each checkpoint, part of its images (all or a view) and region.

    Levels are named by their place, 0 the finest, for lines of all stages share the columns.
    """
    most = max((len(score.levels) for score in found), default=0)
    levels = [f"{name}_level_{n}" for n in range(most) for name in ("swd", "floor")]
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    of = ("stage", "height_px", "width_px", "images", "kimg", "compared")
    measures = list(dict.fromkeys(name for score in found for name in score.measures))
    more = ["error", "above_floor", "above_floor_error", *measures]
    more += [f"{name}_{of}" for name in measures for of in ("null", "error")]
    lines.writerow([*of, "region", "view", "swd", "sd", "floor", *levels, *more])
    for score in found:
        for region, whole in score.regions.items():
            parts: dict[str, Distance] = {"all": whole, **whole.views}
            for view, part in parts.items():
                values: list[float | None] = [
                    number for level in part.levels for number in (level.swd, level.floor)
                ]
                values += [None] * (len(levels) - len(values))
                numbers = [part.swd, part.sd, part.floor, *values, part.error]
                numbers += _beside(score, region, view, measures)
                lines.writerow([*(getattr(score, name) for name in of), region, view, *numbers])
    return stream.getvalue()


def _beside(score: Score, region: str, view: str, names: list[str]) -> list[float | None]:
    """Return what stands beside the distance of a part of the images; the breast alone has no such thing."""
    if region != "image":
        return [None] * (2 + 3 * len(names))
    found = [score.measures.get(name) for name in names]
    if view != "all":
        part = score.views[view]
        values = [measure.views.get(view) if measure else None for measure in found]
        return [part.swd - part.floor, None, *values, *[None] * (2 * len(names))]
    values = [measure.value if measure else None for measure in found]
    values += [number for one in found for number in ((one.null, one.error) if one else (None, None))]
    return [score.above_floor, score.above_floor_error, *values]


def read_choice(run: Path) -> Choice:
    """Read what was chosen.

    Raises
    ------
    DataError
        If nothing was, or the record is damaged.
    """
    return Choice.read(RunFolder(run).choice, f"`mammogan step {run} select` writes it.")
