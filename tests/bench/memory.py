"""Peak memory of the first step of a fresh process, one process after the other.

    python -m tests.bench.memory plain 5 4 8 1      (contender, base height and width, stage, batch)

Shapes are of full width (channels_base 8192, channels_max 512).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ours import BF16, PLUS, SAVINGS, UNLABELLED, ours, pages
from tests.bench.peers import Shape, Step, plain

OURS = {
    "exact": UNLABELLED,
    "savings": (*UNLABELLED, *SAVINGS),
    "bf16": (*UNLABELLED, *SAVINGS, *BF16),
    "plus": (*UNLABELLED, *PLUS),
}


@dataclass(frozen=True)
class Peak:
    """Gigabytes (1e9 bytes) of resident memory at most, and CPU seconds of the step."""

    gb: float
    cpu_s: float


def slope(one: Peak, two: Peak, images: int = 1) -> float:
    """Give the gigabytes that each of `images` more adds."""
    return (two.gb - one.gb) / images


def peak(contender: str, shape: Shape) -> Peak:
    """Run one step of `contender` in a process of its own."""
    place = (*shape.base_px, shape.stage, shape.batch)
    command = [sys.executable, "-m", "tests.bench.memory", contender, *map(str, place)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=one_thread, check=True, stdout=subprocess.PIPE, text=True)
    return Peak(**json.loads(ran.stdout.splitlines()[-1]))


def _resident_gb() -> float:
    """Read the peak of this very process; that of getrusage can be its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e9


def main() -> None:
    """Do one step and say what it took."""
    contender, *place = sys.argv[1:]
    height, width, stage, batch = map(int, place)
    shape = Shape((height, width), stage, batch)
    pages(contender != "plain")
    step: Step = plain(shape) if contender == "plain" else ours(shape, *OURS[contender])
    begin = time.process_time()
    step()
    spent = {"gb": _resident_gb(), "cpu_s": time.process_time() - begin}
    sys.stdout.write(f"{json.dumps(spent)}\n")


if __name__ == "__main__":
    main()
