"""What a study fixed before anybody read: found beside its trials, and not to be changed afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mammogan.errors import ConfigError, DataError
from mammogan.study.analysis import equivalence
from mammogan.study.analysis.study_statistics import Design
from mammogan.study.analysis.trials import Trials

STUDY, TRIALS, EXPORT = "study.json", "trials.csv", "export"


def find_trials(source: Path) -> Path:
    """Return the table of trials, itself or in the folder that `source` is.

    Raises
    ------
    DataError
        If a folder has none.
    """
    if not source.is_dir():
        return source
    for folder in (source, source / EXPORT):
        if (folder / TRIALS).is_file():
            return folder / TRIALS
    raise DataError(
        f"'{source}' has no {TRIALS}: `mammogan study lock {source}`, then `mammogan study export {source} "
        f"{source / EXPORT}`, and analyse '{source}' again."
    )


def design_of(path: Path, trials: Trials, margin: float | None, pairs: int | None) -> Design:
    """Return the design of the study whose trials `path` holds.

    Its ``study.json`` lies beside the table or in the folder above; without one, what was asked for holds,
    and the page says so.

    Raises
    ------
    ConfigError
        If what is asked for differs from what the study fixed, or the margin is out of range.
    DataError
        If ``study.json`` is damaged, of another study, or a reader answered more pairs than there are.
    """
    fixed = _study(path, trials)
    for key, asked in (("margin", margin), ("pairs", pairs)):
        if asked is not None and fixed.get(key, asked) != asked:
            raise ConfigError(
                f"--{key} '{asked:g}' is not the study's: {STUDY} has '{fixed[key]:g}', fixed before the "
                "first participant. Leave it out; other margins are printed beside the result."
            )
    is_fixed = "margin" in fixed
    used = fixed["margin"] if is_fixed else equivalence.MARGIN if margin is None else margin
    where = f"'{STUDY}', key 'margin'" if is_fixed else "--margin"
    most = int(trials.answered.max())
    planned = fixed.get("pairs", pairs or most)
    if most > planned:
        reader = trials.readers[int(trials.answered.argmax())]
        raise DataError(
            f"'{path}': participant '{reader}' has {most} trials, and the study has {planned} pairs. "
            "Practice pairs don't belong into the table: export the study again."
        )
    return Design(equivalence.check(used, where), is_fixed, planned, fixed.get("filtered", False))


def _study(path: Path, trials: Trials) -> dict[str, Any]:
    """Read what the study fixed: margin, pairs and filter, as far as it has them."""
    places = [folder / STUDY for folder in (path.parent, path.parent.parent) if (folder / STUDY).is_file()]
    if not places:
        return {}
    try:
        tree = json.loads(places[0].read_text(encoding="utf-8"))
        kinds = {"margin": float, "pairs": int, "filtered": bool}
        study_id = tree.get("study_id", trials.study_id)
        found = {key: kind(tree[key]) for key, kind in kinds.items() if key in tree}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"'{places[0]}' is damaged: {error}. Take it from the folder of the study again."
        ) from None
    if study_id != trials.study_id:
        raise DataError(
            f"'{places[0]}' is of the study '{study_id}', and '{path}' of '{trials.study_id}'. Keep each "
            "study's export in a folder of its own."
        )
    return found
