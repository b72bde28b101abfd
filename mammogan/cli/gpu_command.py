"""`mammogan doctor --gpu`: what holds on this machine's GPU, and how fast it trains."""

from __future__ import annotations

from pathlib import Path

from mammogan.errors import ClusterError, ConfigError

RESULTS, PAGE = "results.jsonl", "results.md"


def check_gpu(out: Path, device: str, minutes: float) -> None:
    """Check a device, tell what is found as it comes, and leave it in the folder `out`.

    Raises
    ------
    ConfigError
        If there is no such device.
    ClusterError
        If a check failed.
    """
    import typer

    from mammogan.cost import device_tables
    from mammogan.train.device_checks.check_outcomes import Outcome, ended
    from mammogan.train.device_checks.supervise import supervise

    device = _found(device)
    if device == "cpu":
        typer.echo(
            "A CPU stands in for the GPU, with tiny networks: this tries the checks, and measures nothing."
        )

    def on_outcome(outcome: Outcome) -> None:
        if outcome.status != "begun":
            typer.echo(device_tables.line(outcome))

    outcomes = ended(supervise(out / RESULTS, device, minutes, on_outcome))
    typer.echo("")
    for text in device_tables.pace_table(outcomes):
        typer.echo(text)
    if device_tables.machine(outcomes) is not None:
        (out / PAGE).write_text(device_tables.markdown(outcomes), encoding="utf-8")
        for (method, precision), calibration in device_tables.calibrations(outcomes).items():
            calibration.save(out / f"calibration-{method}-{precision.lower()}.json")
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("ok", "failed", "refused", "skipped")
    }
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    typer.echo(f"\n{words}. Everything is in '{out}'.")
    if counts["failed"]:
        raise ClusterError(f"{counts['failed']} checks of '{device}' failed: they are marked ✗ above.")


def _found(device: str) -> str:
    """Return the device that is meant: without a name the first GPU, or the CPU where there is none.

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    import torch

    count = torch.cuda.device_count()
    known = ("cpu", *(f"cuda:{number}" for number in range(count)))
    if not device:
        return known[min(1, count)]
    device = "cuda:0" if device == "cuda" else device
    if device not in known:
        raise ConfigError(
            f"--device '{device}': PyTorch {torch.__version__} (for CUDA {torch.version.cuda}) sees "
            f"{count} GPUs here. Allowed: {', '.join(known)}."
        )
    return device


def write_page(results: Path, page: Path) -> None:
    """Put what was measured into a page, in the place of its estimate.

    Raises
    ------
    ConfigError
        If nothing was measured, or on a CPU.
    """
    from mammogan.cost import device_tables
    from mammogan.train.device_checks.check_outcomes import read

    outcomes = read(results)
    found = device_tables.machine(outcomes)
    if found is None or found.kind == "cpu":
        raise ConfigError(
            f"'{results}' holds no measurement of a GPU: make one with `make gpu` on a machine with one."
        )
    device_tables.replace_section(page, device_tables.markdown(outcomes))
