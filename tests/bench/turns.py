"""What all measures of the step share: contenders that take turns, the machine's peaks, tables."""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress

from tests.bench.flops import convolution_peak
from tests.bench.ours import BF16, SAVINGS, UNLABELLED, pages
from tests.bench.peers import Step

FP32, OURS_BF16 = "exact", "both savings, bf16"
KEPT = "plain, pages kept"
KINDS: dict[str, tuple[str, ...]] = {
    FP32: UNLABELLED,
    "both savings": (*UNLABELLED, *SAVINGS),
    OURS_BF16: (*UNLABELLED, *SAVINGS, *BF16),
}
HALF_LEFT = 0.9  # of fp32's peak: a CPU whose bf16 is slower than that only emulates it


def computes_bf16(peaks: dict[str, float]) -> bool:
    """Tell whether a CPU of these peaks computes in bf16 and does not emulate it."""
    return peaks["bf16"] > HALF_LEFT * peaks["fp32"]


@dataclass
class Bench:
    """What all sections share: the machine's peaks (GFLOP/s of a thread), options, progress."""

    rounds: int | None
    zoo: Path | None
    progress: Progress
    peaks: dict[str, float]

    @property
    def has_bf16(self) -> bool:
        """Whether bf16 is worth timing here."""
        return computes_bf16(self.peaks)

    def say(self, text: str) -> None:
        """Tell how far it is."""
        self.progress.console.print(f"{time.strftime('%H:%M:%S')} {text}", style="dim")

    def measure_peaks(self) -> None:
        """Measure the peaks again and keep the better."""
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            self.peaks[name] = max(self.peaks.get(name, 0.0), convolution_peak(dtype))


def in_turns(ways: dict[str, Step], rounds: int, between: Callable[[str], None]) -> dict[str, list[float]]:
    """Time each way `rounds` times (CPU seconds), another one first in every round."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        order = list(ways)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            between(name)
            begin = time.process_time()
            ways[name]()
            seen[name].append(time.process_time() - begin)
    return seen


def settle(name: str) -> None:
    """Give each contender the memory it has at home: only ours keeps freed pages."""
    gc.collect()
    pages(name in KINDS or name == KEPT)


def machine(peaks: dict[str, float]) -> str:
    """Say where it was measured."""
    models = [
        line.partition(":")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    of = models[0].strip() if models else platform.machine()
    told = ", ".join(f"{name} {value:.0f}" for name, value in peaks.items())
    bf16 = "" if computes_bf16(peaks) else " It only emulates bf16, which is not timed therefore."
    return f"One thread of {of}, torch {torch.__version__}; convolutions reach, in GFLOP/s: {told}.{bf16}"


def head(cells: Sequence[str]) -> tuple[str, str]:
    """Write the two lines that a table begins with."""
    return row(*cells), "|" + "---|" * len(cells)


def row(*cells: object) -> str:
    """Write a line of a table."""
    return f"| {' | '.join(map(str, cells))} |"
