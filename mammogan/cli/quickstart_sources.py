"""The sources of a quickstart: what the files of a folder are taken for; what nobody can know is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mammogan.errors import DataError

if TYPE_CHECKING:
    from mammogan.data.autodetect.guess import Guess
    from mammogan.data.autodetect.survey import Survey


@dataclass(frozen=True)
class Place:
    """The files of a quickstart, below its folder."""

    out: Path

    table = property(lambda self: self.out / "files.csv")
    recipe = property(lambda self: self.out / "pictures.toml")
    sheet = property(lambda self: self.out / "guess.png")
    shards = property(lambda self: self.out / "shards")
    private = property(lambda self: self.out / "shards.private")
    plan = property(lambda self: self.shards / "plan.json")
    run = property(lambda self: self.out / "run")
    links = property(lambda self: self.out / "links")
    images = property(lambda self: self.out / "images")
    calibration = property(lambda self: self.out / "calibration.json")


def by_kind(found: Survey, place: Place) -> tuple[Path, Path]:
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


def dicom_source(found: Survey, folder: Path) -> list[str]:
    """Choose the recipe of the DICOM files, as ``shards plan`` takes it; nothing without any."""
    from mammogan.data.autodetect.recipe_file import best_for_dicoms

    if not found.dicoms:
        return []
    name, accepted, sample = best_for_dicoms(found)
    typer.echo(f"The recipe '{name}' reads the DICOM files: it accepts {accepted} of {sample} headers.")
    return [f"{name}={folder}"]


def described(
    found: Survey, place: Place, view: str | None, side: str | None, csv: Path | None, yes: bool
) -> None:
    """Write down what each of the pictures is.

    Raises
    ------
    DataError
        If a view or a side stays unknown: with each way to say it.
    """
    from mammogan.data.autodetect import guess

    if not found.images:
        return
    if place.table.exists() and not (view or side or csv):
        guesses = guess.load(place.table)
        typer.echo(f"View, side and patient stand in {place.table}")
        if new := found.without({each.path for each in guesses}):
            added = _guessed(new, "", "", None)
            typer.echo(f"{len(added)} pictures are not in it yet, and are added.")
            guesses += added
    else:
        guesses = guess.apart(_guessed(found, view or "", side or "", csv))
    guess.save(guesses, place.table)  # as recipes read it, whatever program it was corrected with
    _print_guesses(guesses)
    guess.sheet(found, guesses, place.sheet)
    if unknown := guess.unknown(guesses):
        _ask(place, guesses, unknown, yes)


def picture_source(found: Survey, folder: Path, place: Place, top_px: tuple[int, int]) -> list[str]:
    """Write down how the pictures are read, as ``shards plan`` takes it; nothing without any."""
    from mammogan.data.autodetect import recipe_file
    from mammogan.data.autodetect.survey import grey_bits

    if not found.images:
        return []
    bits = grey_bits(found)
    if bits:
        typer.echo(f"Files of 16 bits carry grey in {bits} of them, as their greatest values show.")
    recipe_file.save(place.recipe, found.folder, place.table, top_px, bits)
    typer.echo(
        f"What was guessed: {place.table} and {place.sheet}; how the pictures are read: {place.recipe}"
    )
    return [f"{place.recipe}={folder}"]


def _guessed(found: Survey, view: str, side: str, csv: Path | None) -> list[Guess]:
    from mammogan.cli.model_options import progress
    from mammogan.data.autodetect.guess import guess
    from mammogan.data.shards.reasons import meaning

    with progress("pictures", len(found.images)) as advance:
        guesses = guess(found, view, side, csv, lambda done, total: advance())
    if lost := len(found.images) - len(guesses):
        typer.echo(f"{lost:9}  left out, decode-failed: {meaning('decode-failed')}")
    if not guesses:
        raise DataError(f"Of none of the {lost} pictures in '{found.folder}' the pixels can be read.")
    return guesses


def _print_guesses(guesses: Sequence[Guess]) -> None:
    from mammogan.data.autodetect.guess import counts

    typer.echo("   images  view  known by  side  known by")
    for (view, view_by, side, side_by), count in counts(guesses).most_common():
        typer.echo(f"{count:9}  {view or '?':5} {view_by or '':9} {side or '?':5} {side_by}")
    patients = len({each.patient for each in guesses})
    alone = " (each picture counts as a woman of her own: correct that in the table, if it is wrong)"
    typer.echo(f"{patients:9}  patients{alone if patients == len(guesses) > 1 else ''}")


def _ask(place: Place, guesses: Sequence[Guess], unknown: Sequence[Guess], yes: bool) -> None:
    """Have the user say what can't be known, or say how it is done."""
    from mammogan.data.autodetect import guess

    answers: dict[str, str] = {}
    for name, allowed in (("view", ("CC", "MLO")), ("side", ("L", "R"))):
        count = sum(not getattr(each, name) for each in unknown)
        if count and sys.stdin.isatty() and not yes:
            choice = f"{' or '.join(allowed)}; Enter if they differ"
            answer = typer.prompt(f"{count} pictures don't show their {name}. It is ({choice})", default="")
            answers[name] = answer.strip().upper() if answer.strip().upper() in allowed else ""
    filled = [each.filled("you", **answers) for each in guesses]
    guess.save(filled, place.table)
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
