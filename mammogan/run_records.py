"""The records that a run's folder holds: frozen, versioned, read back as what they were written from.

A record that an earlier version wrote opens with defaults for what it does not know yet; what a later version
has added is passed over. Paths are `mammogan.run_folder`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mammogan.config.settings import first_problem
from mammogan.errors import DataError
from mammogan.files import write
from mammogan.scored_images import Distance, ScoredImages


class Record(BaseModel):
    """A file of JSON, or a line of one."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_version: int = 1

    @classmethod
    def read(cls, path: Path, remedy: str) -> Self:
        """Read the record at `path`; `remedy` says what to do if it is not there or damaged.

        Raises
        ------
        DataError
            With file, key and value, and the remedy.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"'{path}' is missing. {remedy}") from None
        except ValidationError as error:
            raise DataError(f"'{path}' is damaged ({first_problem(error)}). {remedy}") from None

    @classmethod
    def read_if_sound(cls, path: Path) -> Self | None:
        """Read the record at `path`; None where it is not there or not whole."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """Read a record from one line; None where a kill or a power cut has torn it."""
        try:
            return cls.model_validate_json(line)
        except ValidationError:
            return None

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        write(path, self.model_dump_json(indent=1))

    @property
    def line(self) -> str:
        """The record as one line, with a blank after each colon: batch scripts look for ``"done": 5``."""
        return json.dumps(self.model_dump(mode="json"))


class TrackingState(Record):
    """Why trackers are behind, by name, and the last things that they found changed on their side."""

    failures: dict[str, str] = {}
    notices: tuple[str, ...] = ()


class Score(Record, ScoredImages):
    """Distances of one checkpoint to the reals named `reals`; `compared` counts images.

    Version `CURRENT` has the errors over fresh draws, and the measures beside the distance.
    """

    CURRENT: ClassVar[int] = 2
    stage: int
    height_px: int
    width_px: int
    images: int
    kimg: float
    compared: int
    checkpoint: str
    reals: str

    def points(self) -> Iterator[tuple[str, float]]:
        """Return the values of the score that are drawn as curves, by name."""
        for name in ("swd", "sd", "floor", "above_floor", "above_floor_sd"):
            yield "mean" if name == "swd" else name, getattr(self, name)
        if self.above_floor_error is not None:
            yield "above_floor_error", self.above_floor_error
        yield from ((f"level_{level.height_px}", level.swd) for level in self.levels)
        parts: dict[str, Distance] = {view.lower(): part for view, part in self.views.items()}
        for name, part in (parts | ({"breast": self.breast} if self.breast else {})).items():
            yield from ((f"{name}/mean", part.swd), (f"{name}/floor", part.floor))
        for name, measure in self.measures.items():
            values = {"": measure.value, "/null": measure.null, "/error": measure.error}
            values |= {f"/{octave}": value for octave, value in measure.octaves.items()}
            yield from ((f"{name}{of}", value) for of, value in values.items() if value is not None)


class Rival(BaseModel):
    """A checkpoint that was scored, in the numbers that decide; `views` are SWD minus floor.

    `off` is by measure how far the images are from alike to reals; `barred` says why it can't be chosen.
    """

    model_config = ConfigDict(frozen=True)
    images: int
    kimg: float
    checkpoint: str
    above_floor: float
    above_floor_sd: float
    swd: float
    sd: float
    floor: float
    views: dict[str, float] = {}
    above_floor_error: float | None = None
    off: dict[str, float | None] = {}
    barred: str = ""


class Decision(BaseModel):
    """What one measure did: the lowest of those that were left, by images, and who is left, who ties with it.

    `passed_over` says why the measure could not decide.
    """

    model_config = ConfigDict(frozen=True)
    measure: str
    lowest: int | None
    left: tuple[int, ...]
    passed_over: str = ""


class Choice(Record, Rival):
    """The chosen checkpoint.

    Attributes
    ----------
    rule, tie_sd, measures
        As the method has them.
    tie, ties
        Whether others tie with the lowest by the first measure, and all that do, by images.
    lowest, second
        Images of the lowest by it, and of the best of those that don't tie; None if there is none.
    margin, margin_sd
        How much further off the second is than the lowest, and the same in deviations of the difference.
    decisions (since version `CURRENT`)
        What each measure did, in order; those that come after the choice was made are not there.
    reason, notices
        Why it was chosen, in words, and what one should know of it.
    """

    CURRENT: ClassVar[int] = 2
    rule: str
    measures: tuple[str, ...] = ("swd",)
    tie_sd: float
    stage: int
    tie: bool
    ties: tuple[int, ...]
    lowest: int
    second: int | None
    margin: float | None
    margin_sd: float | None
    rivals: tuple[Rival, ...]
    decisions: tuple[Decision, ...] = ()
    reason: str = ""
    notices: tuple[str, ...] = ()


class MadeFile(BaseModel):
    """A file that a task made."""

    model_config = ConfigDict(frozen=True)
    bytes: int
    sha256: str


class Marker(Record):
    """That a task is done: the files that it made, by path below the run's folder."""

    files: dict[str, MadeFile]


