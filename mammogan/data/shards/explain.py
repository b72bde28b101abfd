"""Why one file is in a set or not: what it says, each rule that speaks, and what would change it.

What comes out is for whoever may see the file: it has its values, its UID and its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mammogan.config.dataset import Dataset
from mammogan.data import process_pool
from mammogan.data.dicom.fields import Origins
from mammogan.data.dicom.header import UnreadableError, hushed, reason_of
from mammogan.data.preprocess.preprocess import Picture, take
from mammogan.data.screening.header_rules import HEADER_RULES
from mammogan.data.screening.pixel_rules import PIXEL_RULES
from mammogan.data.shards import image_lists, judgement, looser_settings, outcomes, sources
from mammogan.data.shards.archive import Archive, Examined, index_tables
from mammogan.data.shards.image_worker import ladder
from mammogan.data.store import private_folder
from mammogan.data.store.private_folder import Line
from mammogan.errors import DataError

FACTS: dict[str, Callable[[Origins], str]] = {
    "view": lambda origins: origins.view()[0].view,
    "laterality": lambda origins: origins.laterality()[0],
    "patient": lambda origins: origins.patient(),
}


@dataclass(frozen=True)
class Fact:
    """What was taken for a fact, and what each of its origins says: origin, text in the file, fact."""

    name: str
    value: str
    origins: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Asked:
    """What one rule says of the file.

    `says` is refuses, flags, accepted (by a list) or nothing; `value` is what it saw and `threshold` what it
    asked for, by attribute or setting. `changes` are settings by which it would be silent, `flagging` that by
    which it would only mark.
    """

    rule: str
    says: str
    value: dict[str, Any]
    threshold: dict[str, Any]
    changes: tuple[str, ...] = ()
    flagging: str = ""


@dataclass(frozen=True)
class Explanation:
    """All that decides about one file; `unreadable` says why there is no header, or no picture.

    `outcome` and `reason` are by the rules of the recipe alone: whether another file has its pixels or its
    UID is for the set to say. `accept` is the line of the accept_list that would let it pass.
    """

    path: Path
    outcome: str
    reason: str
    uid: str = ""
    facts: tuple[Fact, ...] = ()
    header: tuple[Asked, ...] = ()
    pixels: tuple[Asked, ...] = ()
    unreadable: str = ""
    listed: tuple[tuple[str, str], ...] = ()
    accept: str = ""


@dataclass(frozen=True)
class _Look:
    """A file whose pixels are to be measured, in a process that it may kill."""

    recipe: Dataset
    path: Path
    view: str
    laterality: str


def explain(path: Path, recipe: Dataset, archive: Archive, workers: int = 1) -> Explanation:
    """Ask every rule about the file at `path`, as its recipe has them.

    Parameters
    ----------
    workers
        Processes to decode it in: 1, or 0 for this one, which a bad file may kill.
    """
    try:
        examined = archive.examine(path)
    except UnreadableError as error:
        return Explanation(path, "unreadable", str(error), unreadable=str(error), listed=archive.listed(path))
    header = tuple(_header_rules(examined, recipe))
    look = _Look(recipe, path, examined.header.view, examined.header.laterality)
    picture = next(iter(process_pool.ordered(_picture, [look], workers, lambda _, reason: reason)))
    pixels = () if isinstance(picture, str) else tuple(_pixel_rules(examined, picture, recipe))
    unreadable = picture if isinstance(picture, str) else ""
    refusing = [asked.rule for asked in (*header, *pixels) if asked.says == "refuses"]
    if refusing:
        outcome, reason = "refused", _first(examined, recipe, refusing)
    else:
        outcome, reason = ("unreadable", unreadable) if unreadable else ("accepted", "")
    return Explanation(
        path=path,
        outcome=outcome,
        reason=reason,
        uid=examined.header.sop_instance_uid,
        facts=tuple(_facts(examined, recipe)),
        header=header,
        pixels=pixels,
        unreadable=unreadable,
        listed=examined.verdict.listed,
        accept=_accepting(examined, recipe, refusing),
    )


@dataclass(frozen=True)
class FoundFile:
    """A file of a set's sources, and what the set says of it: nothing if it came after the plan."""

    path: Path
    recipe: Dataset
    archive: Archive
    lines: list[Line]


def find_file(shardset: Path, what: str) -> list[FoundFile]:
    """Find the files that `what` names: a path, a key or its first digits, or a SOP Instance UID.

    Raises
    ------
    DataError
        If the set knows none.
    """
    of = sources.load(private_folder.folder(shardset))
    lines = outcomes.find(shardset, what)
    if lines:
        return [
            FoundFile(Path(line["path"]), of.recipes[line["recipe"]], of.archive(line["recipe"]), [line])
            for line in lines
        ]
    for index, folder in enumerate(of.folders):
        path = Path(what).resolve()
        if path.is_file() and path.is_relative_to(folder):
            return [FoundFile(path, of.recipes[index], of.archive(index), [])]
    raise DataError(
        f"'{shardset}' knows no file '{what}': give a path below its sources, a key of 8 digits or more, or "
        "a SOP Instance UID; or explain a file of no set with --from RECIPE."
    )


