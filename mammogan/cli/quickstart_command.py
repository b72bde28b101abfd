"""`mammogan quickstart`: from a folder of mammograms to a model, 100 images and a report."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan import interruption, machine
from mammogan.cli.quickstart_sources import TOP_PX, Place, by_kind, dicom_source, picture_source
from mammogan.errors import ConfigError, DataError, MammoganError
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    from mammogan.data.autodetect.survey import Survey

FEW_IMAGES = 2000
"""Below so many training images the critic begins to know them by heart: augmentation is switched on."""
OVERHEAD_MIN = 1.5
"""What scoring, drawing and the report take beside training, on two cores."""
LEAST_MIN = 0.5
IMAGES = 100


def quickstart(
    folder: Annotated[Path, typer.Argument(help="Folder of DICOM, PNG, JPEG, TIFF or PGM files.")],
    out: Annotated[Path, typer.Option(help="Folder for all that is made.")] = Path("quickstart"),
    minutes: Annotated[float, typer.Option(min=2, help="How long all of it may take.")] = 10,
    view: Annotated[str | None, typer.Option(help="CC or MLO: the view of all pictures.")] = None,
    side: Annotated[str | None, typer.Option(help="L or R: the side of all pictures.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="A table with a column of file names, and view, side, patient.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Learn from a folder of mammograms within some minutes, guessing what nobody says.

    It works out what each picture is, writes that down to be corrected, and gives the ordinary commands,
    which it prints. The same command goes on where it stopped.
    """
    began, place = time.monotonic(), Place(out)
    _check(folder, out, view, side, csv)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _surveyed(folder)
    dicoms, pictures = by_kind(found, place)
    sources = [*dicom_source(found, dicoms), *picture_source(found, pictures, place, view, side, csv, yes)]
    _built(place, sources)
    images, views = _contents(place)
    if RunFolder(place.run).settings.exists():  # with the time and the cores that it was begun with
        _run("launch", "--run", place.run, "--wait")
    else:
        left_min = minutes - (time.monotonic() - began) / 60 - OVERHEAD_MIN
        _launched(place, images, left_min)
    _run("sample", place.run, place.images, "--images", str(IMAGES // len(views)), "--format", "png")
    _end(place, minutes, time.monotonic() - began)


def _launched(place: Place, images: int, left_min: float) -> None:
    """Launch a new run that trains for what is left of the time."""
    settings = [f"schedule.minutes={max(LEAST_MIN, round(left_min, 1))}"]
    if left_min < LEAST_MIN:
        typer.echo("--minutes leaves no time to train: half a minute is taken all the same.")
    if images < FEW_IMAGES:
        typer.echo(f"{images} training images are few: augmentation is switched on (docs/augmentation.md).")
        settings.append("augmentation.kind=adaptive")
    if (cores := _free_cores()) < (all_cores := machine.cores()):
        typer.echo(f"Other work keeps this machine busy: {cores} of {all_cores} cores train.")
        settings.append(f"resources.gpu_nodes.cpus_per_task={cores}")
    given = [word for setting in settings for word in ("--set", setting)]
    site = ("--site", "workstation") if _has_gpu() else ()
    run = ("--data", place.shards, "--run", place.run)
    _run("launch", "--method", "quick", *run, *site, "--wait", *given)


def _check(folder: Path, out: Path, view: str | None, side: str | None, csv: Path | None) -> None:
    if not folder.is_dir():
        raise ConfigError(f"There is no folder '{folder}': give the one that holds the mammograms.")
    if view is not None and view not in ("CC", "MLO"):
        raise ConfigError(f"--view '{view}' is not a view of screening: give CC or MLO.")
    if side is not None and side not in ("L", "R"):
        raise ConfigError(f"--side '{side}' is not a side: give L or R.")
    if csv is not None and not csv.is_file():
        raise ConfigError(f"There is no table '{csv}'.")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"--out '{out}' is inside of '{folder}': give a folder beside it.")


def _surveyed(folder: Path) -> Survey:
    from rich.console import Console

    from mammogan.data.autodetect.survey import survey
    from mammogan.data.shards.reasons import meaning

    typer.echo(f"Looking at '{folder}'")
    with Console(stderr=True).status("looking at files"):
        found = survey(folder)
    for what, count in (("DICOM files", len(found.dicoms)), ("pictures", len(found.images))):
        if count:
            typer.echo(f"{count:9}  {what}")
    for (rows, columns), count in found.sizes.most_common(5):
        typer.echo(f"           {count} of {rows} x {columns} pixels")
    for reason, count in found.others.most_common():
        typer.echo(f"{count:9}  left out, {reason}: {meaning(reason)}")
    if not found.images and not found.dicoms:
        raise DataError(
            f"'{folder}' holds no mammograms that can be read: DICOM, PNG, JPEG, TIFF and PGM files are "
            "looked for in it and below it."
        )
    return found


def _built(place: Place, sources: Sequence[str]) -> None:
    """Plan and build the shard set, which then keeps the table and the recipe that it was planned from.

    Raises
    ------
    ConfigError
        If one of them was changed since: a set and the run that learns from it are not changed under them.
    """
    plan = place.shards / "plan.json"
    if any(place.shards.glob("*/*.tar")):
        built = plan.stat().st_mtime
        own = [path for path in (place.table, place.recipe) if path.exists()]
        if later := [path for path in own if path.stat().st_mtime > built]:
            raise ConfigError(
                f"'{later[0]}' was changed after '{place.shards}' was built, which keeps what it was built "
                f"from. Remove '{place.shards}' and '{place.run}' to begin anew with it, or put it back."
            )
    else:
        from_options = [word for source in sources for word in ("--from", source)]
        top = f"packing.top_px=[{TOP_PX[0]},{TOP_PX[1]}]"
        _run("shards", "plan", place.shards, *from_options, "--set", top)
    _run("shards", "build", place.shards)


def _contents(place: Place) -> tuple[int, tuple[str, ...]]:
    """Count the training images and name their views."""
    from mammogan.data.shards.shard_reader import ShardSet

    counts = ShardSet(place.shards).manifest.counts
    train = [count for count in counts if count.split == "train"]
    return sum(count.images for count in train), tuple(sorted({count.view for count in train}))


def _free_cores() -> int:
    """Count the cores that others leave: threads that wait for each other on busy ones are slow."""
    cores, (load, _, _) = machine.cores(), os.getloadavg()
    return cores if load < 0.5 else max(1, cores - round(load))


def _has_gpu() -> bool:
    from mammogan.cluster import gpu_slots
    from mammogan.train.device_choice import no_gpu

    return bool(gpu_slots.of_this_machine()) and not no_gpu()


def _run(*words: object) -> None:
    """Print a command as a user would type it, and give it."""
    given = [str(word) for word in words]
    typer.secho(f"\n$ mammogan {shlex.join(given)}", bold=True)
    command = subprocess.Popen([sys.executable, "-m", "mammogan", *given])
    try:
        code = command.wait()
    except KeyboardInterrupt:  # which has reached the command, too, if it came from the terminal
        interruption.explain("Stopped. The same quickstart goes on from there.")
        command.terminate()
        command.wait()
        raise
    if code:
        raise _StoppedError(
            f"`mammogan {' '.join(given[:2])}` stopped, as it says above. Once that is mended, the same "
            "quickstart goes on from there.",
            code,
        )


class _StoppedError(MammoganError):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _end(place: Place, minutes: float, seconds: float) -> None:
    over = f", more than the {minutes:g} asked for" if seconds > 60 * minutes else ""
    typer.echo(f"\nDone in {seconds / 60:.1f} minutes{over}.")
    typer.echo(f"  images  {place.images}\n  report  {place.run / 'report' / 'index.html'}")
    typer.echo("Next:")
    typer.echo(f"  mammogan sample {place.run} more --images 1000          # more images")
    typer.echo(f"  mammogan shards show {place.shards} --rejects           # what was left out, as pictures")
    typer.echo(
        f"  mammogan launch --method small --data {place.shards} --run {place.out}/longer   # half an hour"
    )
