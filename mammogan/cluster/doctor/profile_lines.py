"""Where a key stands in a profile: file and line, which a parsed TOML no longer knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammogan.cluster.doctor.finding import Finding, problem
from mammogan.config.settings import load_named
from mammogan.config.site import Site, sites
from mammogan.errors import ConfigError

CORRECT = "Correct it; example-a100.toml explains every key."
_KEY = re.compile(r"key '([\w.-]+?)(?:\.\d+)?'|^(\w+\.[\w.-]+)(?: is |: )")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")
_TRIPLE = re.compile(r"\"\"\"|'''")


@dataclass(frozen=True)
class Profile:
    """A profile's file, with the line of each table and key."""

    path: Path
    lines: dict[str, int]

    @classmethod
    def find(cls, name: str) -> Profile:
        """Find the file of a site by its name, or take the user's own; a missing one has no lines."""
        path = sites().get(name, Path(name))
        try:
            return cls(path, index(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            return cls(path, {})

    def where(self, key: str) -> str:
        """Say where `key` stands, as ``my-site.toml:14 [resources.login] partition``.

        Of a key that is not set, its table's line is given.
        """
        table, _, last = key.rpartition(".")
        place = f"[{table}] {last}" if table else f"[{last}]"
        for spelling in _spellings(key):
            if spelling in self.lines:
                return f"{self.path}:{self.lines[spelling]} {place}"
        if key and table in self.lines:
            return f"{self.path}:{self.lines[table]} {place} (not set)"
        return f"{self.path} {place} (not set)" if key else str(self.path)


def _spellings(key: str) -> Iterator[str]:
    """List how a key may stand in a profile: options of sbatch as keys of the class, too, or on one line."""
    yield key
    table, sbatch, option = key.partition(".sbatch.")
    if sbatch:
        for name in (option, option.replace("-", "_")):
            yield from (f"{table}.sbatch.{name}", f"{table}.{name}")
        yield f"{table}.sbatch"


def index(text: str) -> dict[str, int]:
    """Find the line of each table and key of a TOML text, by its dotted name."""
    lines: dict[str, int] = {}
    table, depth, within = "", 0, False
    for number, line in enumerate(text.splitlines(), 1):
        fences = len(_TRIPLE.findall(line))
        bare = _QUOTED.sub("", line)
        if not within and not depth:
            if header := re.match(r"\s*\[+([^\[\]]+)\]", line):
                table = _plain(header.group(1))
                lines.setdefault(table, number)
                continue
            if key := re.match(r"\s*([\w\"'.\s-]+?)\s*=", line):
                lines.setdefault(".".join(filter(None, (table, _plain(key.group(1))))), number)
        if fences % 2:
            within = not within
        elif not within:
            depth = max(0, depth + sum(map(bare.count, "[{")) - sum(map(bare.count, "]}")))
    return lines


def load(name: str) -> Site | list[Finding]:
    """Load a site, or give what is wrong with its profile: one problem a mistake.

    Raises
    ------
    ConfigError
        If there is no such site or file.
    """
    try:
        return load_named(Site, "site", name, sites())
    except ConfigError as error:
        if not Profile.find(name).path.is_file():
            raise
        mistakes = str(error).removeprefix(f"{Profile.find(name).path}: ")
        return [_mistake(line) for line in mistakes.splitlines()]


def _mistake(message: str) -> Finding:
    """Turn a line of a `ConfigError` into a finding, at the key that it names."""
    found = _KEY.search(message)
    key = (found.group(1) or found.group(2)) if found else ""
    return problem("the profile is valid", message, key, CORRECT)


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
