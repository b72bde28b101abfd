"""Who holds a lock: a process on a machine, as it stands in the lock's file, and whether it still runs."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """Who holds a lock: `machine` and `started` make out whether process `pid` is still the same one."""

    host: str
    pid: int
    since: str
    machine: str = ""
    started: str = ""

    @classmethod
    def this_process(cls) -> Owner:
        """Describe this process."""
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        return cls(socket.gethostname(), os.getpid(), now, _machine(), _started(os.getpid()))

    @classmethod
    def read(cls, path: Path) -> Owner | None:
        """Read who stands in a lock's file; None if nobody does, or it is torn."""
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            return cls(**tree) if isinstance(tree, dict) else cls("", int(tree), "")  # versions up to 0.2.0
        except (OSError, ValueError, TypeError):
            return None

    @property
    def line(self) -> str:
        """The owner as it stands in the lock's file."""
        return json.dumps(asdict(self))

    @property
    def on_this_machine(self) -> bool:
        """Whether its process number means something in this process' world."""
        alike = self.machine or self.host in ("", socket.gethostname())
        return os.name == "posix" and self.machine == _machine() and bool(alike)

    @property
    def is_running(self) -> bool:
        """Whether the process is there still, of an owner on this machine."""
        if self.started:
            return _started(self.pid) == self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True

    def __str__(self) -> str:
        place = f" on '{self.host}'" if self.host else ""
        return f"process {self.pid}{place}" + (f", since {self.since}" if self.since else "")


def _machine() -> str:
    """Name the world in which process numbers mean something: a start of the kernel, and a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since the kernel did; empty if it has ended, or nobody knows."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
