"""`mammogan draw` and `video`: images, pairs of views and latent-space videos of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.model_options import (
    First,
    Labels,
    Seed,
    Truncation,
    View,
    asked_labels,
    asked_views,
    check_new,
    check_truncation,
    open_model,
    progress,
)
from mammogan.errors import ConfigError, DataError
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mammogan.schedule import Stage

SHEET_IMAGES, SHEET_PX = 64, 160
PAIR_GAP_PX = 8
"""Between the pairs of a sheet: more than within one."""
TRAINING_FPS, FPS, SECONDS = 10.0, 25.0, 10.0


def draw(
    source: Annotated[Path, typer.Argument(metavar="MODEL", help="A run, or the folder of its model.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the images, new or empty.")],
    images: Annotated[int, typer.Option(min=1, help="Images of each view.")] = 16,
    view: View = None,
    seed: Seed = None,
    first: First = 0,
    truncation: Truncation = 1.0,
    label: Labels = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Show CC beside MLO of each latent.")] = False,
) -> None:
    """Draw 16-bit PNGs, the same as the pool's of these numbers, and a sheet of the first of them."""
    from mammogan.data.store.image_encoding import encode_png
    from mammogan.files import replacing_folder, write
    from mammogan.pages.image_sheet import png
    from mammogan.report.video import doublings, rescaled
    from mammogan.steps.licence_notice import TERMS

    check_new(out)
    check_truncation(truncation)
    model, terms, about = open_model(source)
    shown, others = asked_views(model, view), asked_labels(model, label or [])
    if pairs and len(shown) < 2:
        raise ConfigError("--pairs shows each latent as CC and as MLO: leave out --view, or give 'both'.")
    seed = model.method.method.seed if seed is None else seed
    tiles: list[list[NDArray[np.uint16]]] = []
    with replacing_folder(out) as folder, progress("images", images * len(shown)) as advance:
        for name, number in shown:
            tiles.append([])
            numbers = range(first, first + images)
            drawn = model.draw(seed, numbers, number, truncation, others)
            for i, image_HW in zip(numbers, drawn, strict=True):
                write(folder / f"{name.lower()}-{i:07d}.png", encode_png(image_HW))
                if i < first + SHEET_IMAGES:
                    tiles[-1].append(rescaled(image_HW, doublings(len(image_HW), SHEET_PX)))
                advance()
        write(folder / "sheet.png", png(_sheet(tiles, pairs)))
        settings = {"seed": seed, "first": first, "count": images, "truncation": truncation}
        facts = {**about, **settings, "views": [name for name, _ in shown], "labels": label or []}
        write(folder / "drawn.json", json.dumps(facts, indent=1))
        write(folder / TERMS, terms)
    typer.echo(f"{out}: {images * len(shown)} images of {' and '.join(name for name, _ in shown)}; sheet.png")


