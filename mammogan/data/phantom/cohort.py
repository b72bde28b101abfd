"""Write a cohort of phantoms into a folder, in parallel, so that asking again finishes or finds it.

`truth.json` in the root says from the first moment on which cohort it is, and holds the truth about each file
when all are there. Meanwhile a finished patient's truth waits in `.parts/`, where a killed run goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Any

import cv2

from mammogan import interruption, machine
from mammogan.data.phantom.defects import DEFECTS, make_defect
from mammogan.data.phantom.phantom_files import make_patient
from mammogan.errors import DataError

FORMAT = 2  # raise it when the same arguments give other bytes
TRUTH = "truth.json"
PARTS = ".parts"


@dataclass(frozen=True)
class Recipe:
    """Which cohort it is: all that decides about its bytes."""

    seed: int
    patients: int
    defects: bool
    frame_scale: float
    format: int = FORMAT

    @property
    def units(self) -> list[tuple[str, int]]:
        """What is made and resumed as a whole: a patient, or a row of the table of defects."""
        clean = [("patient", i) for i in range(self.patients)]
        return clean + [("defect", k) for k in range(len(DEFECTS) if self.defects else 0)]


@dataclass(frozen=True)
class Cohort:
    """What lies in the folder now."""

    directory: Path
    recipe: Recipe
    files: int
    written: int  # by this call
    size_gb: float


def make_cohort(
    directory: Path,
    patients: int,
    seed: int,
    *,
    defects: bool = False,
    workers: int | None = None,
    frame_scale: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Write the cohort; the files depend on seed, patients, defects and frame_scale alone.

    That is so on one kind of processor: on others NumPy and OpenCV take other instructions, which round about
    one pixel in a thousand to the next level.

    Parameters
    ----------
    workers
        Processes, one per core without a word; 1 stays in this one.
    frame_scale
        Size of the detectors' frames relative to real ones, for quick tests.
    on_progress
        Called with patients done and patients in all.

    Raises
    ------
    DataError
        The folder holds something else, or an argument is out of range.
    """
    recipe = _check(Recipe(seed, patients, defects, frame_scale))
    directory = Path(directory)
    known = _open(directory, recipe)
    todo = [unit for unit in recipe.units if not _present(directory, known.get(_name(unit)))]
    done = len(recipe.units) - len(todo)
    if on_progress:
        on_progress(done, len(recipe.units))
    written = 0
    if todo:
        _write(directory / TRUTH, directory, _table(recipe, None))
        work = partial(_make_unit, directory, recipe)
        for unit, records in _spread(work, todo, min(workers or machine.cores(), len(todo))):
            known[_name(unit)] = records
            written += len(records)
            done += 1
            if on_progress:
                on_progress(done, len(recipe.units))
    files = [record for unit in recipe.units for record in known[_name(unit)]]
    if todo or (directory / PARTS).exists():
        _write(directory / TRUTH, directory, _table(recipe, files))
        shutil.rmtree(directory / PARTS, ignore_errors=True)
    size = sum((directory / record["path"]).stat().st_size for record in files)
    return Cohort(directory, recipe, len(files), written, size / 1e9)


def _check(recipe: Recipe) -> Recipe:
    """Refuse what cannot be made."""
    for name, value, low, high in (
        ("patients", recipe.patients, 1, 999_999),
        ("seed", recipe.seed, 0, 2**31 - 1),
        ("frame scale", recipe.frame_scale, 0.05, 1),
    ):
        if not low <= value <= high:
            raise DataError(f"{name} '{value}' of the phantom cohort is out of range: give {low} to {high}")
    return recipe


def _open(directory: Path, recipe: Recipe) -> dict[str, list[dict[str, Any]]]:
    """Read what earlier calls made, by unit; refuse a folder that holds anything else."""
    if directory.exists() and not directory.is_dir():
        raise DataError(f"'{directory}' is a file: name a folder, new or empty, for the phantom cohort")
    # A kill before truth.json leaves the parts' folder alone: as good as empty.
    if not directory.exists() or all(entry.name == PARTS for entry in directory.iterdir()):
        return {}
    try:
        table = json.loads((directory / TRUTH).read_text(encoding="utf-8"))
        there = table["cohort"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"folder '{directory}' is not empty and holds no phantom cohort ('{TRUTH}' is missing or "
            "unreadable): name a new or an empty folder"
        ) from None
    if there != asdict(recipe):
        named = ", ".join(
            f"{key} {there.get(key)!r} there, {value!r} asked"
            for key, value in asdict(recipe).items()
            if there.get(key) != value
        )
        raise DataError(
            f"folder '{directory}' holds another phantom cohort ({named}): "
            "name another folder, or delete this one"
        )
    known: dict[str, list[dict[str, Any]]] = {}
    for record in table["files"] or ():
        known.setdefault(record["unit"], []).append(record)
    for part in (directory / PARTS).glob("*.json"):
        known[part.stem] = json.loads(part.read_text(encoding="utf-8"))
    return known


def _present(directory: Path, records: list[dict[str, Any]] | None) -> bool:
    return bool(records) and all((directory / record["path"]).is_file() for record in records or ())


def _name(unit: tuple[str, int]) -> str:
    return f"{unit[0]}-{unit[1]:06d}"


def _make_unit(directory: Path, recipe: Recipe, unit: tuple[str, int]) -> list[dict[str, Any]]:
    """Make and write one patient's files; return the truth about them."""
    make = make_patient if unit[0] == "patient" else make_defect
    records = []
    for made in make(recipe.seed, unit[1], recipe.frame_scale):
        _write(directory / made.path, directory, made.data)
        records.append({"path": made.path, "unit": _name(unit), **made.truth})
    _write(directory / PARTS / f"{_name(unit)}.json", directory, json.dumps(records).encode())
    return records


def _spread(
    work: Callable[[tuple[str, int]], list[dict[str, Any]]], units: list[tuple[str, int]], workers: int
) -> Iterator[tuple[tuple[str, int], list[dict[str, Any]]]]:
    """Yield each unit with its truth, in order, made by as many processes as asked."""
    if workers == 1:
        yield from ((unit, work(unit)) for unit in units)
        return
    # Each process keeps to one core.
    with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        resource_tracker.ensure_running()  # would unblock the signal, were it started later
        with interruption.left_to_parent():
            made = pool.map(work, units)
        yield from zip(units, made, strict=True)


def _table(recipe: Recipe, files: Iterable[dict[str, Any]] | None) -> bytes:
    """Write truth.json; `files` is null until all are there."""
    listed = None if files is None else list(files)
    return (json.dumps({"cohort": asdict(recipe), "files": listed}, indent=1) + "\n").encode()


def _write(path: Path, directory: Path, data: bytes) -> None:
    """Write a file whole or not at all; a kill leaves litter in the parts' folder alone, to go at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (directory / PARTS).mkdir(exist_ok=True)
    temporary = directory / PARTS / (path.relative_to(directory).as_posix().replace("/", "~") + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
