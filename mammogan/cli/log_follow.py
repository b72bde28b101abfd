"""Following a log as it grows, over the job's restarts and new submissions."""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

POLL_S = 0.5
TAIL_BYTES = 16_384
MESSAGE = re.compile(rb"^[\d-]+ ([\d:]+),\d+ (?:INFO|WARNING|ERROR) (.+)$", re.MULTILINE)
"""A line that one of this package's jobs has logged."""


def followed(
    newest: Callable[[], Path], goes_on: Callable[[], bool], lines: int, ask_s: float = 5.0
) -> Iterator[str]:
    """Give the last `lines` of a log (0: all), then what is added, until `goes_on` says that it is over.

    `newest` names the file to read; when it names another one, or the file was replaced or cut short, that
    is read from its start. Both are asked every `ask_s` seconds, for the scheduler's sake.
    """
    path, last, first = Path(), False, True
    stream: BinaryIO | None = None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    asked = -ask_s
    try:
        while True:
            now = time.monotonic()
            if now - asked >= ask_s:
                asked, before, last = now, path, not goes_on()
                path = newest()
                if path != before:
                    yield f"==> {path} <==\n"
                    _close(stream)
                    stream, first = None, before == Path()
            if stream is None and path.exists():
                stream = path.open("rb")
                if first and lines:
                    _skip(stream, lines)
            if stream is not None:
                added = stream.read()
                if added:
                    yield decoder.decode(added)
                elif _replaced(stream, path):
                    _close(stream)
                    stream, first = None, False
                    continue
            if last:
                return
            time.sleep(POLL_S)
    finally:
        _close(stream)


def last_message(path: Path) -> str:
    """Return what a log says last, as ``12:03:04 ...``; empty if it says nothing yet."""
    try:
        with path.open("rb") as stream:
            stream.seek(-min(TAIL_BYTES, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            found = re.findall(MESSAGE, stream.read())
    except OSError:
        return ""
    time_of_day, words = found[-1] if found else (b"", b"")
    return f"{time_of_day.decode()} {words.decode(errors='replace').strip()}".strip()


def _skip(stream: BinaryIO, lines: int) -> None:
    """Go to where the last `lines` of a file begin."""
    text = stream.read()
    at = len(text) - text.endswith(b"\n")
    for _ in range(lines):
        at = text.rfind(b"\n", 0, max(at, 0))
        if at < 0:
            break
    stream.seek(at + 1)


def _replaced(stream: BinaryIO, path: Path) -> bool:
    """Tell whether another file, or a shorter one, lies where this one was opened."""
    try:
        there, mine = path.stat(), os.fstat(stream.fileno())
    except OSError:
        return False
    return there.st_ino != mine.st_ino or there.st_size < stream.tell()


def _close(stream: BinaryIO | None) -> None:
    if stream is not None:
        stream.close()