def video(
    source: Annotated[Path, typer.Argument(metavar="MODEL", help="A run, or the folder of its model.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The video: a name in .mp4, .gif, or .png (animated).")
    ],
    training: Annotated[
        bool, typer.Option("--training", help="Show how the run has learned, from fixed latents.")
    ] = False,
    view: View = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="Length; without it 10, or a frame a tick with --training."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=1, max=120, help="Frames a second; 25, or 10 with --training.")
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(
            min=0, max=3600, help="Seconds over which images keep their looks; 1, less in short videos."
        ),
    ] = None,
    seed: Seed = None,
    truncation: Annotated[float | None, typer.Option(help="As for draw; 1 without it.")] = None,
    label: Labels = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Latents above each other; 1 without it.")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Latents side by side; 1 without it.")] = None,
    height: Annotated[
        int | None,
        typer.Option(min=16, help="Largest height of an image in the video, pixels doubled or halved."),
    ] = None,
) -> None:
    """Render a latent-space video, each latent as CC and MLO, that ends where it began; or of a training."""
    from mammogan.files import write
    from mammogan.report import video as videos

    fps = fps or (TRAINING_FPS if training else FPS)
    videos.check(out, fps)
    if training:
        own = {"view": view, "seed": seed, "truncation": truncation, "label": label, "rows": rows}
        own |= {"columns": columns, "smoothing": smoothing}
        if given := [f"--{name}" for name, value in own.items() if value not in (None, [])]:
            raise ConfigError(f"--training shows the sheets that the run's ticks left: leave out {given[0]}.")
        total, frames, terms = _training_frames(source, height or videos.HEIGHT_PX, seconds, fps)
    else:
        check_truncation(truncation := 1.0 if truncation is None else truncation)
        model, terms, _ = open_model(source)
        shown, others = asked_views(model, view), asked_labels(model, label or [])
        seconds = seconds or SECONDS
        total = max(1, round(seconds * fps))
        sigma = (min(1.0, seconds / 8) if smoothing is None else smoothing) * fps
        seed = model.method.method.seed if seed is None else seed
        paths = model.walk(seed, (rows or 1) * (columns or 1), total, sigma)
        numbers = range(paths.shape[1])
        labels = [model.labels(seed, numbers, number, others) for _, number in shown]
        views = [model.follow(seed, paths, labels_NF, truncation) for labels_NF in labels]
        frames = videos.side_by_side(views, columns or 1, height)
    with progress("frames", total) as advance:
        videos.write_video(out, _counted(frames, advance), fps)
    write(out.with_suffix(".TERMS.txt"), terms)
    typer.echo(f"{out}: {total} frames, {total / fps:.1f} s, {out.stat().st_size / 1e6:.1f} MB")


def _training_frames(
    folder: Path, height: int, seconds: float | None, fps: float
) -> tuple[int, Iterator[NDArray[np.uint8]], str]:
    """Find the sheets of all ticks in order; give the number of frames, the frames, and the terms."""
    from mammogan import schedule, tracking
    from mammogan.config.run_config import Run
    from mammogan.report.video import captioned, doublings, read_frame, rescaled
    from mammogan.steps.licence_notice import terms

    run = Run.load(folder)
    sheets = [
        (entry["step"], stage, RunFolder(folder).tracking / entry["picture"])
        for stage in schedule.plan(run.method)
        for entry in tracking.read(folder, f"train-{stage.index}")
        if Path(entry.get("picture", "")).name.startswith("samples-")
    ]
    if not sheets:
        raise DataError(f"The run '{folder}' has drawn no sheets yet: each stage's first tick draws one.")
    sheets.sort(key=lambda sheet: (sheet[1].index, sheet[0]))
    total = max(1, round(seconds * fps)) if seconds else len(sheets)
    shown = (sheets[frame * len(sheets) // total] for frame in range(total))
    frames = (
        captioned(rescaled(read_frame(path), doublings(stage.height_px, height)), _caption(stage, step))
        for step, stage, path in shown
    )
    return total, frames, terms(run)


def _caption(stage: Stage, step: int) -> str:
    fade = stage.fade(step - stage.images_before)
    text = f"stage {stage.index}: {stage.height_px} x {stage.width_px}    {step / 1000:.1f} kimg"
    return text + (f"    fading in: {fade:.0%}" if fade < 1 else "")


def _sheet(tiles: list[list[NDArray[np.uint16]]], pairs: bool) -> NDArray[np.uint16]:
    """Lay out the views of each latent side by side if `pairs`, else whole rows of one view after another."""
    import numpy as np

    from mammogan.pages.image_sheet import WHITE, columns_for, sheet, side_by_side

    if pairs:
        latents = [side_by_side(latent) for latent in zip(*tiles, strict=True)]
        return sheet(latents, columns_for(len(latents), latents[0].shape), gap_px=PAIR_GAP_PX)
    columns = columns_for(len(tiles[0]), tiles[0][0].shape, blocks=len(tiles))
    blank = [np.full_like(tiles[0][0], WHITE)] * (-len(tiles[0]) % columns)
    return sheet([tile for view in tiles for tile in (*view, *blank)], columns)


def _counted(frames: Iterator[NDArray[np.uint8]], advance: Callable[[], None]) -> Iterator[NDArray[np.uint8]]:
    for frame in frames:
        yield frame
        advance()
