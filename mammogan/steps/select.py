"""The choice of one checkpoint of the last stage, by the rule that the method declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mammogan import schedule
from mammogan.config.run import Run
from mammogan.errors import RunFailedError
from mammogan.files import write
from mammogan.schedule import Stage
from mammogan.steps.score import score_path
from mammogan.steps.step import Step
from mammogan.steps.terms import TERMS, terms

FILE_NAME = "selection.json"


def model_folder(run: Path) -> Path:
    """Where the chosen generator is exported to."""
    return run / "model"


class SelectCheckpoint(Step):
    """Choose among the scored checkpoints of the last stage."""

    def __call__(self, run: Run) -> list[Path]:
        """Write the choice, its margin and its rivals, and the chosen generator on its own.

        Of each stage's checkpoints the best and the last outlive this.
        """
        from mammogan.train import checkpoint
        from mammogan.train.export import export

        last = schedule.plan(run.method)[-1]
        rivals = scores(self.folder, last)
        if not rivals:
            raise RunFailedError(
                f"Nothing to choose from: no checkpoint of stage {last.index} is scored. Run the step "
                f"'score-{last.index}' first."
            )
        choice = lowest_swd(rivals, run.method.selection.tie_sd)
        path = self.folder / FILE_NAME
        write(path, json.dumps(choice, indent=1))
        chosen = checkpoint.at(self.folder, choice["stage"], choice["images"])
        notice = model_folder(self.folder) / TERMS
        files = export(chosen, run.method, model_folder(self.folder))
        write(notice, terms(run))
        for stage in schedule.plan(run.method):
            ranked = sorted(scores(self.folder, stage), key=lambda score: score["swd"])
            best = {score["images"] for score in ranked[: run.method.scoring.kept]}
            if stage == last:
                best.add(choice["images"])
            checkpoint.keep(self.folder, stage, best)
        return [path, *files, notice]


def scores(run: Path, stage: Stage) -> list[dict[str, Any]]:
    """Read the scores of a stage's checkpoints that are there, the oldest first."""
    paths = [score_path(run, stage.index, images) for images in stage.checkpoints()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def lowest_swd(rivals: list[dict[str, Any]], tie_sd: float) -> dict[str, Any]:
    """Choose the lowest mean SWD; who is within `tie_sd` seed-to-seed deviations of it ties, the latest wins.

    The floor is the same for all rivals of a stage, so that subtracting it changes no order.
    """
    best = min(rivals, key=lambda score: score["swd"])
    ties = [score for score in rivals if score["swd"] - best["swd"] <= tie_sd * max(score["sd"], best["sd"])]
    chosen = max(ties, key=lambda score: score["images"])
    return {
        "rule": "lowest-swd",
        "stage": chosen["stage"],
        "images": chosen["images"],
        "kimg": chosen["kimg"],
        "checkpoint": chosen["checkpoint"],
        "swd": chosen["swd"],
        "above_floor": chosen["swd"] - chosen["floor"],
        "ties": [score["images"] for score in ties],
        "rivals": [{key: score[key] for key in ("images", "kimg", "swd", "sd", "floor")} for score in rivals],
    }


def read_choice(run: Path) -> dict[str, Any]:
    """Read what was chosen."""
    choice: dict[str, Any] = json.loads((run / FILE_NAME).read_text(encoding="utf-8"))
    return choice
