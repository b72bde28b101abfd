"""A guard against slower training: CPU time of a kimg at every rung over that of a fixed loop, in one run.

The loop is nothing of ours: convolutions of a fixed size by torch, forward and backward. Ratios to it can be
compared between runs and, roughly, between machines; seconds can't.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional

from mammogan import schedule
from mammogan.files import write
from tests.bench.quality import pace
from tests.bench.quality.train_ours import method_for

BASELINE = Path(__file__).with_name("guard.json")
SLOWER = 1.25
ROUNDS, LEAST_S = 5, 0.1
METHODS = {"small": (80, 64)}
Ratios = dict[str, dict[str, float]]


def loop_s() -> float:
    """Return the CPU seconds of the fixed loop."""
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 64, 3, 3, generator=random, requires_grad=True)
    x = torch.randn(16, 64, 32, 32, generator=random, requires_grad=True)
    begin = time.process_time()
    functional.leaky_relu(functional.conv2d(x, weight, padding=1), 0.2).sum().backward()
    return time.process_time() - begin


def measure() -> Ratios:
    """Measure every rung of every guarded method, in loops a kimg: the median of rounds in turns.

    Each is timed next to a loop of its own, so that what else runs here slows both down.
    """
    torch.set_num_threads(1)
    loop_s()
    seen: dict[tuple[str, str], list[float]] = {}
    for name, size_px in METHODS.items():
        method = method_for(name, size_px, 1, ())
        steps = {
            (f"{name} {stage.height_px}x{stage.width_px}", phase): pace.timer(method, stage, fade)
            for stage in schedule.plan(method)
            for phase, fade in (("fade", 0.5), ("stable", 1.0))
            if stage.index or phase == "stable"
        }
        for _ in range(ROUNDS):
            for key, step_s in steps.items():
                around = loop_s()
                seen.setdefault(key, []).append(step_s(LEAST_S) / ((around + loop_s()) / 2))
    found: Ratios = {}
    for (rung, phase), ratios in seen.items():
        found.setdefault(rung, {})[phase] = median(ratios)
    return found


def compare(now: Ratios, before: Ratios) -> Iterator[str]:
    """Say every rung that is slower than it was by more than a quarter, or that is not there any more."""
    for rung, phases in before.items():
        if rung not in now:
            yield f"{rung} is in the baseline and wasn't measured: write it anew (--guard --write)."
            continue
        for phase, ratio in phases.items():
            if ratio and now[rung][phase] > SLOWER * ratio:
                yield (
                    f"{rung}, {phase}: {now[rung][phase]:.3g} loops a kimg, "
                    f"{now[rung][phase] / ratio:.2f} times the baseline's "
                    f"{ratio:.3g}; at most {SLOWER:g} is allowed."
                )


def check(say: Callable[[str], None], rewrite: bool) -> bool:
    """Measure and compare, a second time if it was slower; or write the baseline."""
    now = measure()
    if rewrite:
        rounded = {rung: {k: float(f"{v:.4g}") for k, v in phases.items()} for rung, phases in now.items()}
        tree = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
        write(BASELINE, json.dumps({**tree, "loops_per_kimg": rounded}, indent=1) + "\n")
        say(f"written: {BASELINE}")
        return True
    before: Ratios = json.loads(BASELINE.read_text(encoding="utf-8"))["loops_per_kimg"]
    if list(compare(now, before)):
        say("slower than the baseline: measured once more, the better counts")
        again = measure()
        now = {
            rung: {phase: min(value, again[rung][phase]) for phase, value in phases.items()}
            for rung, phases in now.items()
        }
    for rung, phases in now.items():
        old = before.get(rung, {})
        say(f"{rung}: " + ", ".join(f"{k} {v:.3g} (baseline {old.get(k, 0):.3g})" for k, v in phases.items()))
    slower = list(compare(now, before))
    for line in slower:
        say(line)
    return not slower
