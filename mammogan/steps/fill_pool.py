"""Filling a pool with a model's images: what the command and the array step have in common."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.config.label_fields import VIEWS
from mammogan.files import write
from mammogan.steps.licence_notice import TERMS

if TYPE_CHECKING:
    from mammogan.data.synthetic.synthetic_pool import Image, Part, Pool
    from mammogan.train.draw_images import Model


@dataclass(frozen=True)
class Filled:
    """What a task has left: all its files, the images it drew just now and how fast, and if all is there.

    `rate_s` is images a second from the first drawn to the last written.
    """

    files: tuple[Path, ...]
    drawn: int
    rate_s: float
    whole: bool


def fill(
    folder: Path,
    pool: Pool,
    model: Model,
    terms: str,
    others: Mapping[str, int] | None = None,
    task: int = 0,
    tasks: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Filled:
    """Draw the share of `task` of `tasks` in `pool`, but for the parts that are there and undamaged.

    Whatever the number of tasks, their order, and how often they were killed, the pool is the same to the
    byte: an image is a function of (checkpoint, seed, number, view), a part of its images, and no file of a
    time. Only ``rates`` tells how fast each task was.

    Raises
    ------
    ConfigError
        If the folder holds another pool, or something else.
    """
    from mammogan.data.synthetic import synthetic_pool
    from mammogan.data.synthetic.pool_writer import sweep, write_parts

    synthetic_pool.claim(folder, pool)
    write(folder / TERMS, terms)
    mine = pool.share(task, tasks)
    missing = [part for part in mine if synthetic_pool.built(folder, part) is None]
    sweep(folder, missing)
    total = sum(len(list(part.order)) for part in mine)
    to_draw = sum(len(list(part.order)) for part in missing)
    written = total - to_draw

    def on_image() -> None:
        nonlocal written
        written += 1
        on_progress(written, total)

    begin = time.monotonic()
    if missing:
        write_parts(folder, pool, _drawn(pool, model, missing, others or {}), on_image)
    seconds = time.monotonic() - begin
    rate_s = to_draw / seconds if to_draw else 0.0
    if missing:
        facts = {"task": task, "tasks": tasks, "images": to_draw, "seconds": seconds, "images_s": rate_s}
        write(folder / synthetic_pool.RATES / f"{task:05d}-of-{tasks:05d}.json", json.dumps(facts, indent=1))
    whole = synthetic_pool.finish(folder, pool)
    records = [record for part in mine if (record := synthetic_pool.built(folder, part, whole=False))]
    names = [*(f"{synthetic_pool.PARTS}/{record.name}.json" for record in records)]
    names += [name for record in records for name in record.files]
    files = (folder / synthetic_pool.POOL, folder / TERMS, *(folder / name for name in names))
    return Filled(files, to_draw, rate_s, whole)


def _drawn(
    pool: Pool, model: Model, parts: list[Part], others: Mapping[str, int]
) -> Iterator[tuple[Part, Image]]:
    """Draw the images of `parts` in order."""
    from mammogan.data.synthetic.synthetic_pool import Image

    for part in parts:
        streams = [
            model.draw(pool.seed, part.numbers, _number(view), pool.truncation, others) for view in part.views
        ]
        for number, pictures in zip(part.numbers, zip(*streams, strict=True), strict=True):
            for view, image_HW in zip(part.views, pictures, strict=True):
                yield part, Image(view, number, image_HW)


def _number(view: str) -> int | None:
    return VIEWS.index(view) if view in VIEWS else None
