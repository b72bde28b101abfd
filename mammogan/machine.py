"""What this machine is, asked in the way that each system has: cores, memory, users and processes."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

pwd: ModuleType | None
resource: ModuleType | None
try:
    import pwd
    import resource
except ImportError:  # no Unix
    pwd = resource = None


def cores() -> int:
    """Count the cores that this process may use; where nobody limits it, all."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_peak_gb() -> float:
    """Return the most memory that this process has had, in GB; what it has now where nobody keeps count."""
    if resource is None:
        import psutil

        return float(psutil.Process().memory_info().rss / 2**30)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes; elsewhere KiB
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30)


def limit_memory(most_gb: int) -> None:
    """Refuse this process more data than `most_gb`, where the system can, and core dumps of what it holds."""
    if resource is None:
        return
    for kind, limit in ((resource.RLIMIT_DATA, most_gb << 30), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a stricter one is in force, or the system has none of this kind
            resource.setrlimit(kind, (limit, limit))


def user_name() -> str:
    """Name this process' user, as Slurm does; LOGNAME and the like may name another one."""
    if pwd is None:
        return getpass.getuser()
    try:
        return str(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:  # as in a container
        return str(os.geteuid())


def has_user(name: str) -> bool:
    """Whether this machine knows a user of that name."""
    try:
        return bool(pwd and pwd.getpwnam(name))
    except KeyError:
        return False


def command_line(pid: str) -> str:
    """Return how a process was started; empty if there is none of that number."""
    path = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return os.fsdecode(path.read_bytes().replace(b"\0", b" "))
        except OSError:
            return ""
    wide = ["ps", "-ww", "-o", "command=", "-p", pid]  # else it may be cut to the width of a screen
    done = subprocess.run(wide, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def end(pid: int, number: int) -> None:
    """Send a signal to a process and to all that were started below it, the youngest first.

    Where there is no ``ps``, as in small containers, to that process alone.
    """
    try:
        command = ["ps", "-A", "-o", "pid=,ppid="]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        listed = ""
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in pairs if its_parent == parent]
    for each in reversed(found):
        with suppress(ProcessLookupError):
            os.kill(each, number)
