"""The records that a run's folder holds: frozen, versioned, read back as what they were written from.

A record that an earlier version wrote opens with defaults for what it does not know yet; what a later version
has added is passed over. Paths are `mammogan.run_folder`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mammogan.config.settings import first_problem
from mammogan.errors import DataError
from mammogan.files import write


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


class LevelDistance(BaseModel):
    """SWD x 1000 at one level of the Laplacian pyramid: mean and deviation over seeds, and reals to reals.

    `error` is the deviation over fresh draws of images, None where it is not known.
    """

    model_config = ConfigDict(frozen=True)
    height_px: int
    width_px: int
    swd: float
    sd: float
    floor: float
    error: float | None = None


class Distance(BaseModel):
    """SWD x 1000 in the mean over levels, and level by level, the finest first; as in `LevelDistance`."""

    model_config = ConfigDict(frozen=True)
    swd: float
    sd: float
    floor: float
    error: float | None = None
    levels: tuple[LevelDistance, ...] = ()


class RegionDistance(Distance):
    """The same over all views at once, and view by view."""

    views: dict[str, Distance] = {}


class ScoredImages(RegionDistance):
    """What distances say of a set of images beside the floors.

    Attributes
    ----------
    above_floor
        What checkpoints are chosen by: the mean over levels and views of SWD minus floor.
    above_floor_sd
        Its standard deviation from seed to seed of patches and directions, the images being the same.
    above_floor_error
        Its standard deviation over fresh draws of fakes and of reals; None in scores that do not know it.
    above_floor_halves
        What that comes from: half the difference of two halves of the images, split by split. Scores of the
        same reals share their halves, so that the error of a difference comes from the differences of these.
    grouped_by
        What reals stayed together by when they were split: ``image`` where patients are not known, and then
        the error is too small if patients have several images.
    breast
        The same for patches in the breast alone; None in scores that do not know it.
    """

    above_floor: float
    above_floor_sd: float
    above_floor_error: float | None = None
    above_floor_halves: tuple[float, ...] = ()
    grouped_by: Literal["patient", "image"] | None = None
    breast: RegionDistance | None = None

    @property
    def regions(self) -> dict[str, RegionDistance]:
        """The whole image, and the breast where it is known, by name."""
        return {"image": self} | ({"breast": self.breast} if self.breast else {})


class Score(Record, ScoredImages):
    """Distances of one checkpoint to the reals named `reals`; `compared` counts images."""

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
        yield from ((f"level_{level.height_px}", level.swd) for level in self.levels)
        parts: dict[str, Distance] = {view.lower(): part for view, part in self.views.items()}
        for name, part in (parts | ({"breast": self.breast} if self.breast else {})).items():
            yield from ((f"{name}/mean", part.swd), (f"{name}/floor", part.floor))


class Rival(BaseModel):
    """A checkpoint that was scored, in the numbers that decide; `views` are SWD minus floor."""

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


class Choice(Record, Rival):
    """The chosen checkpoint.

    Attributes
    ----------
    rule, tie_sd
        As the method has them.
    tie, ties
        Whether others tie with it, and all that do, it too, by images.
    lowest, second
        Images of the lowest, and of the best of those that don't tie; None if there is none.
    margin, margin_sd
        How much further off the second is than the lowest, and the same in deviations.
    """

    rule: str
    tie_sd: float
    stage: int
    tie: bool
    ties: tuple[int, ...]
    lowest: int
    second: int | None
    margin: float | None
    margin_sd: float | None
    rivals: tuple[Rival, ...]


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
    """One job, or one array, of a graph node: array index i runs task ``tasks[i]``."""

    node: str
    job_id: str
    tasks: tuple[int, ...]
    attempt: int
    scheduler: str
    time: str

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
    """One start of a task: the seconds (since 1970) of its begin, and of its end or when it was last seen."""

    node: str
    task: int
    job_id: str
    restart: int
    began: float
    seen: float
    ended: bool
    ranks: int
    gpus: int


class Rollback(BaseModel):
    """One time that a stage went back: `at` and `to` how many of its images."""

    model_config = ConfigDict(frozen=True)
    at: int
    to: int
