"""What a tracker is, and what it is given of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mammogan.file_lock import locked
from mammogan.run_folder import RunFolder


@dataclass(frozen=True)
class ModelPackage:
    """The chosen generator as a tracker's registry may hold and load it.

    Attributes
    ----------
    folder
        Its files.
    loader
        Module with MLflow's ``_load_pyfunc``, of the package in the folder `code`.
    inputs
        Names and MLflow types of what it takes.
    registered
        Name in the registry; not registered without one.
    code
        Folders and files that go with it, so that it loads where no MammoGAN is installed.
    packages
        What that code needs of others, pinned at the versions that are installed here.
    """

    folder: Path
    loader: str
    inputs: dict[str, str] = field(default_factory=dict)
    registered: str = ""
    code: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSheet:
    """The shard set that a run learns from, without any path: its name, identity and recipes."""

    name: str
    digest: str
    recipes: tuple[str, ...] = ()


@dataclass
class RunSummary:
    """What trackers are given of one run, beside its journals.

    Attributes
    ----------
    name, params, tags, scores, files
        Of the run as a whole; scores are (name, value, step), files such as the report.
    stages
        Source of a journal to the name of its stage.
    finished, ended
        Sources of the journals that have ended, and whether the whole run has.
    model
        The chosen generator, once there is one.
    experiment
        Under which the tracker puts the run; empty leaves it to the tracker.
    description, source, scheduled
        What the run is in a few words, the command that began it, and whether a scheduler runs it.
    dataset
        What it learns from.
    """

    name: str
    params: dict[str, str]
    tags: dict[str, str]
    stages: dict[str, str]
    finished: set[str] = field(default_factory=set)
    ended: bool = False
    scores: list[tuple[str, float, int]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    model: ModelPackage | None = None
    experiment: str = ""
    description: str = ""
    source: str = ""
    scheduled: bool = False
    dataset: DataSheet | None = None


class Tracker(Protocol):
    """Keeps what runs log where people compare them; made anew for each time that it is brought up to date.

    Parameters
    ----------
    run
        The run's folder, with its journals.
    uri
        The site's ``tracking.uri``; empty leaves the place to the tracker.

    A tracker may have ``notices``: what whoever looks at the run should know of the newest `sync`.
    """

    def __init__(self, run: Path, uri: str) -> None: ...

    @property
    def destination(self) -> str:
        """Where it keeps things, for messages."""
        ...

    def last_sync(self) -> float:
        """Return the time (seconds since the epoch) when it was last up to date, 0 if never."""
        ...

    def sync(self, summary: RunSummary) -> None:
        """Log what is new of the journals and of `summary`, and nothing twice; raises whatever goes wrong."""
        ...


@contextmanager
def one_at_a_time(run: Path) -> Iterator[None]:
    """Let one job of a run log to trackers at a time."""
    RunFolder(run).tracking.mkdir(parents=True, exist_ok=True)
    with locked(RunFolder(run).tracking / "lock", wait=True, take_silent=True):
        yield


def modified(path: Path) -> float:
    """Return when a file was last written (seconds since the epoch), 0 if there is none."""
    return path.stat().st_mtime if path.exists() else 0.0