def explain_file(path: Path, recipe: Dataset, folder: str = "", workers: int = 1) -> Explanation:
    """Explain a file of no set; tables and lists of the recipe are asked if their `folder` is given.

    Raises
    ------
    DataError
        If there is no such file.
    """
    if not path.is_file():
        raise DataError(f"There is no file '{path}'.")
    if not folder:
        alone = {"tables": (), **dict.fromkeys(image_lists.LISTS, "")}
        source = recipe.source.model_copy(update=alone)
        return explain(path, recipe, Archive(source, path.parent, None), workers)
    with TemporaryDirectory() as temporary:
        index = Path(temporary) / "tables.sqlite"
        index_tables(recipe.source, Path(folder), index)
        return explain(path, recipe, Archive(recipe.source, Path(folder), index), workers)


def _first(examined: Examined, recipe: Dataset, refusing: list[str]) -> str:
    """Name the reason that the ledger gives: that of the header, in its order, before those of the pixels."""
    by_header = judgement.judge_header(examined.header, examined.verdict.accepted, recipe.screening)[0]
    return by_header or refusing[0]


def _facts(examined: Examined, recipe: Dataset) -> Iterator[Fact]:
    """Ask each origin of view, side and patient alone."""
    source, header = recipe.source, examined.header
    for name in ("view", "laterality", "patient"):
        reading = []
        for origin in getattr(source, name):
            alone = source.model_copy(update={name: (origin,)})
            origins = Origins(alone, examined.dicom, examined.relative, examined.column)
            keyword = origin.removeprefix("text:")
            elsewhere = ":" in keyword  # in a path or table
            text = origins.text(origin) if elsewhere else judgement.shown(examined.dicom, keyword, header)
            reading.append((origin, text, FACTS[name](origins)))
        yield Fact(name, getattr(header, name), tuple(reading))


def _header_rules(examined: Examined, recipe: Dataset) -> Iterator[Asked]:
    """Give the rules of the header, tables and lists that speak."""
    header, screening, accepted = examined.header, recipe.screening, examined.verdict.accepted
    speaking = [name for name, rule in HEADER_RULES.items() if rule.speaks(header, screening)]
    for rule in dict.fromkeys((*speaking, *header.refused)):
        says = _says(rule, recipe, accepted)
        if rule not in HEADER_RULES:
            yield Asked(rule, says, *_own_refusals(rule, recipe, examined))
            continue
        value, threshold = judgement.header_evidence(rule, header, examined.dicom, screening)
        changes = tuple(looser_settings.for_header(rule, header, screening))
        yield Asked(rule, says, value, threshold, changes, looser_settings.flagging(rule, screening))


def _pixel_rules(examined: Examined, picture: Picture, recipe: Dataset) -> Iterator[Asked]:
    """Give every rule of the pixels, with what was measured."""
    screening, measures = recipe.screening, picture.measures
    for rule, asked in PIXEL_RULES.items():
        value, threshold = judgement.pixel_evidence(rule, picture, screening)
        if not asked.holds(measures[rule], screening):
            yield Asked(rule, "nothing", value, threshold)
            continue
        says = _says(rule, recipe, examined.verdict.accepted)
        changes = tuple(looser_settings.for_pixels(rule, measures, screening))
        yield Asked(rule, says, value, threshold, changes, looser_settings.flagging(rule, screening))


def _says(rule: str, recipe: Dataset, accepted: tuple[str, ...]) -> str:
    if rule in recipe.screening.only_flag:
        return "flags"
    return "accepted" if rule in accepted else "refuses"


def _own_refusals(rule: str, recipe: Dataset, examined: Examined) -> tuple[dict[str, Any], dict[str, Any]]:
    """Say what the file has where a reason of the recipe's own looks, and what it looks for."""
    source, values, wanted = recipe.source, {}, {}
    for refusal in source.refuse:
        if refusal.reason == rule:
            first = refusal.keyword.partition(".")[0]
            values[first] = judgement.shown(examined.dicom, first, examined.header) or "absent"
            wanted[refusal.keyword] = refusal.matches or refusal.values
    tabled = (refusal for table in source.tables for refusal in table.refuse)
    return values, wanted | {f"column {one.column}": one.values for one in tabled if one.reason == rule}


def _accepting(examined: Examined, recipe: Dataset, refusing: list[str]) -> str:
    if not refusing or not {*refusing} <= {*image_lists.overridable(recipe.source)}:
        return ""
    return f"{examined.header.sop_instance_uid or examined.relative}: {', '.join(refusing)}"


def _picture(look: _Look) -> Picture | str:
    """Make the picture and measure it for every rule, or say why there is none."""
    try:
        with hushed():
            dicom = Archive(look.recipe.source, look.path.parent, None).dicom(look.path)
            top_px = ladder(look.recipe.packing.resolutions)[-1]
            return take(dicom, look.view, look.laterality, look.recipe.pixels, top_px)
    except Exception as error:  # noqa: BLE001  (a damaged file can raise anything)
        return reason_of(error)
