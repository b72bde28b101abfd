"""What all pages share: templates, numbers as text, tables as CSV, and a look on screen and on A4."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mammogan import __version__
from mammogan.errors import ConfigError
from mammogan.files import replacing_folder, write


@dataclass(frozen=True)
class Reading:
    """What a statistic shows and what it doesn't, a sentence or two each."""

    shows: str
    not_shown: str


@dataclass(frozen=True)
class Section:
    """A part of a page: heading, HTML, and what leads to it from the top; no `link` leaves it out there."""

    anchor: str
    title: str
    html: str
    link: str = ""


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mammogan.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "p": p_value, "p_is": p_is}
    environment.globals |= {"between": between, "version": __version__}
    return environment


def render(template: str, **values: Any) -> str:
    """Return a page; one of results needs nothing else, and has a value `printed` that lays it out for A4."""
    return _environment().get_template(template).render(**values)


def render_macro(template: str, macro: str, **values: Any) -> str:
    """Return what a macro of a template makes of values."""
    return str(getattr(_environment().get_template(template).module, macro)(**values))


def percent(value: float, digits: int = 1) -> str:
    """Return a share as text."""
    return f"{100 * value:.{digits}f} %"


def between(low: float, high: float, digits: int = 1) -> str:
    """Return a range of shares as text."""
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def p_value(p: float | None) -> str:
    """Return a p as text."""
    if p is None:
        return "–"
    if p < 0.001:
        return "< 0.001"
    return "> 0.999" if p > 0.999 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_is(p: float | None) -> str:
    """Return a p as a statement."""
    text = p_value(p)
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV; `columns` are names and meanings."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def publish(out: Path, mark: str, contents: Mapping[str, str]) -> list[Path]:
    """Write files by name into `out`, whole or not at all; older results, which have a file `mark`, go.

    Raises
    ------
    ConfigError
        If `out` holds something else.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / mark).is_file())):
        raise ConfigError(
            f"'{out}' is neither empty nor holds older results (it has no {mark}): give another folder, so "
            "that nothing else is overwritten."
        )
    with replacing_folder(out) as folder:
        for name, content in contents.items():
            write(folder / name, content)
    return [out / name for name in contents]
