"""`mammogan quickstart`: from a folder of mammograms to a model, 100 images and a report."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan import interruption, machine
from mammogan.cli.quickstart_ladder import LEAST_MIN, METHOD, Ladder, choose
from mammogan.cli.quickstart_sources import Place, by_kind, described, dicom_source, picture_source
from mammogan.errors import ConfigError, DataError, MammoganError
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    from mammogan.data.autodetect.survey import Survey

FEW_IMAGES = 2000
"""Below so many training images the critic begins to know them by heart: augmentation is switched on."""
IMAGES, CALIBRATION_S = 100, 20


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
    described(found, place, view, side, csv, yes)
    if RunFolder(place.run).settings.exists():  # with the time and the cores that it was begun with
        _refuse_changed(place)
        views = _contents(place)[1]
        _run("launch", place.run, "--wait")
    else:
        threads, site = _free_cores(), "workstation" if _has_gpu() else "local"
        ladder = _ladder(place, found, site, minutes - (time.monotonic() - began) / 60, threads)
        sources = [*dicom_source(found, dicoms), *picture_source(found, pictures, place, ladder.top_px)]
        _built(place, sources, ladder.top_px)
        images, views = _contents(place)
        _launched(place, site, images, ladder, threads)
    _run("sample", place.run, place.images, "--images", str(IMAGES // len(views)), "--format", "png")
    _end(place, minutes, time.monotonic() - began)


def _ladder(place: Place, found: Survey, site: str, left_min: float, threads: int) -> Ladder:
    """Measure this device, unless that was done, and choose the resolution by it."""
    from mammogan.config.site import load_site
    from mammogan.cost.calibrate import Calibration
    from mammogan.cost.estimate import Measurements

    if threads < (cores := machine.cores()):
        typer.echo(f"Other work keeps this machine busy: {threads} of {cores} cores train.")
    began, start_s = time.monotonic(), 0.0
    if not place.calibration.exists():
        how = ("--calibrate", "--seconds", CALIBRATION_S, "--calibration", place.calibration)
        _run("cost", "--method", METHOD, *how, variables={"OMP_NUM_THREADS": str(threads)})
        seconds = time.monotonic() - began
        left_min, start_s = left_min - seconds / 60, seconds - CALIBRATION_S
    pace = Measurements(Calibration.load(place.calibration))
    ladder = choose(found, pace, load_site(site).resources.gpu_nodes.ranks, left_min, start_s)
    height, width = ladder.top_px
    typer.echo(
        f"{height} x {width} pixels, {ladder.minutes:g} minutes of training, in them {ladder.kimg:.3g} "
        f"thousand images of that size; {ladder.why}."
    )
    return ladder


def _launched(place: Place, site: str, images: int, ladder: Ladder, threads: int) -> None:
    """Launch a new run that trains for what is left of the time."""
    settings = ladder.settings
    if ladder.minutes <= LEAST_MIN:
        typer.echo("--minutes leaves no time to train: half a minute is taken all the same.")
    if images < FEW_IMAGES:
        typer.echo(f"{images} training images are few: augmentation is switched on (docs/augmentation.md).")
        # Its probability may rise to 1 within half of the last stage: the default is for long runs.
        rise_kimg = max(1, ladder.kimg / 2)
        settings += ["augmentation.kind=adaptive", f"augmentation.adjust_kimg={rise_kimg:.3g}"]
    if threads < machine.cores():
        # Threads that wait for each other spin, and where others run they spin for long.
        settings += [f"resources.{each}.cpus_per_task={threads}" for each in ("gpu_nodes", "cpu_array")]
    given = [word for setting in settings for word in ("--set", setting)]
    how = ("--method", METHOD, "--data", place.shards, "--site", site, "--calibration", place.calibration)
    _run("launch", place.run, *how, "--wait", *given)


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
        there = f"it has {len(found.tables)} tables or texts, and " if found.tables else ""
        raise DataError(
            f"'{folder}' holds no mammograms that can be read: {there}DICOM, PNG, JPEG, TIFF and PGM files "
            "are looked for in it and below it."
        )
    if len(found.images) + len(found.dicoms) == 1:
        raise DataError(
            f"'{folder}' holds one mammogram. At least two, of different women, are needed: one to learn "
            "from and one to judge by. A model worth looking at takes hundreds."
        )
    return found


def _built(place: Place, sources: Sequence[str], top_px: tuple[int, int]) -> None:
    """Plan and build the shard set, anew if what it is planned from has changed: no run learns from it."""
    top = f"packing.top_px=[{top_px[0]},{top_px[1]}]"
    if _changed(place) or (place.shards.exists() and _top_px(place) != top_px):
        typer.echo(f"'{place.shards}' is planned anew: what it was planned from has changed.")
        for old in (place.shards, place.private):
            shutil.rmtree(old, ignore_errors=True)
    if not place.plan.exists():
        from_options = [word for source in sources for word in ("--from", source)]
        _run("shards", "plan", place.shards, *from_options, "--set", top)
    _run("shards", "build", place.shards)


def _top_px(place: Place) -> tuple[int, int] | None:
    from mammogan.data.store.manifest import load_plan

    return load_plan(place.shards).recipes[0].packing.resolutions[-1] if place.plan.exists() else None


def _changed(place: Place) -> Path | None:
    """Find what was changed since the set was planned: its own table of the pictures, or their recipe."""
    if not place.plan.exists():
        return None
    planned = place.plan.stat().st_mtime
    own = (path for path in (place.table, place.recipe) if path.exists())
    return next((path for path in own if path.stat().st_mtime > planned), None)


def _refuse_changed(place: Place) -> None:
    """Refuse to go on with a run whose set was planned from what has changed since.

    Raises
    ------
    ConfigError
        With what has changed: a set and the run that learns from it are not changed under them.
    """
    if changed := _changed(place):
        raise ConfigError(
            f"'{changed}' was changed after '{place.shards}' was planned, from which '{place.run}' learns. "
            f"Remove '{place.run}' to begin anew with it, or put it back."
        )


def _contents(place: Place) -> tuple[int, tuple[str, ...]]:
    """Count the training images and name their views.

    Raises
    ------
    DataError
        If nothing is left to train on, or to judge checkpoints by.
    """
    from mammogan.data.shards.enough_images import SPLITS
    from mammogan.data.store.manifest import find_manifest, load_plan

    made = find_manifest(place.shards, load_plan(place.shards))
    counts = made.counts if made else ()
    images = {split: sum(each.images for each in counts if each.split == split) for split in SPLITS}
    if not all(images.values()):
        raise DataError(
            f"{sum(images.values())} images are left to learn from, and training and validation need images "
            "of at least two women. Do one of these, and give the same command again:\n"
            f"  - see what was refused, and why: mammogan shards show {place.shards} --rejects\n"
            f"  - let a rule only mark images: add its name to only_flag in {place.recipe}\n"
            f"  - if all are taken for one woman's: correct the column patient in {place.table}\n"
            "  - or add pictures of others; copies of a picture count once"
        )
    views = {count.view for count in counts if count.split == "train" and count.images}
    return images["train"], tuple(sorted(views))


def _free_cores() -> int:
    """Count the cores that others leave: threads that wait for each other on busy ones are slow."""
    cores, (load, _, _) = machine.cores(), os.getloadavg()
    return cores if load < 0.5 else max(1, cores - round(load))


def _has_gpu() -> bool:
    from mammogan.cluster import gpu_slots
    from mammogan.train.device_choice import no_gpu

    return bool(gpu_slots.of_this_machine()) and not no_gpu()


def _run(*words: object, variables: Mapping[str, str] | None = None) -> None:
    """Print a command as a user would type it, with its variables of the environment, and give it."""
    given, variables = [str(word) for word in words], variables or {}
    before = "".join(f"{name}={value} " for name, value in variables.items())
    typer.secho(f"\n$ {before}mammogan {shlex.join(given)}", bold=True)
    command = subprocess.Popen([sys.executable, "-m", "mammogan", *given], env=os.environ | variables)
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
    typer.echo(f"  mammogan launch {place.out}/longer --method small --data {place.shards}   # half an hour")