class Progress(Record):
    """`done` of `total`, counted in `unit`, with a note; `rate_s` is units a second, 0 if not known yet.

    `left_s` is the time that a node's tasks need at their present pace, those that wait included.
    """

    done: int
    total: int
    unit: str
    note: str = ""
    rate_s: float = 0.0
    left_s: float | None = None


class Submission(Record):
    """One job, or one array, of a graph node: array index i runs task ``tasks[i]``.

    Whose it is: `user` who submitted it, on a machine or to a Slurm `cluster`; empty in old ledgers.
    """

    node: str
    job_id: str
    tasks: tuple[int, ...]
    attempt: int
    scheduler: str
    time: str
    user: str = ""
    cluster: str = ""

    def task_id(self, task: int) -> str:
        """Name the job of `task` as the scheduler does: ``12``, or ``12_3`` in an array."""
        return self.job_id if len(self.tasks) == 1 else f"{self.job_id}_{self.tasks.index(task)}"


class Failure(Record):
    """Why a task failed and with which exit code, by the word of the rank that failed first."""

    rank: int
    code: int
    message: str


class Attempt(Record):
    """One failed attempt: job, images it had come to, exit code, first node, and the task's own words."""

    job_id: str
    at: int
    code: int
    time: str
    node: str
    message: str

    @property
    def cause(self) -> str:
        """Why it failed, as far as anybody knows."""
        return self.message or f"exit code {self.code}"


class Span(Record):
    """One start of a task: the seconds (since 1970) of its begin, and of its end or when it was last seen.

    `cpus` and `gpus` are those that it held; 0 CPUs stand in spans of versions that did not note them.
    """

    node: str
    task: int
    job_id: str
    restart: int
    began: float
    seen: float
    ended: bool
    ranks: int
    gpus: int
    cpus: int = 0


class Rollback(BaseModel):
    """One time that a stage went back: `at` and `to` how many of its images."""

    model_config = ConfigDict(frozen=True)
    at: int
    to: int


Model = TypeVar("Model", bound=BaseModel)


def read_list(model: type[Model], path: Path, remedy: str) -> list[Model]:
    """Read a file that holds a list of `model`; `remedy` says what to do if it is damaged.

    Raises
    ------
    DataError
        With file, place and reason, and the remedy.
    """
    try:
        return TypeAdapter(list[model]).validate_json(path.read_bytes())  # type: ignore[valid-type]
    except ValidationError as error:
        raise DataError(f"'{path}' is damaged ({first_problem(error)}). {remedy}") from None


def dump_list(records: Sequence[BaseModel]) -> str:
    """Return the text of a file that `read_list` reads."""
    return json.dumps([record.model_dump(mode="json") for record in records], indent=1)
