"""The reals that a stage's checkpoints are held against: gathered once a shard set, for all tasks and runs.

Their patches lie beside the shard set, for they are as confidential as it is, in a folder named by all that
they depend on: recipes and samples, resolution, numbers of images, seeds. Where nothing may be written there,
they lie in the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.config.settings import Tree
from mammogan.errors import RunFailedError
from mammogan.file_lock import turn
from mammogan.files import full_disk_explained, write
from mammogan.run_folder import RunFolder
from mammogan.schedule import Stage
from mammogan.steps import score_error, score_measures, swd_sets
from mammogan.steps.score_error import Differences, Groups
from mammogan.steps.score_measures import LooksOf, RealLooks
from mammogan.steps.swd_sets import AT_ONCE, Distances, Sets

if TYPE_CHECKING:
    import numpy as np

    from mammogan.data.shards.shard_reader import ImageReader, ShardSet

log = logging.getLogger(__name__)

FLOORS, HALVES, LOOKS = "floors.json", "halves.json", "looks.npz"
VERSION = 2
"""Counts up whenever the same images would give other patches, or what lies beside them is other."""


@dataclass(frozen=True)
class Reals:
    """Sets of validation reals, their distances to reals of other patients, and images by view.

    `groups` says who each image's patient is, or, where that is not `known`, that each is of its own;
    `floor_halves` are half the differences between halves of `floors`; `looks` are what measures beside the
    distance are taken from.
    """

    key: str
    sets: Sets
    floors: Distances
    counts: dict[int, int]
    groups: Groups
    known: bool
    floor_halves: Differences
    looks: RealLooks


def shared(folder: Path, run: Run, stage: Stage, shard_set: ShardSet, device: str = "cpu") -> Reals:
    """Give the reals of a stage of the run in `folder`; the first task gathers them, the others wait for it.

    Fakes are compared with validation reals alone. The floor is the distance of these to as many reals of
    training patients, who are others.

    Raises
    ------
    RunFailedError
        If no view has images in both splits.
    """
    validation, others = (
        shard_set.reader(stage.height_px, stage.width_px, split) for split in ("validation", "train")
    )
    counts = balanced(run.method.scoring.images, validation.views_N, others.views_N)
    key = _key(run, stage, counts)
    kept = _writable(Path(run.shards), folder) / f"{stage.height_px}x{stage.width_px}-{key}"
    while (found := _load(run, stage, kept, key, counts, device)) is None:
        with turn(kept.with_suffix(".lock"), kept) as mine:
            if mine:
                whose = _patients(shard_set, counts, (validation, others))
                _gather(run, stage, kept, counts, (validation, others), whose, device)
    return found


def balanced(images: int, *views: np.ndarray) -> dict[int, int]:
    """Say how many images of each view to compare: as many as every split has, at most an even share.

    Raises
    ------
    RunFailedError
        If that is none.
    """
    share = max(1, images // len(VIEWS))
    found = {v: min(share, *(int((views_N == v).sum()) for views_N in views)) for v in range(len(VIEWS))}
    found = {view: count for view, count in found.items() if count}
    if not found:
        raise RunFailedError(
            "Nothing can be scored: no view has images of both validation and training patients. Plan the "
            "shard set with a larger 'splits.validation'."
        )
    return found


def placed(views_N: np.ndarray, counts: dict[int, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Give each view with the positions of its first images."""
    for view, count in counts.items():
        yield view, (views_N == view).nonzero()[0][:count]


def _patients(
    shard_set: ShardSet, counts: dict[int, int], readers: tuple[ImageReader, ImageReader]
) -> tuple[Groups, Groups] | None:
    """Give the patients of both splits as numbers; None, with a warning, where they are not known."""
    import numpy as np

    from mammogan.data.shards.sample_facts import patients

    both: list[Groups] = []
    for split, reader in zip(("validation", "train"), readers, strict=True):
        positions = dict(placed(reader.views_N, counts))
        numbers = patients(shard_set, split, reader.keys(np.concatenate(list(positions.values()))))
        if numbers is None:
            log.warning(
                "who the reals' patients are stands in the shard set's private folder, which is not here; "
                "the error of a score takes each image for a patient of its own, and is too small if not"
            )
            return None
        ends = np.cumsum([len(of_view) for of_view in positions.values()])
        both.append(dict(zip(positions, np.split(np.array(numbers), ends[:-1]), strict=True)))
    return both[0], both[1]


def _key(run: Run, stage: Stage, counts: dict[int, int]) -> str:
    scoring = run.method.scoring
    depends_on = (
        VERSION,
        run.data_identity,
        (stage.height_px, stage.width_px),
        sorted(counts.items()),
        (run.method.method.seed, scoring.seeds),
        (scoring.patches_per_image, scoring.directions, scoring.repeats, scoring.splits),
        scoring.measured,
    )
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:16]


