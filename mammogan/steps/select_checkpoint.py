"""The choice of one checkpoint of the last stage, by the rule that the method declares."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.errors import RunFailedError
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.schedule import Stage
from mammogan.steps.licence_notice import TERMS, terms
from mammogan.steps.step import Step

FILE_NAME = "selection.json"
TABLE = "scores.csv"


def model_folder(run: Path) -> Path:
    """Where the chosen generator is exported to."""
    return run / "model"


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
        path, listed = self.folder / FILE_NAME, self.folder / TABLE
        write(path, json.dumps(choice, indent=1))
        stages = schedule.plan(run.method)
        write(listed, table([score for stage in stages for score in scores(self.folder, stage)]))
        chosen = checkpoint.at(self.folder, choice["stage"], choice["images"])
        notice = model_folder(self.folder) / TERMS
        files = export(chosen, run.method, model_folder(self.folder))
        write(notice, terms(run))
        for stage in stages:
            ranked = sorted(scores(self.folder, stage), key=lambda score: score["above_floor"])
            unscored = set(stage.checkpoints()) - {score["images"] for score in ranked}
            best = {score["images"] for score in ranked[: run.method.scoring.kept]}
            if stage == last:
                best.add(choice["images"])
            Retention(self.folder, stage.index).once_scored(stage.images, best | unscored)
        return [path, listed, *files, notice]


def scores(run: Path, stage: Stage) -> list[dict[str, Any]]:
    """Read the scores of a stage's checkpoints that are there, the oldest first."""
    paths = [RunFolder(run).score(stage.index, images) for images in stage.checkpoints()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def lowest_swd(rivals: list[dict[str, Any]], tie_sd: float) -> dict[str, Any]:
    """Choose the lowest SWD above the floor, in the mean over levels and both views; of a tie the latest.

    Whoever is within `tie_sd` seed-to-seed deviations (the larger of the two) of the lowest ties with it.
    `margin` is how much further off the best of those is that don't tie, None if there is none, and
    `margin_sd` the same in deviations, None also if no seed differs from another.
    """
    best = min(rivals, key=lambda score: score["above_floor"])

    def sd(score: dict[str, Any]) -> float:
        return float(max(score["above_floor_sd"], best["above_floor_sd"]))

    def behind(score: dict[str, Any]) -> float:
        return float(score["above_floor"] - best["above_floor"])

    ties = [score for score in rivals if behind(score) <= tie_sd * sd(score)]
    chosen = max(ties, key=lambda score: score["images"])
    beaten = [score for score in rivals if score not in ties]
    second = min(beaten, key=behind) if beaten else None
    said = ("images", "kimg", "checkpoint", "above_floor", "above_floor_sd", "swd", "sd", "floor")
    return {
        "rule": "lowest-swd",
        "tie_sd": tie_sd,
        "stage": chosen["stage"],
        **{name: chosen[name] for name in said},
        "tie": len(ties) > 1,
        "ties": sorted(score["images"] for score in ties),
        "lowest": best["images"],
        "second": second["images"] if second else None,
        "margin": behind(second) if second else None,
        "margin_sd": behind(second) / sd(second) if second and sd(second) else None,
        "rivals": [{name: score[name] for name in said} | {"views": _views(score)} for score in rivals],
    }


def _views(score: dict[str, Any]) -> dict[str, float]:
    return {view: part["swd"] - part["floor"] for view, part in score.get("views", {}).items()}


def table(found: list[dict[str, Any]]) -> str:
    """List scores as CSV: a line for each checkpoint, part of its images (all or a view) and region.

    Levels are named by their place, 0 the finest, for lines of all stages share the columns.
    """
    most = max((len(score["levels"]) for score in found), default=0)
    levels = [f"{name}_level_{n}" for n in range(most) for name in ("swd", "floor")]
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    of = ("stage", "height_px", "width_px", "images", "kimg", "compared")
    lines.writerow([*of, "region", "view", "swd", "sd", "floor", *levels])
    for score in found:
        for region, whole in (("image", score), ("breast", score.get("breast"))):
            for view, part in {"all": whole, **whole["views"]}.items() if whole else ():
                values = [level[name] for level in part["levels"] for name in ("swd", "floor")]
                numbers = [part["swd"], part["sd"], part["floor"], *values]
                lines.writerow([*(score[name] for name in of), region, view, *numbers])
    return stream.getvalue()


def read_choice(run: Path) -> dict[str, Any]:
    """Read what was chosen."""
    choice: dict[str, Any] = json.loads((run / FILE_NAME).read_text(encoding="utf-8"))
    return choice
