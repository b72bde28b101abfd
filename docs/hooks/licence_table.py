"""The tables of docs/licences.md: what is installed with MammoGAN, and under which licence.

``python -m docs.hooks.licence_table`` writes them anew from the packages that are installed; a test compares.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import groupby
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- licences: made from the packages -->", "<!-- licences end -->"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-docs.lock")
EXTRAS = {
    "": "always",
    "launch": "`launch`",
    "data": "`data`",
    "study": "`study`",
    "train": "`train`",
    "video": "`video`",
    "libjpeg": "`libjpeg`",
    "export": "`export`",
    "dev": "tests",
    "docs": "this site",
}
"""By what each is asked for: the first of them that needs a package names it."""
SPDX = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages call their licences, by the identifiers of SPDX."""
STATED = {
    "braceexpand": "MIT",
    "deepspeed": "Apache-2.0",
    "greenlet": "MIT AND PSF-2.0",
    "hjson": "MIT AND AFL-2.1",
    "huey": "MIT",
    "psycopg2-binary": "LGPL-3.0-or-later",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "skops": "MIT",
}
"""Of packages that don't state it in words of their own metadata that could be looked up above."""
INSIDE = {
    "imageio-ffmpeg": ("BSD-2-Clause AND GPL-3.0-or-later", "contains an ffmpeg with x264, under the GPL"),
    "opencv-python-headless": (
        "Apache-2.0 AND LGPL-2.1-or-later",
        "contains libraries of FFmpeg, under the LGPL",
    ),
    "numpy": ("", "contains libgfortran, under the GPL with the exception of GCC's run-time library"),
    "scipy": ("", "contains libgfortran, under the GPL with the exception of GCC's run-time library"),
    "psycopg2-binary": ("LGPL-3.0-or-later", "contains libpq (PostgreSQL) and OpenSSL (Apache-2.0)"),
    "torch": ("", "with CUDA it brings NVIDIA's libraries, under licences of NVIDIA's own"),
    "pylibjpeg-libjpeg": ("GPL-3.0-only", "under the GPL: only where you ask for it"),
    "pebble": ("LGPL-3.0-or-later", "under the LGPL, imported unchanged"),
}
"""What metadata doesn't tell, as the licence if it differs, and in words."""
FLAGGED = re.compile(r"\bA?GPL|\bCC-BY-NC|[Nn]on-?[Cc]ommercial")


@dataclass(frozen=True)
class Row:
    """One package: who asks for it, its version in the lock, its licence as SPDX has it, and a note."""

    asked_by: str
    name: str
    version: str
    licence: str
    note: str = ""

    @property
    def flagged(self) -> bool:
        """Whether it is under the GPL, or not for every use."""
        return bool(FLAGGED.search(self.licence))


def pinned() -> dict[str, str]:
    """Return the packages of the locks, by the names that they are compared by, with their versions."""
    text = "".join((ROOT / "containers" / name).read_text(encoding="utf-8") for name in LOCKS)
    return {canonicalize_name(name): found for name, found in re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)}


def licence(package: Distribution) -> str:
    """Return a package's licence as SPDX writes it; empty if its metadata name none."""
    name = canonicalize_name(package.name)
    if name in INSIDE and INSIDE[name][0]:
        return INSIDE[name][0]
    if name in STATED:
        return STATED[name]
    of = package.metadata
    for expression in of.get_all("License-Expression") or []:
        return str(expression)
    short = "".join(map(str, of.get_all("License") or [])).strip()
    if short and len(short) < 40 and "\n" not in short:
        known = SPDX.get(short, short)
        if re.fullmatch(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*", known):
            return known
    classed = [
        each.split(" :: ")[-1] for each in of.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    return " OR ".join(SPDX[each] for each in classed if each in SPDX)


def rows() -> list[Row]:
    """List the packages of the locks, by what asks for them first.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If one of them is not installed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    left, found = pinned(), list[Row]()
    for extra, label in EXTRAS.items():
        for name in sorted(_needed(asked[extra]) & left.keys()):
            package = distribution(name)
            found.append(Row(label, name, left.pop(name), licence(package), INSIDE.get(name, ("", ""))[1]))
    found += [Row("to build", name, left[name], licence(distribution(name))) for name in sorted(left)]
    return found


def _needed(asked: list[str]) -> set[str]:
    """Follow what is asked for to all that this needs, on this system."""
    todo, seen = [Requirement(each) for each in asked], set[str]()
    names = set[str]()
    while todo:
        asked_for = todo.pop()
        key = f"{canonicalize_name(asked_for.name)}[{','.join(sorted(asked_for.extras))}]"
        if (
            key in seen
            or asked_for.name == "mammogan"
            or (asked_for.marker and not asked_for.marker.evaluate())
        ):
            continue
        seen.add(key)
        try:
            package = distribution(asked_for.name)
        except PackageNotFoundError:
            continue  # for another system or flavour
        names.add(canonicalize_name(asked_for.name))
        for line in package.requires or []:
            need = Requirement(line)
            extras = asked_for.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                need.marker = None
                todo.append(need)
    return names


def render(found: list[Row]) -> str:
    """Write the tables: one an extra, and first what is flagged."""
    head = "| package | version | licence | |\n|---|---|---|---|\n"

    def line(row: Row) -> str:
        return f"| {row.name} | {row.version} | {row.licence} | {row.note} |\n"

    flagged = "".join(
        f"| {row.asked_by} | {row.name} | {row.licence} | {row.note} |\n" for row in found if row.flagged
    )
    parts = [f"## Under the GPL\n\n| asked for by | package | licence | |\n|---|---|---|---|\n{flagged}"]
    for label, group in groupby(found, key=lambda row: row.asked_by):
        parts.append(f"## Asked for: {label}\n\n{head}" + "".join(map(line, group)))
    return "\n".join(parts)


def written(page: str) -> str:
    """Return what stands between the marks of a page."""
    return page.split(BEGIN)[1].split(END, maxsplit=1)[0].strip()


if __name__ == "__main__":
    before, after = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{render(rows())}\n{END}{after.split(END)[1]}", encoding="utf-8")
