"""Measuring the images of the report, synthetic and real, one at a time at full size: an array of tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.config.run_config import Run
from mammogan.steps import feature_parts
from mammogan.steps.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mammogan.metrics.feature_extractor import UserNetwork
    from mammogan.steps.comparison_sets import Part, Subjects

TOLD_EVERY = 16


def assess_images(task: Task, run: Run) -> list[Path]:
    """Write a file a part into ``assess``; parts that are there and whole are left as they are."""
    from mammogan.steps.comparison_sets import Subjects

    def advance(done: int, total: int) -> None:
        if done % TOLD_EVERY == 0 or done == total:
            task.progress(done, total)

    return assess(Subjects(task.folder, run), task.number, task.node.tasks, advance)


def assess(
    subjects: Subjects,
    task: int = 0,
    tasks: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Measure the share of `task` of `tasks`; the files are the same to the byte however many there are.

    Nothing is held but one image, or pair, and what was measured in its part: 1 MB.
    """
    from mammogan.metrics.feature_extractor import UserNetwork

    network = UserNetwork(subjects.weights, subjects.size_px) if subjects.weights else None
    mine = subjects.share(task, tasks)
    total, done = sum(len(part.numbers) for part in mine), 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    for part in mine:
        path = subjects.path(part)
        if feature_parts.is_there(path, subjects.key):
            for _ in part.numbers:
                advance()
            continue
        rows = (
            _images(subjects, part, network, advance)
            if part.kind == "images"
            else _pairs(subjects, part, advance)
        )
        feature_parts.save(path, subjects.key, rows)
    return [subjects.path(part) for part in mine]


def _images(
    subjects: Subjects, part: Part, network: UserNetwork | None, advance: Callable[[], None]
) -> feature_parts.Arrays:
    from mammogan.metrics.image_features import PLANTED, look, plant_copies

    planted: list[dict[str, Any]] = []

    def rows() -> Iterator[dict[str, Any]]:
        images = subjects.images(part.source, part.view, part.numbers)
        for number, image_HW in zip(part.numbers, images, strict=True):
            yield look(image_HW, oblique=part.view == "MLO", network=network)
            if part.source == "train" and number < PLANTED:
                planted.append(plant_copies(image_HW, number))
            advance()

    found = feature_parts.stacked(rows())
    return found | feature_parts.stacked(planted)


def _pairs(subjects: Subjects, part: Part, advance: Callable[[], None]) -> feature_parts.Arrays:
    """Compare pairs by MS-SSIM."""
    import numpy as np

    from mammogan.metrics import ms_ssim

    pairs = subjects.pairs(part.source, part.view)[part.numbers.start : part.numbers.stop]
    positions, reader = subjects.positions(part.source, part.view), subjects.readers[part.source]
    values = []
    for pair in pairs:
        a_HW, b_HW = reader.read(positions[pair])
        values.append(ms_ssim(a_HW[None], b_HW[None])[0])
        advance()
    return {"pairs": pairs, "ms_ssim": np.array(values)}