def _gather(
    run: Run,
    stage: Stage,
    folder: Path,
    counts: dict[int, int],
    readers: tuple[ImageReader, ImageReader],
    patients: tuple[Groups, Groups] | None,
    device: str,
) -> None:
    """Fill `folder`, whole or not at all; if another task was first, what it has left stays."""
    for left_over in folder.parent.glob(f".{folder.name}.*.tmp"):  # by an owner of the turn that died
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True, mode=0o700)
    try:
        both: list[Sets] = []
        looks: dict[str, LooksOf] = {}
        for name, reader in zip(("validation", "others"), readers, strict=True):
            sets = swd_sets.empty(run, stage, counts, temporary / name, device)
            looks[name], measured = {}, score_measures.measured(run, counts)
            for view, positions in placed(reader.views_N, counts):
                images = _read(reader, positions)
                swd_sets.add(sets, view, score_measures.looking(images, measured[view], looks[name], view))
            for one in sets.values():
                one.save()
            both.append(sets)
        floors = swd_sets.compare(*both)
        _save_looks(temporary / LOOKS, looks)
        write(temporary / HALVES, json.dumps(_halves(run, counts, both, patients)))
        shutil.rmtree(temporary / "others")  # whose distances are all that is asked for
        listed = [[foreground, view, values.tolist()] for (foreground, view), values in floors.items()]
        write(temporary / FLOORS, json.dumps(listed))
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _halves(
    run: Run, counts: dict[int, int], both: list[Sets], patients: tuple[Groups, Groups] | None
) -> Tree:
    """Give whose the images are, and the differences between halves of the floors, as JSON has them."""
    of_mine, of_others = patients or (score_error.ungrouped(counts),) * 2
    splits = (
        score_error.split(run, name, groups)
        for name, groups in (("validation", of_mine), ("others", of_others))
    )
    differences = score_error.differences(run, both[0], both[1], *splits)
    return {
        "known": patients is not None,
        "groups": [[view, groups_N.tolist()] for view, groups_N in of_mine.items()],
        "floors": [[view, found_SL.tolist()] for view, found_SL in differences.items()],
    }


def _load(
    run: Run, stage: Stage, folder: Path, key: str, counts: dict[int, int], device: str
) -> Reals | None:
    """Open what is there; what is damaged goes."""
    import numpy as np

    from mammogan.metrics import SlicedWasserstein

    if not folder.exists():
        return None
    try:
        listed = json.loads((folder / FLOORS).read_text(encoding="utf-8"))
        floors = {(foreground, view): np.array(values) for foreground, view, values in listed}
        halves = json.loads((folder / HALVES).read_text(encoding="utf-8"))
        groups, floor_halves = (
            {view: np.array(values) for view, values in halves[name]} for name in ("groups", "floors")
        )
        looks = _load_looks(folder / LOOKS)
        sets = {
            kind: SlicedWasserstein.load(swd_sets.set_folder(folder / "validation", *kind), device)
            for kind in swd_sets.empty(run, stage, counts)
        }
    except (OSError, ValueError, KeyError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return Reals(
        key,
        sets,
        floors,
        counts,
        groups,
        halves["known"],
        floor_halves,
        RealLooks(looks["validation"], groups, looks["others"]),
    )


def _save_looks(path: Path, looks: dict[str, LooksOf]) -> None:
    import numpy as np

    named: dict[str, Any] = {
        f"{split} {view} {name}": values
        for split, of_split in looks.items()
        for view, of_view in of_split.items()
        for name, values in of_view.items()
    }
    with full_disk_explained(path), path.open("wb") as stream:
        np.savez(stream, **named)


def _load_looks(path: Path) -> dict[str, LooksOf]:
    import numpy as np

    found: dict[str, LooksOf] = {"validation": {}, "others": {}}
    try:
        with np.load(path) as named:
            for key in named.files:
                split, view, name = key.split(" ")
                found[split].setdefault(int(view), {})[name] = named[key]
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"'{path}' is damaged") from error
    return found


def _read(reader: ImageReader, positions: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(positions), AT_ONCE):
        yield from reader.read(positions[first : first + AT_ONCE])


def _writable(shards: Path, run_folder: Path) -> Path:
    """Give the folder beside the shard set, or one in the run's if nothing can be made there."""
    beside = shards.with_name(f"{shards.name}-scoring")
    try:
        beside.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return RunFolder(run_folder).real_sets
    return beside if os.access(beside, os.W_OK) else RunFolder(run_folder).real_sets
