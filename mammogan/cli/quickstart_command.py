"""`mammogan quickstart`: from a folder of mammograms to a model, 100 images and a report."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.errors import ConfigError, DataError, MammoganError

if TYPE_CHECKING:
    from mammogan.data.autodetect.guess import Guess
    from mammogan.data.autodetect.survey import Survey

TOP_PX = (80, 64)
"""Resolution of the method quick's last stage."""
FEW_IMAGES = 2000
"""Below so many training images the critic begins to know them by heart: augmentation is switched on."""
OVERHEAD_MIN = 1.5
"""What scoring, drawing and the report take beside training, on two cores."""
IMAGES = 100


@dataclass(frozen=True)
class Place:
    """The files of a quickstart, below its folder."""

    out: Path

    table = property(lambda self: self.out / "files.csv")
    recipe = property(lambda self: self.out / "pictures.toml")
    sheet = property(lambda self: self.out / "guess.png")
    shards = property(lambda self: self.out / "shards")
    run = property(lambda self: self.out / "run")
    links = property(lambda self: self.out / "links")
    images = property(lambda self: self.out / "images")


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
    dicoms, pictures = _by_kind(found, place)
    sources = [*_dicom_source(found, dicoms), *_picture_source(found, pictures, place, view, side, csv, yes)]
    _built(place, sources)
    images, views = _contents(place)
    left = minutes - (time.monotonic() - began) / 60 - OVERHEAD_MIN
    settings = [f"schedule.minutes={max(0.5, round(left, 1))}"]
    if images < FEW_IMAGES:
        typer.echo(f"{images} training images are few: augmentation is switched on (docs/augmentation.md).")
        settings.append("augmentation.kind=adaptive")
    if left < 0.5:
        typer.echo(f"--minutes '{minutes:g}' leave no time to train: half a minute is taken all the same.")
    if (cores := _free_cores()) < (all_cores := os.cpu_count() or 1):
        typer.echo(f"Other work keeps this machine busy: {cores} of {all_cores} cores train.")
        settings.append(f"resources.gpu_nodes.cpus_per_task={cores}")
    given = [word for setting in settings for word in ("--set", setting)]
    site = ("--site", "workstation") if _has_gpu() else ()
    run = ("--data", place.shards, "--run", place.run)
    _run("launch", "--method", "quick", *run, *site, "--wait", *given)
    _run("sample", place.run, place.images, "--images", str(IMAGES // len(views)), "--format", "png")
    _end(place, minutes, time.monotonic() - began)


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


def _by_kind(found: Survey, place: Place) -> tuple[Path, Path]:
    """Give the folders of DICOMs and of pictures; where both lie in one, two of ours with links to them."""
    if not (found.dicoms and found.images):
        return found.folder, found.folder
    for name, paths in (("dicoms", found.dicoms), ("pictures", [image.path for image in found.images])):
        for path in paths:
            link = place.links / name / path
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to((found.folder / path).resolve())
    return place.links / "dicoms", place.links / "pictures"


def _dicom_source(found: Survey, folder: Path) -> list[str]:
    from mammogan.data.autodetect.recipe_file import best_for_dicoms

    if not found.dicoms:
        return []
    name, accepted, sample = best_for_dicoms(found)
    typer.echo(f"The recipe '{name}' reads the DICOM files: it accepts {accepted} of {sample} headers.")
    return [f"{name}={folder}"]


def _picture_source(
    found: Survey,
    folder: Path,
    place: Place,
    view: str | None,
    side: str | None,
    csv: Path | None,
    yes: bool,
) -> list[str]:
    from mammogan.data.autodetect import guess, recipe_file
    from mammogan.data.autodetect.survey import grey_bits

    if not found.images:
        return []
    if place.table.exists() and not (view or side or csv):
        guesses = guess.load(place.table)
        typer.echo(f"View, side and patient stand in {place.table}")
    else:
        guesses = _guessed(found, view or "", side or "", csv)
        guess.save(guesses, place.table)
    _print_guesses(guesses)
    guess.sheet(found, guesses, place.sheet)
    if unknown := guess.unknown(guesses):
        _ask(place, guesses, unknown, yes)
        guesses = guess.load(place.table)
    bits = grey_bits(found)
    if bits:
        typer.echo(f"Files of 16 bits carry grey in {bits} of them, as their greatest values show.")
    recipe_file.save(place.recipe, found.folder, place.table, TOP_PX, bits)
    typer.echo(
        f"What was guessed: {place.table} and {place.sheet}; how the pictures are read: {place.recipe}"
    )
    return [f"{place.recipe}={folder}"]


def _guessed(found: Survey, view: str, side: str, csv: Path | None) -> list[Guess]:
    from mammogan.cli.model_options import progress
    from mammogan.data.autodetect.guess import guess

    with progress("pictures", len(found.images)) as advance:
        return guess(found, view, side, csv, lambda done, total: advance())


def _print_guesses(guesses: Sequence[Guess]) -> None:
    from mammogan.data.autodetect.guess import counts

    typer.echo("   images  view  known by  side  known by")
    for (view, view_by, side, side_by), count in counts(guesses).most_common():
        typer.echo(f"{count:9}  {view or '?':5} {view_by or '':9} {side or '?':5} {side_by}")
    patients = len({each.patient for each in guesses})
    alone = " (each picture counts as a woman of her own: correct that, if it is wrong)"
    typer.echo(f"{patients:9}  patients{alone if patients == len(guesses) > 1 else ''}")


def _ask(place: Place, guesses: Sequence[Guess], unknown: Sequence[Guess], yes: bool) -> None:
    """Have the user say what can't be known, or say how it is done."""
    from dataclasses import replace

    from mammogan.data.autodetect import guess

    answers: dict[str, str] = {}
    for name, allowed in (("view", ("CC", "MLO")), ("side", ("L", "R"))):
        count = sum(not getattr(each, name) for each in unknown)
        if count and sys.stdin.isatty() and not yes:
            choice = f"{' or '.join(allowed)}; Enter if they differ"
            answer = typer.prompt(f"{count} pictures don't show their {name}. It is ({choice})", default="")
            answers[name] = answer.strip().upper() if answer.strip().upper() in allowed else ""
    filled = [each.filled("you", **answers) for each in guesses]
    guess.save([replace(each) for each in filled], place.table)
    if left := guess.unknown(filled):
        missing = [name for name in ("view", "side") if any(not getattr(each, name) for each in left)]
        options = " ".join({"view": "--view MLO", "side": "--side L"}[name] for name in missing)
        raise DataError(
            f"Of {len(left)} of {len(guesses)} pictures the {' and the '.join(missing)} is unknown, as of "
            f"'{left[0].path}'. Do one of these, and give the same command again:\n"
            f"  - if all are alike: add {options}\n"
            "  - if a table says it: --csv TABLE, with file names in one column, view and side in others\n"
            f"  - by hand: fill in {' and '.join(missing)} in {place.table}; see {place.sheet}\n"
            "  - or name the files as P12_L_CC.png"
        )


def _built(place: Place, sources: Sequence[str]) -> None:
    """Plan and build the shard set; what it was planned from is planned again only if it has changed."""
    from_options = [word for source in sources for word in ("--from", source)]
    top = f"packing.top_px=[{TOP_PX[0]},{TOP_PX[1]}]"
    if not any(place.shards.glob("*/*.tar")):
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
    cores, (load, _, _) = os.cpu_count() or 1, os.getloadavg()
    return cores if load < 0.5 else max(1, cores - round(load))


def _has_gpu() -> bool:
    from mammogan.cluster import gpu_slots
    from mammogan.train.device_choice import no_gpu

    return bool(gpu_slots.of_this_machine()) and not no_gpu()


def _run(*words: object) -> None:
    """Print a command as a user would type it, and give it."""
    given = [str(word) for word in words]
    typer.secho(f"\n$ mammogan {shlex.join(given)}", bold=True)
    done = subprocess.run([sys.executable, "-m", "mammogan", *given], check=False)
    if done.returncode:
        raise _StoppedError(
            f"`mammogan {' '.join(given[:2])}` stopped, as it says above. Once that is mended, the same "
            "quickstart goes on from there.",
            done.returncode,
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
