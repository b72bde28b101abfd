"""The pool of synthetic images: 16-bit PNGs, and the same in WebDataset shards."""

from __future__ import annotations

from pathlib import Path

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.run_folder import RunFolder
from mammogan.steps.licence_notice import terms
from mammogan.steps.select_checkpoint import read_choice
from mammogan.steps.task import Task

TOLD_EVERY = 64


def sample_pool(task: Task, run: Run) -> list[Path]:
    """Draw, and write ``png/<view>-<i>.png`` and shards, as `mammogan sample` does."""
    from mammogan.data.synthetic.synthetic_pool import Pool
    from mammogan.steps.fill_pool import fill
    from mammogan.train import accelerator, checkpoint
    from mammogan.train.build_networks import load_average

    accelerator.prepare(device := accelerator.local_device())
    choice = read_choice(task.folder)
    stage = schedule.plan(run.method)[choice.stage]
    source = checkpoint.at(task.folder, stage.index, choice.images)
    pool = Pool(
        checkpoint=source.digest,
        seed=run.method.method.seed,
        views=VIEWS,
        images_per_view=run.method.sampling.images_per_view,
        height_px=stage.height_px,
        width_px=stage.width_px,
        formats=("shards", "png"),
    )

    def advance(done: int, total: int) -> None:
        if done % TOLD_EVERY == 0 or done == total:
            task.progress(done, total)

    model = load_average(run.method, source, device)
    filled = fill(
        RunFolder(task.folder).samples,
        pool,
        model,
        terms(run),
        task=task.number,
        tasks=task.node.tasks,
        on_progress=advance,
    )
    return list(filled.files)
