"""Ctrl-C, SIGTERM and SIGHUP: a command cleans up, says in one line what goes on, and ends without traceback.

The exit code is 128 and the signal's number, as shells have it: 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 15.0
"""Signals that follow the first one within so long are not heard: what it has begun to end takes its time."""


@dataclass
class _Interruption:
    """The signal that was caught, when, what is to be said of it, and whether it was."""

    number: int = 0
    at: float = 0.0
    words: str = "Stopped; no file was left half-written. The same command does the rest, or begins anew."
    is_written: bool = False


_current = _Interruption()


def explain(words: str) -> None:
    """Choose what is said at the end, instead of the words for any command."""
    _current.words = words


@contextmanager
def quietly() -> Iterator[None]:
    """Run a command line whose end by a signal is one line on stderr and an exit code.

    What the shell has told this process to ignore, as nohup does, stays ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _catch)
    try:
        yield
    except BaseException:  # whatever the signal has led to, as a worker that it killed
        if not _current.number:
            raise
    if _current.number:
        _end()


def _end() -> NoReturn:
    if not _current.is_written:
        _current.is_written = True
        with suppress(OSError, ValueError):  # the terminal may be gone
            sys.stderr.write(f"\n{_current.words}\n" if sys.stderr.isatty() else f"{_current.words}\n")
    for number in SIGNALS:  # Python puts its handlers away before it has ended
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + _current.number)


@contextmanager
def answered() -> Iterator[None]:
    """Let INT and TERM end the block by `KeyboardInterrupt`, even if a shell started it in the background."""
    before = {number: signal.signal(number, _catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def left_to_parent() -> Iterator[None]:
    """Start processes in the block that Ctrl-C does not reach: their parent ends them, without tracebacks.

    They inherit that it is ignored, also through a shell. What this process is sent meanwhile waits until the
    end of the block, if it is in the main thread. Whoever uses `multiprocessing` starts its resource tracker
    before, which unblocks the signal.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _catch(number: int, frame: FrameType | None) -> None:
    if not _current.number:
        _current.number, _current.at = number, time.monotonic()
        threading.excepthook = lambda _: None  # as of a pool whose workers the signal has ended, too
        raise KeyboardInterrupt
    if time.monotonic() - _current.at > PATIENCE_S:
        os._exit(128 + number)
