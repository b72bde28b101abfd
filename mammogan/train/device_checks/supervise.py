"""Runs all checks of a device, in a process that may die: another goes on behind the check that killed it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mammogan.train.device_checks.check_outcomes import Outcome, append, read

STALLED_S = 90.0
"""A check that says nothing for so long is ended, and the next one begun in another process."""

UNUSABLE = 70
"""Exit code of a process whose device answers no more, as after a wrong memory access: another goes on."""
OnOutcome = Callable[[Outcome], None]


def supervise(
    out: Path,
    device: str,
    minutes: float,
    on_outcome: OnOutcome,
    *,
    stalled_s: float = STALLED_S,
    only: str = "",
) -> list[Outcome]:
    """Check `device` for at most so many minutes; the outcomes go to `out` as they come, and are returned."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    end, reported = time.monotonic() + 60 * minutes, 0
    while True:
        before = len(read(out))
        left_s = end - time.monotonic()
        arguments = ["--device", device, "--seconds", f"{left_s:.1f}", "--only", only]
        environment = os.environ | {"KINETO_LOG_LEVEL": "99"}  # of the profiler, which tells of every start
        if device == "cpu":  # DeepSpeed takes a GPU wherever it sees one
            environment["CUDA_VISIBLE_DEVICES"] = ""
        child = subprocess.Popen([sys.executable, "-m", __name__, str(out), *arguments], env=environment)
        moved = time.monotonic()
        while True:
            ended = child.poll() is not None
            outcomes = read(out)
            for outcome in outcomes[reported:]:
                moved = time.monotonic()
                on_outcome(outcome)
            reported = len(outcomes)
            if ended:
                break
            if time.monotonic() - moved > stalled_s or time.monotonic() > end + stalled_s:
                child.kill()
            time.sleep(0.1)
        if child.returncode == 0:
            return outcomes
        why = f"its process ended with code {child.returncode}"
        if child.returncode == -9:
            why = f"it came to no end within {stalled_s:.0f} s, or memory ran out, and was killed"
        if len(outcomes) == before:
            append(out, Outcome(check="start", subject="", status="failed", found=why))
            on_outcome(read(out)[-1])
            return read(out)
        if outcomes[-1].status == "begun":
            append(out, Outcome(check=outcomes[-1].check, subject="", status="failed", found=why))


def check(out: Path, device: str, seconds: float, only: str = "") -> None:
    """Do all checks that `out` does not tell of yet, in this process, as far as the time goes."""
    import torch

    from mammogan.train.device_checks.check_cases import cases
    from mammogan.train.device_checks.device_trial import Trial

    trial = Trial(torch.device(device), time.monotonic() + seconds)
    done = {outcome.check for outcome in read(out) if outcome.status == "begun"}
    for case in cases(trial):
        if case.name in done or not case.name.startswith(only):
            continue
        append(out, Outcome(check=case.name, subject="", status="begun"))
        if trial.left_s < (0 if trial.tiny else case.needs_s):
            found = f"no time was left: it takes {case.needs_s:.0f} s; give more minutes"
            append(out, Outcome(check=case.name, subject="", status="skipped", found=found))
            continue
        begin = time.monotonic()
        try:
            for outcome in case.run(trial):
                append(out, outcome.model_copy(update={"seconds": round(time.monotonic() - begin, 2)}))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
            words = str(error).strip().splitlines() or [""]
            found = f"{type(error).__name__}: {words[0][:300]}"
            append(out, Outcome(check=case.name, subject="", status="failed", found=found))
            if not trial.usable():
                sys.exit(UNUSABLE)
            trial.free()


def main() -> None:
    """Do what `supervise` asks of a process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    check(given.out, given.device, given.seconds, given.only)


if __name__ == "__main__":
    main()
