"""What is checked, in this order: what is wanted most comes first, since time may run out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

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
    ladder = trial.method("mammogan").ladder.stages
    top, middle = ladder - 1, ladder // 2
    found = [
        Case("deepspeed", deepspeed, 30),
        Case("machine", machine_check.machine),
        *(
            Case(
                f"parity {name} {precision}",
                partial(agreement_checks.parity, name=name, precision=precision),
                6,
            )
            for name in METHODS
            for precision in PRECISIONS
        ),
        *(Case(f"resume {name}", partial(_resume, name=name), 6) for name in METHODS),
        Case(
            "resume augmented", partial(_resume, name="mammogan", overrides=agreement_checks.ALL_CHANGES), 6
        ),
        *(Case(f"drawing {name}", partial(agreement_checks.drawing, name=name)) for name in METHODS),
        Case("batches", partial(agreement_checks.batches, name="mammogan")),
        Case("waiting", partial(agreement_checks.waiting, name="mammogan")),
        Case("waiting plus", partial(agreement_checks.waiting, name="mammogan-plus")),
    ]
    timed = [
        (METHODS[0], precision, index) for index in _outside_in(ladder) for precision in ("bf16", "TF32")
    ]
    timed += [(METHODS[1], "bf16", index) for index in dict.fromkeys((top, middle, 0))]
    found += [
        Case(
            f"rung {name} {index} {precision}", partial(_rung, name=name, precision=precision, index=index), 6
        )
        for name, precision, index in timed
    ]
    found += [
        Case(f"price {index}", partial(_price, index=index), 10) for index in dict.fromkeys((top, middle))
    ]
    found += [
        Case(f"layout {index}", partial(_layout, index=index), 6)
        for index in dict.fromkeys((middle - 1, min(middle + 2, top)))
    ]
    found += [
        Case(f"compile {how}", partial(compile_checks.compiled, name="mammogan", how=how), 40)
        for how in ("default", "cuda-graphs")
    ]
    return found


def _outside_in(rungs: int) -> list[int]:
    """Order rungs: the largest first, which takes most of a run, then the smallest, and so on."""
    order = []
    low, high = 0, rungs - 1
    while low <= high:
        order += [high] if low == high else [high, low]
        low, high = low + 1, high - 1
    return order


def _resume(trial: Trial, name: str, overrides: tuple[str, ...] = ()) -> Iterator[Outcome]:
    return agreement_checks.resume(trial, name, *overrides)


def _rung(trial: Trial, name: str, precision: str, index: int) -> Iterator[Outcome]:
    return pace_checks.timed_stage(trial, name, precision, index)


def _price(trial: Trial, index: int) -> Iterator[Outcome]:
    return pace_checks.price(trial, METHODS[0], index)


def _layout(trial: Trial, index: int) -> Iterator[Outcome]:
    return pace_checks.layout(trial, METHODS[0], index)
