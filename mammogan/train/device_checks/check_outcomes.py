"""What a check of a GPU found: a line of JSON each, written as it comes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mammogan.run_records import Record

Status = Literal["begun", "ok", "failed", "refused", "skipped"]
"""``refused``: can't be had here, and `found` says why; ``begun``: the line before a check's outcome."""


class Kernel(Record):
    """A kernel of a step: milliseconds, part of all kernels' time, and how often it is launched."""

    name: str
    ms: float
    share: float
    calls: int


class Pace(Record):
    """How fast steps of one rung are, at the batch that is timed, and how many images fit."""

    method: str
    precision: str
    stage: int
    height_px: int
    width_px: int
    batch: int
    step_ms: float
    images_per_s: float
    image_s: float
    beside_s: float
    """Of a step, whatever its batch."""
    largest_batch: int = 0
    largest_stopped_by: str = ""
    memory_gb: float = 0.0
    """Of the device, at the largest batch."""
    kernels: tuple[Kernel, ...] = ()
    kernels_from: str = ""

    @property
    def resolution(self) -> str:
        """Name the resolution."""
        return f"{self.height_px}x{self.width_px}"


class Machine(Record):
    """The device and what it was measured to reach: TFLOP/s by precision, and TB/s read and written."""

    device: str
    kind: str
    torch: str
    python: str
    cuda: str
    cudnn: str
    driver: str
    deepspeed: str
    tflops: dict[str, float]
    tb_s: float
    overrides: tuple[str, ...] = ()
    """Of the methods that are timed: a CPU has tiny ones."""


class Outcome(Record):
    """One thing that was checked."""

    check: str
    subject: str
    status: Status
    found: str = ""
    seconds: float = 0.0
    machine: Machine | None = None
    pace: Pace | None = None

    @property
    def name(self) -> str:
        """Name what was checked."""
        return f"{self.check} {self.subject}".strip()


def append(path: Path, outcome: Outcome) -> None:
    """Add a line, which is on the disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(outcome.model_dump_json(exclude_defaults=True) + "\n")


def read(path: Path) -> list[Outcome]:
    """Read what was found so far; a line that was cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(Outcome.model_validate_json(line))
        except ValueError:
            continue
    return found


def ended(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Leave out that checks began."""
    return [outcome for outcome in outcomes if outcome.status != "begun"]
