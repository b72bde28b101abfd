"""What a run that is over has used, drawn: when each step ran, how long, and on how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from mammogan.cli.run_tables import COLOURS, duration

if TYPE_CHECKING:
    from mammogan.cluster.job_usage import Usage
    from mammogan.cluster.run_state import NodeState

UNKNOWN = "unknown"


def usage_table(states: Sequence[NodeState], used: Mapping[str, Usage], title: str, *, gpus: bool) -> Table:
    """Draw a line a step with its hours, and their sum; of `gpus` only where the run had some.

    What nobody noted is ``unknown``, and a sum that lacks it ``> 1.20``.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("step", "state", "tasks", "began", "took", "starts\n(failed)", "CPU-\nhours"):
        side: JustifyMethod = "left" if column in ("step", "state") else "right"
        table.add_column(column, justify=side, no_wrap=True)
    if gpus:
        table.add_column("GPU-\nhours", justify="right", no_wrap=True)
    for state in states:
        colour = COLOURS[state.state]
        cells = _cells(used[state.node.name], gpus=gpus)
        table.add_row(
            state.node.name, f"[{colour}]{state.state}[/]", f"{state.done}/{state.node.tasks}", *cells
        )
    table.add_section()
    done, tasks = sum(state.done for state in states), sum(state.node.tasks for state in states)
    table.add_row("all", "", f"{done}/{tasks}", *_cells(total(used), gpus=gpus))
    return table


def usage_lines(used: Mapping[str, Usage], *, gpus: bool) -> list[RenderableType]:
    """Say in words when the run began and ended and what it took, and what of it is not known."""
    whole = total(used)
    if not whole.starts:
        return []
    hours = [f"{_hours(whole.cpu_hours, whole.unknown + whole.unknown_cpus)} CPU-hours"]
    if gpus:
        hours.append(f"{_hours(whole.gpu_hours, whole.unknown)} GPU-hours")
    began, ended, took = _times(whole, "%Y-%m-%d %H:%M:%S")
    ran = f"Began {began}, ended {ended}: {took}, {' and '.join(hours)}."
    lines = [] if whole.began is None else [Text(ran)]
    if names := [name for name, each in used.items() if each.unknown]:
        lines.append(
            Text(
                f"Unknown: how long {whole.unknown} tasks ran ({', '.join(names)}). There is no accounting "
                "by sacct that knows their jobs, and nothing of them in the run's folder spans.",
                style="yellow",
            )
        )
    if names := [name for name, each in used.items() if each.unknown_cpus]:
        lines.append(
            Text(
                f"Unknown: on how many CPUs {', '.join(names)} ran; an earlier version did not note it.",
                style="yellow",
            )
        )
    return [Text(), *lines]


def total(used: Mapping[str, Usage]) -> Usage:
    """Add up all steps."""
    from mammogan.cluster.job_usage import NOTHING

    return sum(used.values(), start=NOTHING)


def _cells(mine: Usage, *, gpus: bool) -> list[str]:
    if not mine.starts:
        return [""] * (5 if gpus else 4)
    starts = f"{mine.starts}" + (f" ({mine.failed})" if mine.failed else "")
    began, _, took = _times(mine, "%d %b %H:%M")
    cells = [began, took, starts, _hours(mine.cpu_hours, mine.unknown + mine.unknown_cpus)]
    return [*cells, _hours(mine.gpu_hours, mine.unknown)] if gpus else cells


def _times(mine: Usage, pattern: str) -> tuple[str, str, str]:
    if mine.began is None or mine.ended is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    began, ended = (datetime.fromtimestamp(time).strftime(pattern) for time in (mine.began, mine.ended))
    return began, ended, duration(mine.ended - mine.began)


def _hours(hours: float, unknown: int) -> str:
    if unknown:
        return f"> {hours:.2f}" if hours else UNKNOWN
    return f"{hours:.2f}" if hours >= 0.1 or not hours else f"{hours:.2g}"
