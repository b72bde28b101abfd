"""What this machine is, asked in the way that each system has: cores, and what a process is."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path


def cores() -> int:
    """Count the cores that this process may use; where nobody limits it, all."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def command_line(pid: str) -> str:
    """Return how a process was started; empty if there is none of that number."""
    path = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return os.fsdecode(path.read_bytes().replace(b"\0", b" "))
        except OSError:
            return ""
    done = subprocess.run(["ps", "-o", "command=", "-p", pid], capture_output=True, text=True, check=False)
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
