"""Lists of images that a steward writes by hand: to take, to leave out, or to accept in spite of a rule.

A line names images by SOP Instance UID, by accession number, or by path: relative to the source's folder or
absolute, and with a slash at its end a whole folder. A line of `accept_list` goes on with a colon and the
rules that it overrides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from mammogan.config.screening_settings import PixelFlag
from mammogan.config.settings import nearest
from mammogan.config.source_settings import Source
from mammogan.data.screening.header_rules import HEADER_RULES
from mammogan.errors import DataError

LISTS = ("include_list", "exclude_list", "accept_list")
ACCEPTED = "accept-list"
"""Flag of an image that a line of `accept_list` has let pass."""
NEEDED = frozenset(
    {
        "no-pixel-data", "tomosynthesis", "colour", "view-unknown", "view-other", "laterality-unknown",
        "patient-unknown", "no-instance-uid",
    }
)  # fmt: skip
"""Rules without which nobody could lay, split or name an image: no list overrides them."""

Entry = tuple[str, str, str]
"""Name of the list, what the line names, and the rules that it overrides, joined by spaces."""


def overridable(source: Source) -> list[str]:
    """Return the rules and reasons that a line of the source's `accept_list` may name."""
    own = {refusal.reason for refusal in source.refuse}
    own |= {refusal.reason for table in source.tables for refusal in table.refuse}
    return sorted(({*HEADER_RULES} - NEEDED) | {*get_args(PixelFlag)} | own)


def entries(source: Source, folder: Path) -> Iterator[Entry]:
    """Read the lists of a source line by line.

    Raises
    ------
    DataError
        If a list is missing or is no text, or a line of `accept_list` names no rule that can be overridden.
    """
    for name in LISTS:
        if file := getattr(source, name):
            for number, line in _lines(folder / file, name):
                value, rules = line, ""
                if name == "accept_list":
                    value, rules = _accepting(line, source, folder / file, number)
                yield name, _relative(value, folder), rules


def names(uid: str, accession: str, relative: str) -> tuple[str, ...]:
    """Return all that a line may call an image whose path below the source's folder is `relative`."""
    folders = (f"{parent}/" for parent in Path(relative).parents if parent.name)
    return tuple(name for name in dict.fromkeys((uid, accession, relative, *folders)) if name)


def _accepting(line: str, source: Source, path: Path, number: int) -> tuple[str, str]:
    """Split `1.2.840.1: implant-like, metal`."""
    value, colon, text = line.rpartition(":")
    rules = text.replace(",", " ").split()
    known = overridable(source)
    if not colon or not value.strip() or not rules:
        raise DataError(
            f"'{path}', line {number}, names no rule. A line of the accept_list is an image, a colon and the "
            "rules that it overrides, as in '1.2.840.1: implant-like, metal'."
        )
    if wrong := [rule for rule in rules if rule not in known]:
        raise DataError(f"'{path}', line {number}: no list overrides '{wrong[0]}'.{nearest(wrong[0], known)}")
    return value.strip(), " ".join(rules)


def _relative(value: str, folder: Path) -> str:
    """Turn an absolute path, or one that begins with `./`, into one below the source's folder."""
    path = Path(value)
    if not path.is_absolute():
        return value.removeprefix("./")
    slash = "/" if value.endswith("/") else ""
    for given, root in ((path, folder), (path.parent.resolve() / path.name, folder.resolve())):
        if given.is_relative_to(root):
            return given.relative_to(root).as_posix() + slash
    return value


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if (value := line.strip()) and not value.startswith("#"):
                    yield number, value
    except (OSError, UnicodeError) as error:
        raise DataError(missing(path, f"source.{name}", error)) from None


def missing(path: Path, key: str, error: Exception) -> str:
    """Say that a file beside the images can't be read, and what to do."""
    why = error.strerror if isinstance(error, OSError) else str(error)
    return (
        f"'{path}', named by the recipe's {key}, can't be read ({why}). Nothing is screened without it: put "
        "it there, or take it out of the recipe."
    )
