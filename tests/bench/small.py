"""Say how far a run has come: SWD above the floor at a stage's start and end, and sheets of its samples.

    python -m tests.bench.small RUN SHEETS [--stage 4] [--columns 12 --rows 3]

At its start a stage draws what the stage before draws, its pixels doubled: that is a fade of 0. Both are
scored like any checkpoint, against the same held-out reals, with the same seeds.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.files import write
from mammogan.pages.image_sheet import png, sheet
from mammogan.schedule import Stage
from mammogan.steps import swd_sets
from mammogan.steps.real_sets import shared
from mammogan.train import accelerator, checkpoint
from mammogan.train.build_networks import load_average
from mammogan.train.draw_images import Model


def averages(
    folder: Path, run: Run, stage: Stage, shards: ShardSet, *models: tuple[Model, int]
) -> list[float]:
    """Give how far each model, whose pixels are repeated so many times, is above the floor."""
    reals, found = shared(folder, run, stage, shards), []
    for model, repeats in models:
        fakes = swd_sets.empty(run, stage, reals.counts)
        for view, count in reals.counts.items():
            drawn = model.draw(run.method.method.seed, range(count), view)
            swd_sets.add(fakes, view, (image.repeat(repeats, 0).repeat(repeats, 1) for image in drawn))
        distances = swd_sets.compare(fakes, reals.sets)
        found.append(swd_sets.score(distances, reals.floors, next(iter(fakes.values())).levels).above_floor)
    return found


def main() -> None:
    """Print the table and write the sheets."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("sheets", type=Path)
    arguments.add_argument("--stage", type=int, help="without it, every stage that has ended")
    arguments.add_argument("--columns", type=int, default=12, help="of a sheet")
    arguments.add_argument("--rows", type=int, default=3)
    options = arguments.parse_args()
    torch.set_grad_enabled(False)
    accelerator.prepare(here := accelerator.local_device())
    run = Run.load(options.run)
    stages, shards = schedule.plan(run.method), ShardSet(Path(run.shards))
    say = Console(width=120, highlight=False, markup=False).print
    say("| stage | SWD above the floor at its start | at its end | share |\n|---|---|---|---|")
    for before, stage in pairwise(stages):
        end = checkpoint.at(options.run, stage.index, stage.images)
        if options.stage not in (None, stage.index) or not end.folder.exists():
            continue
        first = checkpoint.at(options.run, before.index, before.images)
        size = stage.height_px, stage.width_px
        reader = shards.reader(*size, "validation")
        old, new = (load_average(run.method, source, here) for source in (first, end))
        start, finish = averages(options.run, run, stage, shards, (old, 2), (new, 1))
        say(f"| {size[0]}x{size[1]} | {start:.1f} | {finish:.1f} | {finish / start:.2f} |")
        for view, name in enumerate(VIEWS):
            count = options.columns * options.rows
            fakes = list(new.draw(run.method.method.seed, range(count), view))
            reals = list(reader.read(np.flatnonzero(reader.views_N == view)[:count]))
            for kind, images in (("synthetic", fakes), ("real", reals)):
                write(
                    options.sheets / f"{size[0]}-{kind}-{name.lower()}.png",
                    png(sheet(images, options.columns)),
                )


if __name__ == "__main__":
    main()
