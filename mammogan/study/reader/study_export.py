"""A study as tables: a row a scored answer, a row a participant, a codebook, and what images were shown.

Which picture was which, and so what was right, stands in no cell before the study is locked.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mammogan.errors import ConfigError
from mammogan.files import write
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.questions import QUESTIONS
from mammogan.study.reader.answer_tables import is_locked, participant_state
from mammogan.study.reader.study_folder import STUDY, SUMS, Study
from mammogan.study.web.answer_store import Snapshot

Row = Mapping[str, object]


def participant_columns() -> dict[str, str]:
    """Return the columns of participants.csv in their order, with what they mean."""
    trials = trial_columns()
    return {
        "participant": trials["participant"],
        "number": "Place in the order of enrolment, which decides the plan.",
        "enrolled": "When consent was given, in UTC.",
        **{name: trials[name] for name in QUESTIONS},
        "sees_dark": "Saw level 13 of 255 on black: yes, no, unsure.",
        "sees_light": "Saw level 242 of 255 on white: yes, no, unsure.",
        "answered": "Scored answers.",
        "complete": "1 if every scored pair was answered.",
        "plan_hash": trials["plan_hash"],
    }


def tables(study: Study, snapshot: Snapshot) -> dict[str, str]:
    """Return trials.csv, participants.csv and codebook.md as texts."""
    return {
        "trials.csv": _csv(trial_columns(), _trials(study, snapshot)),
        "participants.csv": _csv(participant_columns(), _participants(snapshot)),
        "codebook.md": codebook(),
    }


def write_tables(folder: Path, out: Path, study: Study, snapshot: Snapshot) -> None:
    """Write the tables into `out`, with the study's own file and checksums beside them.

    Raises
    ------
    ConfigError
        If `out` holds something else than an earlier export.
    """
    made = tables(study, snapshot)
    others = {path.name for path in out.iterdir()} - {*made, STUDY, SUMS} if out.exists() else set()
    if others:
        raise ConfigError(f"'{out}' holds '{min(others)}', which no export wrote: give another folder.")
    for name, text in made.items():
        write(out / name, text)
    for name in (STUDY, SUMS):
        shutil.copyfile(folder / name, out / name)


def codebook() -> str:
    """Return what every column means, as Markdown."""
    parts = ["# Codebook", "", "An empty cell is unknown, or not exported before the study is locked."]
    for name, columns in {"trials.csv": trial_columns(), "participants.csv": participant_columns()}.items():
        parts += ["", f"## {name}", "", "| column | meaning |", "|---|---|"]
        parts += [f"| `{column}` | {meaning} |" for column, meaning in columns.items()]
    return "\n".join([*parts, ""])


def _trials(study: Study, snapshot: Snapshot) -> Iterator[Row]:
    unblinded, columns = is_locked(snapshot), trial_columns()
    for row in snapshot.rows("SELECT participant FROM participants ORDER BY number, participant"):
        state = participant_state(snapshot, row["participant"])
        assert state is not None
        given = snapshot.rows(
            "SELECT * FROM answers WHERE participant = ? ORDER BY trial", row["participant"]
        )
        for answer in given:
            pair = state.plan.at(answer["trial"])
            if pair is None or pair.trial < 0:
                continue
            hidden = {
                "real_id": pair.real,
                "synth_id": pair.synthetic,
                "model_id": study.model_id,
                "synth_side": pair.synthetic_side,
                "correct": int(pair.synthetic_side == answer["side"]),
            }
            yield {
                **{name: answer[name] for name in answer.keys() if name in columns},  # noqa: SIM118 - a Row
                **{name: state.row[name] for name in QUESTIONS},
                "study_id": study.study_id,
                "study_version": study.study_version,
                "plan_hash": state.row["plan_hash"],
                "view": pair.view,
                "answer_side": answer["side"],
                "t_utc": answer["t"],
                **(hidden if unblinded else {}),
            }


def _participants(snapshot: Snapshot) -> Iterator[Row]:
    for row in snapshot.rows("SELECT participant FROM participants ORDER BY number, participant"):
        state = participant_state(snapshot, row["participant"])
        assert state is not None
        columns = state.row.keys()
        known = {name: state.row[name] for name in participant_columns() if name in columns}
        answered = sum(trial > 0 for trial in state.answered)
        yield {**known, "answered": answered, "complete": int(state.page == "thanks")}


def _csv(columns: Sequence[str] | Mapping[str, str], rows: Iterator[Row]) -> str:
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(columns), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return stream.getvalue()
