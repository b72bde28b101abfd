"""Reading the table of a study's trials, checked before anything is computed of it.

Shape suffixes: N trials, R readers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.config.settings import nearest
from mammogan.errors import DataError
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.analysis.trials import LEFT, RIGHT, Trials
from mammogan.study.questions import QUESTIONS, Question

Row = Mapping[str, str]
YES, NO = ("1", "yes", "true"), ("0", "no", "false")
PARTICIPANTS = "participants.csv"


def read(path: Path) -> Trials:
    """Read the table of trials that `mammogan study export` writes.

    Raises
    ------
    DataError
        With file, line and column, if the table is missing, empty, of a study that is not locked yet, holds
        shares in place of answers, a trial twice, or contradicts itself.
    """
    rows = _rows(path)
    _check_locked(path, rows)
    _check_once(path, rows)
    cells = _Cells(path, rows)
    study_id, version = (cells.one(column) for column in ("study_id", "study_version"))
    readers = tuple(dict.fromkeys(row["participant"] for row in rows))
    trials = Trials(
        study_id=study_id,
        study_version=version,
        readers=readers,
        answers={
            name: cells.answers(question, readers)
            for name, question in QUESTIONS.items()
            if name in rows[0]  # tables of before a question was asked have no column of it
        },
        reader_N=_numbered(row["participant"] for row in rows),
        real_N=_numbered(row["real_id"] for row in rows),
        synth_N=_numbered(row["synth_id"] for row in rows),
        trial_N=np.array([int(value) for value in cells.numbers("trial")]),
        view_N=np.array([row["view"] for row in rows]),
        synth_left_N=cells.left("synth_side"),
        answer_left_N=cells.left("answer_side"),
        confidence_N=cells.numbers("confidence"),
        rt_ms_N=cells.numbers("rt_ms"),
        zoom_N=np.fmax(cells.numbers("max_zoom_l"), cells.numbers("max_zoom_r")),
        wl_changes_N=cells.numbers("wl_changes"),
        hidden_ms_N=cells.numbers("hidden_ms"),
    )
    _check_score(path, trials, cells.column(_flag, "correct", ", ".join((*YES, *NO))))
    return trials


def silent(path: Path, trials: Trials) -> int | None:
    """Count who was enrolled and answered nothing that is scored, by the export's participants.csv.

    None if no such table lies beside the trials.

    Raises
    ------
    DataError
        If it has no column of participants, or lacks one who answered.
    """
    beside = path.with_name(PARTICIPANTS)
    if not beside.is_file():
        return None
    with beside.open(encoding="utf-8-sig", newline="") as stream:
        enrolled = {row.get("participant") or "" for row in csv.DictReader(stream)}
    if strange := set(trials.readers) - enrolled:
        raise DataError(
            f"'{beside}' does not list the participant '{min(strange)}' of '{path}': both come from one "
            "export, so export the study again."
        )
    return len(enrolled - set(trials.readers))


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            columns, rows = list(table.fieldnames or ()), list(table)
    except FileNotFoundError:
        raise DataError(
            f"There is no table of trials '{path}': `mammogan study export STUDY OUT` writes OUT/trials.csv."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is no CSV table in UTF-8: {error}.") from None
    if not columns:
        raise DataError(f"'{path}' is empty: it has not even a line of column names. Export the study again.")
    missing = [column for column in trial_columns() if column not in (*columns, *QUESTIONS)]
    if missing:
        known = nearest(missing[0], columns)
        raise DataError(
            f"'{path}' has no column '{missing[0]}'{_others(missing)}; the table that is read has one row a "
            f"scored trial, as `mammogan study export` writes it. Found in the file:{known}"
        )
    if not rows:
        raise DataError(f"'{path}' has column names and no trial: nobody has answered yet.")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise DataError(f"'{path}', line {number}: not as many values as column names ({len(columns)}).")
    return [{column: value.strip() for column, value in row.items()} for row in rows]


def _others(missing: Sequence[str]) -> str:
    return f" (nor {', '.join(missing[1:])})" if len(missing) > 1 else ""


def _check_locked(path: Path, rows: Sequence[Row]) -> None:
    if not any(row["correct"] for row in rows):
        raise DataError(
            f"'{path}': the column 'correct' is empty, so the study was not locked when this was exported. "
            "How well readers do is not shown while others still read: `mammogan study lock STUDY` once "
            "all have finished, export again, then analyse."
        )


def _check_once(path: Path, rows: Sequence[Row]) -> None:
    lines: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, 2):
        key = row["participant"], row["trial"]
        if not row["participant"]:
            raise DataError(f"'{path}', line {number}: the column 'participant' is empty.")
        if key in lines:
            raise DataError(
                f"'{path}': lines {lines[key]} and {number} are both trial '{key[1]}' of participant "
                f"'{key[0]}'. Each trial counts once: export again, or join packs by `mammogan study merge`."
            )
        lines[key] = number


def _check_score(path: Path, trials: Trials, correct_N: NDArray[np.float64]) -> None:
    wrong_N = (correct_N != trials.correct).nonzero()[0]
    if len(wrong_N):
        raise DataError(
            f"'{path}', line {wrong_N[0] + 2}: 'correct' contradicts 'synth_side' and 'answer_side' "
            f"({len(wrong_N)} lines in all). The table was edited by hand: export the study again."
        )


class _Cells:
    """The cells of a table, read column by column; a wrong one is named by file, line and column."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        self._path, self._rows = path, rows

    def column(self, read: Callable[[str], float], name: str, allowed: str) -> NDArray[Any]:
        values = []
        for number, row in enumerate(self._rows, 2):
            try:
                values.append(read(row[name]))
            except ValueError:
                hint = ""
                if name == "correct" and _is_share(row[name]):
                    hint = " This looks like a share of right answers: give the trials, not their mean."
                raise DataError(
                    f"'{self._path}', line {number}: '{name}' is '{row[name]}'; allowed: {allowed}.{hint}"
                ) from None
        return np.array(values)

    def numbers(self, name: str) -> NDArray[np.float64]:
        required = name == "trial"
        allowed = "a whole number from 1" if required else "a number from 0, or nothing"
        return self.column(lambda text: _number(text, required), name, allowed)

    def left(self, name: str) -> NDArray[np.bool_]:
        left_N: NDArray[np.bool_] = self.column((LEFT, RIGHT).index, name, f"{LEFT}, {RIGHT}") == 0
        return left_N

    def one(self, name: str) -> str:
        found = list(dict.fromkeys(row[name] for row in self._rows))
        if len(found) > 1:
            raise DataError(
                f"'{self._path}' mixes studies: '{name}' is '{found[0]}' and '{found[1]}'. Analyse one at a "
                "time; packs of one study are joined by `mammogan study merge`."
            )
        return found[0]

    def answers(self, question: Question, readers: Sequence[str]) -> tuple[str, ...]:
        """Return each reader's answer to a question, which stands in all rows of the reader alike."""
        found: dict[str, str] = {}
        for row in self._rows:
            reader, text = row["participant"], row[question.name]
            if found.setdefault(reader, text) != text:
                raise DataError(
                    f"'{self._path}': participant '{reader}' has two values of '{question.name}', "
                    f"'{found[reader]}' and '{text}'. A reader answers the questions once: export the study "
                    "again."
                )
        return tuple(self._answer(question, reader, found[reader]) for reader in readers)

    def _answer(self, question: Question, reader: str, text: str) -> str:
        try:
            return question.from_table(text)
        except ValueError:
            raise DataError(
                f"'{self._path}', participant '{reader}': '{question.name}' is '{text}'; allowed: "
                f"{question.allowed}, or nothing."
            ) from None


def _flag(text: str) -> float:
    if text.lower() not in (*YES, *NO):
        raise ValueError(text)
    return float(text.lower() in YES)


def _number(text: str, required: bool) -> float:
    if not text and not required:
        return float("nan")
    value = float(text)
    if not np.isfinite(value) or value < required or (required and value % 1):
        raise ValueError(text)
    return value


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) <= 100
    except ValueError:
        return False


def _numbered(names: Iterable[str]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
