"""`mammogan sample`: a pool of images in bulk, as shards, PNGs or DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.cli.model_options import (
    First,
    Labels,
    Seed,
    Truncation,
    View,
    asked_labels,
    asked_views,
    check_truncation,
    open_model,
    progress,
)
from mammogan.errors import ConfigError

FRAME_MM = 300.0
"""Height of the largest common detector: 1280 x 1024 pixels of its 300 mm x 240 mm are square."""


def sample(
    source: Annotated[Path, typer.Argument(metavar="MODEL", help="A run, or the folder of its model.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the pool: new, empty, or the same.")],
    images: Annotated[int, typer.Option(min=1, help="Images of each view.")] = 1000,
    view: View = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Put CC and MLO of each latent side by side.")
    ] = False,
    seed: Seed = None,
    first: First = 0,
    truncation: Truncation = 1.0,
    label: Labels = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="shards|png|dicom", help="Repeatable; shards without it."),
    ] = None,
    images_per_shard: Annotated[
        int, typer.Option(min=1, help="Also what is drawn again after a kill; multiples of 16 draw no more.")
    ] = 64,
    tasks: Annotated[int, typer.Option(min=1, help="Processes that make the pool, on any machines.")] = 1,
    task: Annotated[int, typer.Option(min=0, help="Which of them this is, from 0.")] = 0,
    laterality: Annotated[
        str, typer.Option(metavar="L|R", help="DICOM: the side; R turns images about.")
    ] = "L",
    pixel_mm: Annotated[
        float | None,
        typer.Option(help="DICOM: nominal size of a pixel; without it a frame is 300 mm high."),
    ] = None,
    watermark: Annotated[
        bool, typer.Option("--watermark", help="DICOM: draw SYNTHETIC into the pixels.")
    ] = False,
) -> None:
    """Draw a pool, the same to the byte however many tasks make it; the same command goes on with it."""
    from mammogan.config.settings import nearest
    from mammogan.data.synthetic.exports import FORMATS
    from mammogan.data.synthetic.synthetic_pool import DicomForm, Pool
    from mammogan.steps.fill_pool import fill
    from mammogan.train.export_model import WEIGHTS

    check_truncation(truncation)
    if task >= tasks:
        raise ConfigError(f"--task '{task}' is not below --tasks '{tasks}': tasks are counted from 0.")
    forms = tuple(name for name in FORMATS if name in (form or ["shards"]))
    for name in form or []:
        if name not in FORMATS:
            raise ConfigError(f"--format '{name}': there is no such format.{nearest(name, FORMATS)}")
    if laterality not in ("L", "R"):
        raise ConfigError(f"--laterality '{laterality}' is neither L nor R.")
    if pixel_mm is not None and not pixel_mm > 0:
        raise ConfigError(f"--pixel-mm '{pixel_mm:g}' is not above 0.")
    model, terms, about = open_model(source)
    shown, others = asked_views(model, view), asked_labels(model, label or [])
    if pairs and len(shown) < 2:
        raise ConfigError("--pairs makes each latent as CC and as MLO: leave out --view, or give 'both'.")
    if "dicom" in forms and shown[0][1] is None:
        raise ConfigError("--format 'dicom': a mammogram's DICOM names its view, and this model knows none.")
    height_px, width_px = model.size_px
    dicom = DicomForm(laterality=laterality, pixel_mm=pixel_mm or FRAME_MM / height_px, watermark=watermark)
    pool = Pool(
        checkpoint=about[WEIGHTS],
        seed=model.method.method.seed if seed is None else seed,
        views=tuple(name for name, _ in shown),
        first=first,
        images_per_view=images,
        truncation=truncation,
        labels=tuple(sorted(label or [])),
        pairs=pairs,
        height_px=height_px,
        width_px=width_px,
        formats=forms,
        images_per_shard=images_per_shard,
        dicom=dicom if "dicom" in forms else None,
    )
    share = sum(len(list(part.order)) for part in pool.share(task, tasks))
    with progress("images", share) as advance:
        filled = fill(out, pool, model, terms, others, task, tasks, lambda done, total: advance())
    rate = f", {filled.rate_s:.3g} images a second" if filled.drawn else ""
    typer.echo(f"{out}: {filled.drawn} of {pool.images} images drawn now{rate}; {_state(filled.whole)}")


def _state(whole: bool) -> str:
    return "the pool is whole" if whole else "other tasks have still to make their share"
