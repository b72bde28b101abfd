"""What was found as tables: in words for a terminal, and in Markdown for docs/cost.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.cost.estimate import Data, Measurements, cost
from mammogan.cost.flops import Work, work
from mammogan.errors import ConfigError
from mammogan.train.device_checks.check_outcomes import Machine, Outcome, Pace, ended

MARKS = {"ok": "✓", "failed": "✗", "refused": "–", "skipped": "–"}
BEGIN, END = "<!-- GPU, measured by make gpu -->", "<!-- end of GPU -->"
GPUS = (1, 8)
"""Numbers of ranks for which hours are reckoned."""


def line(outcome: Outcome) -> str:
    """Write an outcome as a line of a terminal."""
    words = "skipped: " if outcome.status == "skipped" else "refused: " if outcome.status == "refused" else ""
    return f"{MARKS[outcome.status]} {outcome.name}: {words}{outcome.found}"


def paces(outcomes: Iterable[Outcome]) -> list[Pace]:
    """Give what is known last of each rung, smallest first."""
    found: dict[tuple[str, str, int], Pace] = {}
    for outcome in outcomes:
        if (pace := outcome.pace) is not None:
            found[pace.method, pace.precision, pace.height_px] = pace
    return [found[key] for key in sorted(found)]


def machine(outcomes: Iterable[Outcome]) -> Machine | None:
    """Give the device that was measured."""
    return next((outcome.machine for outcome in outcomes if outcome.machine is not None), None)


def _counted(pace: Pace, device: Machine) -> Work:
    """Count the work of a step as it was timed: with its penalty."""
    method = load_method(pace.method, (*device.overrides, "loss.penalty_every=1"))
    return work(method, schedule.plan(method)[pace.stage])


def fractions(pace: Pace, device: Machine) -> tuple[float, float]:
    """Give the fractions of what the device's arithmetic and memory reach that a step does."""
    counted, seconds = _counted(pace, device), pace.step_ms / 1000
    narrower = 0.5 if pace.precision == "bf16" else 1.0  # counted traffic is of numbers of 4 bytes
    moved = pace.batch * counted.traffic * narrower + counted.step_traffic
    reached = device.tflops.get(pace.precision, device.tflops["fp32"]) * 1e12
    return pace.batch * counted.flops / seconds / reached, moved / seconds / (device.tb_s * 1e12)


def calibrations(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], Calibration]:
    """Make what `mammogan cost --calibration` takes, by method and precision."""
    device, found = machine(outcomes), dict[tuple[str, str], list[Measured]]()
    if device is None:
        return {}
    for p in paces(outcomes):
        gflop = _counted(p, device).flops / 1e9
        timed = Measured(p.height_px, p.width_px, p.batch, p.images_per_s, gflop, p.image_s, p.beside_s)
        found.setdefault((p.method, p.precision), []).append(timed)
    return {
        (method, precision): Calibration(device.device, device.kind, method, precision, tuple(rungs))
        for (method, precision), rungs in found.items()
    }


def pace_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Write how fast each rung is."""
    device = machine(outcomes)
    yield from _head(
        "method", "stage", "precision", "batch", "step ms", "images/s", "of arithmetic", "of bandwidth",
        "largest batch", "GB then", "ended by",
    )  # fmt: skip
    for p in paces(outcomes):
        of = [f"{x:.2f}" for x in fractions(p, device)] if device else ["", ""]
        yield _row(
            p.method, p.resolution, p.precision, p.batch, f"{p.step_ms:.1f}", f"{p.images_per_s:.4g}", *of,
            p.largest_batch or "", f"{p.memory_gb:.1f}", p.largest_stopped_by,
        )  # fmt: skip


def kernel_table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Write which kernels take longest in each rung."""
    yield from _head("method", "stage", "precision", "ms a step", "share", "calls", "kernel")
    for p in paces(outcomes):
        for kernel in p.kernels:
            name = kernel.name.replace("|", "/")
            cells = f"{kernel.ms:.2f}", f"{kernel.share:.2f}", kernel.calls, f"`{name}`"
            yield _row(p.method, p.resolution, p.precision, *cells)


def hours_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Write what whole schedules take by what was measured; penalties as rarely as the method has them."""
    device = machine(outcomes)
    yield from _head("method", "precision", *(f"hours on {count}" for count in GPUS))
    for (name, precision), calibration in calibrations(outcomes).items():
        cells = []
        for count in GPUS:
            method = load_method(name, device.overrides if device else ())
            try:
                hours = cost(method, Data.expected(100_000, method), count, Measurements(calibration)).hours
            except ConfigError:
                cells.append("")
                continue
            known = len(calibration.rungs) == method.ladder.stages
            cells.append(f"{hours:.1f}{'' if known else ' ~'}")
        yield _row(name, precision, *cells)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Write the section of docs/cost.md."""
    found, device = ended(outcomes), machine(outcomes)
    if device is None:
        raise ConfigError("No device was measured: the check 'machine' has no outcome.")
    rates = ", ".join(f"{rate:.3g} TFLOP/s in {name}" for name, rate in device.tflops.items())
    lines = [
        f"{device.device}, torch {device.torch}, CUDA {device.cuda}, cuDNN {device.cudnn}, driver "
        f"{device.driver}, Python {device.python}, DeepSpeed {device.deepspeed}. Matrices reach {rates}, "
        f"and a copy {device.tb_s:.3g} TB/s: fractions are of these. Every step has its penalty.",
        "",
        *pace_table(found),
        "",
        "Hours of whole schedules by these. The reduction of gradients is assumed, and where there is a ~, "
        "rungs that were not timed go by their work:",
        "",
        *hours_table(found),
        "",
        "What was checked:",
        "",
        *_head("check", "outcome", "found"),
        *(
            _row(outcome.name, outcome.status, outcome.found.replace("|", "/"))
            for outcome in found
            if outcome.pace is None
        ),
        "",
        "The kernels of a step that take longest:",
        "",
        *kernel_table(found),
    ]
    return "\n".join(lines) + "\n"


def replace_section(page: Path, text: str) -> None:
    """Put `text` between the marks of a page.

    Raises
    ------
    ConfigError
        If the page has no such marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, finish, after = rest.partition(END)
    if not begin or not finish:
        raise ConfigError(f"'{page}' has no place for it: write '{BEGIN}' and '{END}' on lines of their own.")
    page.write_text(f"{before}{begin}\n{text}{finish}{after}", encoding="utf-8")


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
