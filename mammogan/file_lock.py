"""One process at a time: the file system's own locks, and a file that names its owner where there are none.

The kernel frees its lock when a process ends, however that happens. Parallel and network file systems may be
mounted without locks; there the owner's file is made with O_EXCL, and a heartbeat tells whether the owner
lives. An owner that was killed on this machine is followed at once.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

from mammogan.errors import MammoganError
from mammogan.lock_owner import Owner

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None

log = logging.getLogger(__name__)

BEAT_S, STALE_S, LOOK_S = 15.0, 180.0, 1.0
"""How often an owner shows that it lives, after what silence it is taken for dead, how often others look."""
BUSY = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, 524})
"""What file systems without locks answer; 524 is the kernel's own ENOTSUPP, which some let through."""
OWNER = ".owner"
"""What the name of the owner's file adds to that of the lock."""

_noted: set[Path] = set()


class LockedError(MammoganError):
    """Another process holds a lock.

    Attributes
    ----------
    owner, who
        That process, as far as it is known, and the same in words.
    way_out
        What to do if it is gone after all; empty where the kernel itself frees the lock.
    silent_s
        For how long an owner on another machine has shown no life; None of one that is known to live.
    """

    def __init__(
        self, path: Path, owner: Owner | None, way_out: str = "", silent_s: float | None = None
    ) -> None:
        self.owner, self.way_out, self.silent_s = owner, way_out, silent_s
        self.who = str(owner or "another process")
        super().__init__(f"'{path}' is held by {self.who}.{way_out}")


@contextmanager
def locked(path: Path, mode: int = 0o666, wait: bool = False, take_silent: bool = False) -> Iterator[None]:
    """Hold the lock at `path` during the block.

    Parameters
    ----------
    mode
        Permissions of the lock's file, but for the umask.
    wait
        Wait until it is free, instead of raising.
    take_silent
        Where the file system has no locks: follow an owner on another machine that has shown no life for
        `STALE_S`, instead of leaving that to the user.

    Raises
    ------
    LockedError
        If another process holds it.
    """
    silent_s = 0.0
    while True:
        try:
            release = acquire(path, mode, take_silent)
            break
        except LockedError as error:
            alive = error.silent_s is None or error.silent_s < silent_s  # it has shown life meanwhile
            if not wait and (alive or not take_silent):
                raise
            silent_s = error.silent_s or 0.0
            time.sleep(LOOK_S)
    try:
        yield
    finally:
        release()


@contextmanager
def turn(lock: Path, made: Path) -> Iterator[bool]:
    """Wait until it is one's turn, which is True, or until another has made `made`, which is False.

    An owner that died is followed by another. In the worst case two own the lock at once, so the work must
    come to the same when it is done twice. Locks of the file system are not asked for: it may have them on
    each node for itself.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            release = _own(lock, 0o600, take_silent=True)
            break
        except LockedError:
            if made.exists():
                yield False
                return
            time.sleep(LOOK_S)
    try:
        yield not made.exists()
    finally:
        release()


def acquire(path: Path, mode: int = 0o666, take_silent: bool = False) -> Callable[[], None]:
    """Take the lock at `path`, and return what gives it back; see `locked`.

    Raises
    ------
    LockedError
        If another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    why = _kernel_locks(descriptor, path)
    if why:
        os.close(descriptor)
        owner = path.with_name(path.name + OWNER)
        if path.parent not in _noted:
            _noted.add(path.parent)
            log.warning(
                "'%s' has no locks (%s): a file says who is at work, as '%s'", path.parent, why, owner.name
            )
        return _own(owner, mode, take_silent)
    with suppress(OSError):  # it only informs
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, Owner.this_process().line.encode(), 0)

    def release() -> None:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)

    return release


def owner_of(path: Path) -> Owner | None:
    """Tell who holds the lock at `path`, or was killed with it."""
    return Owner.read(path) or Owner.read(path.with_name(path.name + OWNER))


def missing_locks(folder: Path) -> str:
    """Say why the file system of a folder has no locks, by trying; empty if it has them."""
    probe = folder / f".mammogan-{socket.gethostname()}-{os.getpid()}.lock"
    descriptor = os.open(probe, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return _kernel_locks(descriptor, probe)
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)


def sqlite_uri(path: Path) -> str:
    """Return the URI that opens a file of SQLite which no other process opens meanwhile.

    SQLite finds every file locked, or its disk broken, where there are no locks, unless it is not to look.
    """
    return f"file:{quote(str(path))}" + ("?nolock=1" if missing_locks(path.parent) else "")


def _kernel_locks(descriptor: int, path: Path) -> str:
    """Take the file system's lock; give why there is none. The descriptor is closed if another has it."""
    if fcntl is None:
        return "this system has none"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return error.strerror or str(error)
        os.close(descriptor)
        if error.errno in BUSY:
            raise LockedError(path, Owner.read(path)) from None
        raise OSError(error.errno, error.strerror, str(path)) from None
    return ""


def _own(path: Path, mode: int, take_silent: bool) -> Callable[[], None]:
    """Make the owner's file at `path`, and return what removes it."""
    mine = Owner.this_process()
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            break
        except FileExistsError:
            other = Owner.read(path)
        if other and other.on_this_machine:
            if other.is_running:
                raise LockedError(path, other, _way_out(path)) from None
            _follow(path, other)
            continue
        silent_s = _silent_s(path)
        if silent_s is None:
            continue  # given back just now
        if silent_s > STALE_S and (take_silent or other is None or other.host == mine.host):
            log.warning("'%s' was left by %s", path, other or "a process that died as it was made")
            _follow(path, other)
            continue
        raise LockedError(path, other, _way_out(path, silent_s), silent_s) from None
    try:
        os.write(descriptor, mine.line.encode())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, done), daemon=True)
    beating.start()

    def release() -> None:
        done.set()
        beating.join()
        if Owner.read(path) in (mine, None):  # else it was taken for dead and followed
            path.unlink(missing_ok=True)

    return release


def _follow(path: Path, dead: Owner | None) -> None:
    """Remove a dead owner's file, unless another process was quicker: one at a time may remove it."""
    guard = path.with_name(f".{path.name}.following")
    try:
        os.close(os.open(guard, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if (_silent_s(guard) or 0.0) > 10 * LOOK_S:  # killed as it did just this
            guard.unlink(missing_ok=True)
        time.sleep(LOOK_S / 100)
        return
    try:
        if Owner.read(path) == dead:
            path.unlink(missing_ok=True)
    finally:
        guard.unlink(missing_ok=True)


def _way_out(path: Path, silent_s: float = 0.0) -> str:
    silence = f" It has shown no life for {silent_s / 60:.0f} min." if silent_s > STALE_S else ""
    return f"{silence} If no such process runs there any more, delete '{path}'."


def _silent_s(path: Path) -> float | None:
    """Seconds without a sign of life of the owner, by the file system's own clock; None if it is gone."""
    probe = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.now")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return None
    finally:
        probe.unlink(missing_ok=True)


def _beat(path: Path, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            os.utime(path)
        except OSError:
            return  # it was taken for dead and followed
