"""A journal of events, a JSON line each, on the disk before anybody hears that something was stored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mammogan.errors import DataError
from mammogan.files import full_disk_explained, write

Event = dict[str, Any]
ERASED = "erased"
"""Kind of the event that stands where others were taken out for good; `ids` are theirs."""


def render(event: Event) -> str:
    """Spell an event as its line."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


def whole_lines(path: Path) -> tuple[list[Event], int]:
    """Read the events of a journal, and their bytes; what a kill left of a last line does not count.

    Raises
    ------
    DataError
        If a line is damaged that others follow.
    """
    events, size = [], 0
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, 1):
        event = _parse(line)
        if event is None:
            if any(_parse(later) is not None for later in lines[number:]):
                raise DataError(
                    f"'{path}', line {number} is damaged, and whole lines follow: no kill does that. Bring "
                    "the file back from a copy, or move it away: it is written anew from the database beside "
                    "it, which holds the same events."
                )
            break
        events.append(event)
        size += len(line)
    return events, size


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("id"), str) else None


class Journal:
    """The journal at `path`, open for one writer; a torn last line is cut off as it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events, self._size = whole_lines(path)
        self._descriptor = self._open()

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, self._size)
        os.fsync(descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)  # so that the file's name outlives a power cut, too
        os.close(folder)
        return descriptor

    def append(self, event: Event) -> None:
        """Add an event; it is on the disk when this returns, or not in the file at all.

        Raises
        ------
        RunFailedError
            If the disk or the quota is full.
        """
        line = render(event).encode()
        try:
            with full_disk_explained(self.path):
                written = os.pwrite(self._descriptor, line, self._size)
                while written < len(line):
                    written += os.pwrite(self._descriptor, line[written:], self._size + written)
                os.fsync(self._descriptor)
        except BaseException:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)
        self.events.append(event)

    def rewrite(self, events: Iterable[Event]) -> None:
        """Put other events in the place of all, whole or not at all."""
        kept = list(events)
        content = "".join(map(render, kept)).encode()
        write(self.path, content, 0o600)
        os.close(self._descriptor)
        self.events, self._size = kept, len(content)
        self._descriptor = self._open()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
