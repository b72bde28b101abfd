"""What the kept folder's file system can do: locks, renames, O_EXCL, and how soon nodes see what is new."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mammogan.cluster.doctor.finding import Finding, ok, problem, warning
from mammogan.cluster.doctor.node_probe import Probe
from mammogan.file_lock import missing_locks

KEY = "storage.permanent"
SLOW_S = 5.0
"""From which delay on a step may begin before it sees what the one before has written."""
LOCKLESS = (
    "Runs work: a file beside each lock says who holds it (slurm/README.md). For MLflow set tracking.uri to "
    "a server. Mounting with locks (Lustre: -o flock) is better."
)


def on_this_machine(folder: Path) -> Iterator[Finding]:
    """Check on this machine what runs rely on in `folder`."""
    claim = f"the file system of '{folder}' on this machine"
    with tempfile.TemporaryDirectory(prefix=".mammogan-doctor-", dir=folder) as name:
        place = Path(name)
        if why := missing_locks(place):
            yield warning(claim, f"has no locks: {why}", KEY, LOCKLESS)
        lost = [words for words, works in NEEDED.items() if not _works(works, place)]
        for words in lost:
            yield problem(claim, f"has no {words}", KEY, "Name a folder on another file system.")
        if not lost:
            links = "hard links" if _works(_links, place) else "no hard links (which nothing needs)"
            found = ["locks"] * (not why) + [*NEEDED, links]
            yield ok(claim, f"has {', '.join(found)}", KEY)


def on_a_node(name: str, probe: Probe) -> Iterator[Finding]:
    """Check whether a node sees locks that this machine holds, and how long files take there and back."""
    claim, lock = f"locks in '{name}'", probe.answers.get(f"lock.{name.rstrip('/')}", "")
    if lock == "free":
        remedy = (
            "Launch, retry and sync a run from one machine at a time, or mount with locks that all nodes "
            "share (Lustre: -o flock instead of -o localflock)."
        )
        yield warning(claim, "each machine has its own: what is held here is free there", KEY, remedy)
    elif lock == "held":
        yield ok(claim, "are shared: held there, too, what is held here", KEY)
    elif lock:
        yield warning(claim, f"work here and not there: {lock}", KEY, LOCKLESS)
    claim, trip = f"files in '{name}' to the node and back", probe.answers.get("trip", "")
    with suppress(ValueError):
        seconds = float(trip)
        if seconds < SLOW_S:
            yield ok(claim, f"take {seconds:.1f} s", KEY)
        else:
            remedy = (
                "A step may not see yet what the one before has written, and fail. Mount with "
                "a shorter attribute cache (NFS: actimeo=3), or name another folder."
            )
            yield warning(claim, f"take {seconds:.1f} s", KEY, remedy)


def _works(action: Callable[[Path], bool], place: Path) -> bool:
    try:
        return action(place)
    except OSError:
        return False


def _renames(place: Path) -> bool:
    """Replace a file by another in one step."""
    (place / "old").write_text("old")
    (place / "new").write_text("new")
    (place / "new").replace(place / "old")
    return (place / "old").read_text() == "new" and not (place / "new").exists()


def _excludes(place: Path) -> bool:
    """Make a file that only one may make."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(place / "one", flags))
    try:
        os.close(os.open(place / "one", flags))
    except FileExistsError:
        return True
    return False


def _links(place: Path) -> bool:
    (place / "linked").write_text("")
    (place / "link").hardlink_to(place / "linked")
    return (place / "link").stat().st_nlink == 2


NEEDED: dict[str, Callable[[Path], bool]] = {"atomic rename": _renames, "O_EXCL": _excludes}
"""What no run does without, by the name that administrators know it by."""
