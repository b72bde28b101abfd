"""Listing every file of the sources, in parts that later steps can share out among them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mammogan.data.shards import sources, zip_members
from mammogan.data.store import private_folder
from mammogan.errors import DataError
from mammogan.files import write

PART_FILES = 2048


@dataclass(frozen=True)
class Listing:
    """How many files were found for the sources of that digest."""

    sources: str
    files: int

    @property
    def parts(self) -> int:
        """Parts, all but the last one full."""
        return -(-self.files // PART_FILES)

    def size(self, part: int) -> int:
        """Files of one part."""
        return min(PART_FILES, self.files - part * PART_FILES)


def list_files(shardset: Path) -> Listing:
    """List the files of all sources of a set; a listing of the same sources that is there is kept.

    Raises
    ------
    DataError
        If a source's folder can't be listed at all.
    """
    of = sources.load(private_folder.folder(shardset))
    if found := find_listing(shardset):
        return found
    private_folder.clear(shardset, "listing", "catalogue")
    folder = private_folder.create(shardset, "listing")
    of.index_tables()
    lines = (
        {"recipe": index, "path": path, "reason": reason}
        for index, root in enumerate(of.folders)
        for path, reason in _unzipped(walk(root), of.recipes[index].source.read_zips)
    )
    files = 0
    while part := list(islice(lines, PART_FILES)):
        private_folder.write_lines(_path(folder, files // PART_FILES), part)
        files += len(part)
    whole = Listing(of.digest, files)
    write(folder / "whole.json", json.dumps(whole.__dict__), mode=0o600)
    return whole


def find_listing(shardset: Path) -> Listing | None:
    """Read a listing that is complete and of the set's present sources."""
    path = private_folder.folder(shardset) / "listing" / "whole.json"
    if not path.exists():
        return None
    found = Listing(**json.loads(path.read_text(encoding="utf-8")))
    return found if found.sources == sources.load(private_folder.folder(shardset)).digest else None


def part(shardset: Path, number: int) -> Iterator[private_folder.Line]:
    """Read part `number` of the listing."""
    return private_folder.read_lines(_path(private_folder.folder(shardset) / "listing", number))


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.jsonl"


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Walk through a folder, and through links but round no loop, holding no list of its files.

    What can't be listed counts as a file that can't be read: nobody knows what it holds.
    """
    if root.is_file():
        yield str(root), ""
        return
    try:
        os.scandir(root).close()
    except OSError as error:
        raise DataError(f"The folder '{root}' can't be listed ({error.strerror}).") from None
    ahead, visited = [str(root)], set()
    while ahead:
        current = ahead.pop()
        try:
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        ahead.append(entry.path)
                    else:
                        yield entry.path, ""
        except OSError:
            yield current, "folder-not-listed"


def _unzipped(files: Iterator[tuple[str, str]], wanted: bool) -> Iterator[tuple[str, str]]:
    """Put the members of zip archives in the place of the archives, if they are `wanted`.

    What only calls itself one stays: the reader says what it is.
    """
    for path, reason in files:
        for member in zip_members.members(path) if wanted and not reason else (path,):
            yield member, reason


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether a folder lies there; a link that leads nowhere, or to itself, is the reader's to refuse."""
    try:
        return entry.is_dir()
    except OSError:
        return False
