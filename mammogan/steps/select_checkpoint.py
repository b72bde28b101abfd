"""The choice of one checkpoint of the last stage, by the rule that the method declares."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.errors import RunFailedError
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Choice, Distance, Rival, Score
from mammogan.schedule import Stage
from mammogan.steps.licence_notice import TERMS, terms
from mammogan.steps.step import Step


class SelectCheckpoint(Step):
    """Choose among the scored checkpoints of the last stage."""

    def __call__(self, run: Run) -> list[Path]:
        """Write the choice, its margin and its rivals, all scores in a table, and the chosen generator.

        Of each stage's checkpoints the best and the last outlive this, and those that are not scored.
        """
        from mammogan.train import checkpoint
        from mammogan.train.checkpoint_retention import Retention
        from mammogan.train.export_model import export

        last = schedule.plan(run.method)[-1]
        rivals = scores(self.folder, last)
        if not rivals:
            raise RunFailedError(
                f"Nothing to choose from: no checkpoint of stage {last.index} is scored. Run the step "
                f"'score-{last.index}' first."
            )
        choice = lowest_swd(rivals, run.method.selection.tie_sd)
        folder = RunFolder(self.folder)
        choice.write(folder.choice)
        stages = schedule.plan(run.method)
        write(folder.scores_table, table([score for stage in stages for score in scores(self.folder, stage)]))
        chosen = checkpoint.at(self.folder, choice.stage, choice.images)
        notice = folder.model / TERMS
        files = export(chosen, run.method, folder.model)
        write(notice, terms(run))
        for stage in stages:
            ranked = sorted(scores(self.folder, stage), key=lambda score: score.above_floor)
            unscored = set(stage.checkpoints()) - {score.images for score in ranked}
            best = {score.images for score in ranked[: run.method.scoring.kept]}
            if stage == last:
                best.add(choice.images)
            Retention(self.folder, stage.index).once_scored(stage.images, best | unscored)
        return [folder.choice, folder.scores_table, *files, notice]


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


def lowest_swd(rivals: list[Score], tie_sd: float) -> Choice:
    """Choose the lowest SWD above the floor, in the mean over levels and both views; of a tie the latest.

    Whoever is within `tie_sd` seed-to-seed deviations (the larger of the two) of the lowest ties with it.
    """
    best = min(rivals, key=lambda score: score.above_floor)

    def sd(score: Score) -> float:
        return max(score.above_floor_sd, best.above_floor_sd)

    def behind(score: Score) -> float:
        return score.above_floor - best.above_floor

    ties = [score for score in rivals if behind(score) <= tie_sd * sd(score)]
    chosen = max(ties, key=lambda score: score.images)
    beaten = [score for score in rivals if score not in ties]
    second = min(beaten, key=behind) if beaten else None
    return Choice(
        **dict(_rival(chosen)),
        rule="lowest-swd",
        tie_sd=tie_sd,
        stage=chosen.stage,
        tie=len(ties) > 1,
        ties=tuple(sorted(score.images for score in ties)),
        lowest=best.images,
        second=second.images if second else None,
        margin=behind(second) if second else None,
        margin_sd=behind(second) / sd(second) if second and sd(second) else None,
        rivals=tuple(map(_rival, rivals)),
    )


def _rival(score: Score) -> Rival:
    views = {view: part.swd - part.floor for view, part in score.views.items()}
    return Rival(**score.model_dump(include=set(Rival.model_fields) - {"views"}), views=views)


def table(found: list[Score]) -> str:
    """Return scores as CSV: a line for each checkpoint, part of its images (all or a view) and region.

    Levels are named by their place, 0 the finest, for lines of all stages share the columns.
    """
    most = max((len(score.levels) for score in found), default=0)
    levels = [f"{name}_level_{n}" for n in range(most) for name in ("swd", "floor")]
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    of = ("stage", "height_px", "width_px", "images", "kimg", "compared")
    lines.writerow([*of, "region", "view", "swd", "sd", "floor", *levels])
    for score in found:
        for region, whole in score.regions.items():
            parts: dict[str, Distance] = {"all": whole, **whole.views}
            for view, part in parts.items():
                values = [number for level in part.levels for number in (level.swd, level.floor)]
                numbers = [part.swd, part.sd, part.floor, *values]
                lines.writerow([*(getattr(score, name) for name in of), region, view, *numbers])
    return stream.getvalue()


def read_choice(run: Path) -> Choice:
    """Read what was chosen.

    Raises
    ------
    DataError
        If nothing was, or the record is damaged.
    """
    return Choice.read(RunFolder(run).choice, f"`mammogan step select --run {run}` writes it.")
