"""A PATH on which a program is not to be found, though this machine has it."""

from __future__ import annotations

import os
from pathlib import Path


def path_without(program: str, folder: Path, path: str) -> str:
    """Give `path` with each folder that holds `program` replaced by one of links to all else in it."""

    def without(number: int, there: Path) -> Path:
        if not (there / program).exists():
            return there
        links = folder / f"without-{program}-{number}"
        links.mkdir(parents=True)
        for entry in there.iterdir():
            if entry.name != program:
                (links / entry.name).symlink_to(entry)
        return links

    folders = map(Path, filter(None, path.split(os.pathsep)))
    return os.pathsep.join(str(without(*numbered)) for numbered in enumerate(folders))
