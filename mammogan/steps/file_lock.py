"""Taking turns at work that many tasks need and one has to do: a lock file whose owner shows to be alive."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEAT_S, STALE_S, LOOK_S = 15.0, 180.0, 1.0
"""How often an owner shows that it lives, after what silence it is taken for dead, how often others look."""


@contextmanager
def turn(lock: Path, made: Path) -> Iterator[bool]:
    """Wait until it is one's turn, which is True, or until another has made `made`, which is False.

    An owner that died is followed by another. Locks of the file system are not asked for, since parallel ones
    often have none. In the worst case two own the lock at once, so the work must come to the same when it is
    done twice.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    while not _taken(lock):
        if made.exists():
            yield False
            return
        if _silent(lock):
            lock.unlink(missing_ok=True)
        else:
            time.sleep(LOOK_S)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(lock, done), daemon=True)
    beating.start()
    try:
        yield not made.exists()
    finally:
        done.set()
        beating.join()
        lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def _silent(lock: Path) -> bool:
    """Whether the owner shows no life, by the file system's own clock."""
    probe = lock.with_name(f".{lock.name}.{socket.gethostname()}.{os.getpid()}.now")
    try:
        probe.touch()
        return probe.stat().st_mtime - lock.stat().st_mtime > STALE_S
    except FileNotFoundError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _beat(lock: Path, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            os.utime(lock)
        except OSError:
            return  # it was taken for dead and followed
