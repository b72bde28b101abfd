"""`mammogan phantom`: write a cohort of computed mammograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    directory: Annotated[
        Path, typer.Argument(help="Folder for the DICOM files: new, empty, or of the same cohort.")
    ],
    patients: Annotated[int, typer.Option(help="Patients, of four views each.")] = 60,
    seed: Annotated[
        int, typer.Option(help="Decides about every byte; N patients are the first of any more.")
    ] = 0,
    defects: Annotated[
        bool,
        typer.Option("--defects", help="Add what an archive holds beside: implants, other views, damage..."),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; without it, one per core.")] = None,
    frame_scale: Annotated[
        float,
        typer.Option(
            min=0.05, max=1, help="Shrink the detectors' frames, for quick trials: 0.125 is 416x320."
        ),
    ] = 1.0,
) -> None:
    """Write a cohort of computed mammograms as DICOM files, with the truth about each in truth.json.

    The four views of nobody, as a modality would send them, in two vendors' frames. The same command finishes
    a run that was killed, and leaves a finished one alone.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mammogan.data.phantom import make_cohort

    console = Console(stderr=True)
    columns = (TextColumn("patients"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("")
        cohort = make_cohort(
            directory,
            patients,
            seed,
            defects=defects,
            workers=workers,
            frame_scale=frame_scale,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    state = f"{cohort.written} written now" if cohort.written else "nothing to do"
    typer.echo(
        f"{cohort.files} files, {cohort.size_gb:.2f} GB, in {directory} ({state}); see truth.json in it"
    )
