"""The GPUs of this machine, and which task has which: no two tasks get the same one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Hashable, Mapping
from itertools import takewhile

from mammogan.config.resource import Resources
from mammogan.config.run_config import Launched

VISIBLE = "CUDA_VISIBLE_DEVICES"


def of_this_machine(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """List the GPUs that may be used here, as `VISIBLE` names them: what it allows, else all there are."""
    allowed = (os.environ if environ is None else environ).get(VISIBLE)
    if allowed is not None:
        return _allowed(allowed)
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.splitlines() if line.strip().isdigit())


def lendable(most: int) -> tuple[str, ...]:
    """List the GPUs that tasks may be lent; where nobody lists or hides them, as many as a task asks for."""
    return of_this_machine() or (() if VISIBLE in os.environ else tuple(map(str, range(most))))


def _allowed(text: str) -> tuple[str, ...]:
    """Read `VISIBLE` as CUDA does: what follows a word that names no GPU is not seen, as ``-1`` or nothing.

    One that stands there twice makes CUDA see none at all.
    """
    words = [word.strip() for word in text.split(",")]
    names = tuple(takewhile(lambda word: word.isdigit() or word.startswith(("GPU-", "MIG-")), words))
    return names if len({*names}) == len(names) else ()


def idle_notice(run: Launched) -> str:
    """Say that this machine has GPUs which a run without scheduler doesn't use; empty if it uses them."""
    classes = (run.site.resources.of(name) for name in Resources.model_fields)
    if any(each.device == "cuda" for each in classes) or not (there := of_this_machine()):
        return ""
    count = f"{len(there)} GPUs" if len(there) > 1 else "a GPU"
    site = run.site.site.name
    rest = "computes on the CPU alone: --site workstation uses them."
    return f"This machine has {count}, and the site '{site}' {rest}"


class GpuSlots:
    """GPUs that are lent to tasks; `names` are those of the machine."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._lent: dict[Hashable, tuple[str, ...]] = {}

    @property
    def free(self) -> tuple[str, ...]:
        """GPUs that nobody has."""
        lent = {name for names in self._lent.values() for name in names}
        return tuple(name for name in self.names if name not in lent)

    def take(self, task: Hashable, count: int) -> tuple[str, ...]:
        """Lend `count` GPUs to a task; as many must be free."""
        assert count <= len(self.free)
        self._lent[task] = self.free[:count]
        return self._lent[task]

    def keep(self, running: Collection[Hashable]) -> None:
        """Take back the GPUs of tasks that run no more."""
        self._lent = {task: names for task, names in self._lent.items() if task in running}
