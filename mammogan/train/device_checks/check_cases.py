"""What is checked, in this order: what is wanted most comes first, since time may run out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from mammogan.train.device_checks import agreement_checks, compile_checks, machine_check, pace_checks
from mammogan.train.device_checks.check_outcomes import Outcome
from mammogan.train.device_checks.device_trial import PRECISIONS, Trial, alone, end, noise_batch, prepared

METHODS = ("mammogan", "mammogan-plus")
"""The papers' method, every rung of which is timed, and ours, a few of whose are."""


@dataclass(frozen=True)
class Case:
    """A check by its name; `run` gives outcomes as they come, and `needs_s` is what it takes on a GPU."""

    name: str
    run: Callable[[Trial], Iterator[Outcome]]
    needs_s: float = 4.0


def deepspeed(trial: Trial) -> Iterator[Outcome]:
    """Take a step by DeepSpeed's engines; if they don't start here, all other steps do without them."""
    method = trial.narrow("mammogan")
    stage = alone(method, 0, 8)
    try:
        with prepared(trial, method):
            gan_step = trial.gan_step(method, stage)
            gan_step.step(noise_batch(method, stage, 8, trial.device), 1.0, 0)
            trial.wait()
            on = {str(p.device) for p in gan_step.generator.parameters()}
            end(gan_step)
    except Exception as error:  # noqa: BLE001 - what it may raise here is what this is to find out
        trial.bare = True
        trial.__dict__.pop("group", None)
        words = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}; all else is without it"
        yield Outcome(check="deepspeed", subject="", status="failed", found=words)
        return
    yield Outcome(
        check="deepspeed", subject="", status="ok", found=f"takes a step on {', '.join(sorted(on))}"
    )


def cases(trial: Trial) -> list[Case]:
    """List all checks of the device."""
    papers, plus = METHODS
    ladder = trial.method(papers).ladder.stages
    top, middle = ladder - 1, ladder // 2
    agree = [
        _case(f"parity {name} {precision}", agreement_checks.parity, 6, name=name, precision=precision)
        for name in METHODS
        for precision in PRECISIONS
    ]
    agree += [_case(f"resume {name}", agreement_checks.resume, 6, name=name) for name in METHODS]
    changed = {"name": papers, "overrides": agreement_checks.ALL_CHANGES}
    agree += [_case("resume augmented", agreement_checks.resume, 6, **changed)]
    agree += [_case(f"drawing {name}", agreement_checks.drawing, name=name) for name in METHODS]
    agree += [_case("batches", agreement_checks.batches, name=papers)]
    agree += [_case(f"waiting {name}", agreement_checks.waiting, name=name) for name in METHODS]
    compiling = [
        _case(f"compile {how}", compile_checks.compiled, 40, name=papers, how=how)
        for how in ("default", "cuda-graphs")
    ]
    beside = [
        _case(f"price {index}", pace_checks.price, 25, name=papers, index=index) for index in {top, middle}
    ]
    beside += [
        _case(f"layout {index}", pace_checks.layout, 6, name=papers, index=index)
        for index in sorted({middle - 1, min(middle + 2, top)})
    ]
    return [
        _case("deepspeed", deepspeed, 30),
        _case("machine", machine_check.machine),
        *agree,
        *(_rung(papers, "bf16", index) for index in _outside_in(ladder)),
        *compiling,
        *(_rung(papers, "TF32", index) for index in _outside_in(ladder)),
        *beside,
        *(_rung(plus, "bf16", index) for index in sorted({0, middle, top}, reverse=True)),
    ]


def _case(title: str, check: Callable[..., Iterator[Outcome]], needs_s: float = 4.0, /, **given: Any) -> Case:
    return Case(title, partial(check, **given), needs_s)


def _rung(name: str, precision: str, index: int) -> Case:
    """Time a rung; kernels are listed in the arithmetic that trains, for listing them takes seconds."""
    given = {"name": name, "precision": precision, "index": index, "kernels": precision == "bf16"}
    return _case(f"rung {name} {index} {precision}", pace_checks.timed_stage, 6, **given)


def _outside_in(rungs: int) -> list[int]:
    """Order rungs: the largest first, which takes most of a run, then the smallest, and so on."""
    order = []
    low, high = 0, rungs - 1
    while low <= high:
        order += [high] if low == high else [high, low]
        low, high = low + 1, high - 1
    return order
