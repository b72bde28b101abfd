"""Where a run stands, drawn: a line a step with how far, how fast and how much, and below why it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, JustifyMethod, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mammogan.cli.run_tables import COLOURS, duration, far, fitting, noticed
from mammogan.cli.usage_view import total, usage_lines, usage_table

if TYPE_CHECKING:
    from mammogan.cluster.job_usage import Usage
    from mammogan.cluster.run_state import NodeState
    from mammogan.run_records import Choice, TrackingState
    from mammogan.steps import Progress

AT_WORK = ("running", "queued", "unknown")
OVER = ("done", "failed", "cancelled", "blocked")


def standing(
    states: Sequence[NodeState],
    used: Mapping[str, Usage],
    progress: Mapping[str, Progress],
    title: str,
    *,
    gpus: bool,
    wide: bool,
    choice: Choice | None = None,
    silence: str = "",
    rows: int | None = None,
) -> RenderableType:
    """Draw a run; `progress` is how far steps are, `gpus` whether GPU-hours count, `wide` shows jobs, too.

    Of one that is over, or of which nothing is launched any more, it draws what it has used. Below stand
    Slurm's `silence`, if it does not answer, and the `choice` of a checkpoint, if there is one, with its
    reason and its notices. Of a run that goes on no more steps than `rows` are shown.
    """
    live = any(state.state in AT_WORK for state in states)
    over = not live and total(used).starts > 0
    table = (
        usage_table(states, used, title, gpus=gpus)
        if over
        else _progress_table(states, used, progress, title, gpus=gpus, wide=wide, rows=rows)
    )
    return Group(
        table,
        *(usage_lines(used, gpus=gpus) if over else ()),
        *_reasons(states, progress),
        *_last_line(states, progress),
        *noticed(silence),
        *_chosen(choice),
    )


def _progress_table(
    states: Sequence[NodeState],
    used: Mapping[str, Usage],
    progress: Mapping[str, Progress],
    title: str,
    *,
    gpus: bool,
    wide: bool,
    rows: int | None,
) -> Table:
    """Draw how far each step is."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    hours = (
        "GPU-\nhours" if gpus else "rank-\nhours"
    )  # headers of two lines, so that 80 columns hold the table
    for column in ("step", "state", "tasks", "progress", "a\nsecond", "left", "starts\n(failed)", hours):
        side: JustifyMethod = "left" if column in ("step", "state") else "right"
        table.add_column(column, justify=side, no_wrap=True)
    if wide:
        table.add_column("job", justify="right", no_wrap=True)
    for state in states if rows is None else fitting(states, rows):
        name = state.node.name
        jobs = sorted(job.partition("_")[0] for job in state.jobs.values())
        mine, part = used[name], progress.get(name)
        table.add_row(
            name,
            f"[{COLOURS[state.state]}]{state.state}[/]",
            f"{state.done}/{state.node.tasks}",
            far(part),
            f"{part.rate_s:.3g}" if part and part.rate_s and state.state == "running" else "",
            duration(part.left_s) if part and part.left_s and state.state == "running" else "",
            _starts(mine),
            f"{_hours(mine, gpus):.2f}" if mine.starts else "",
            *([jobs[-1] if jobs else ""] if wide else []),
        )
    whole = total(used)
    table.add_section()
    table.add_row(
        "all",
        "",
        f"{sum(state.done for state in states)}/{sum(state.node.tasks for state in states)}",
        "",
        "",
        ending(states, progress)[0],
        _starts(whole),
        f"{_hours(whole, gpus):.2f}",
    )
    return table


def tracking_lines(trackers: TrackingState | None, folder: Path) -> list[RenderableType]:
    """Say which trackers are behind and why, and what they found changed on their side."""
    if trackers is None:
        return []
    behind = [
        f"The tracker '{name}' is behind: {why.rstrip('.')}. `mammogan sync {folder}` brings it up to date."
        for name, why in trackers.failures.items()
    ]
    lines = [*behind, *(f"{notice[0].upper()}{notice[1:]}." for notice in trackers.notices)]
    return [Text(), *(Text(line, style="yellow") for line in lines)] if lines else []


def ending(states: Sequence[NodeState], progress: Mapping[str, Progress]) -> tuple[str, str]:
    """Tell when a run will end as (time left, why it can't be told); both are empty once it is over.

    Stages differ in work and queues in length, so it is told only when all that is left runs. Nothing is said
    where nobody knows what runs.
    """
    left = [state for state in states if state.state not in OVER]
    if not left or any(state.state == "unknown" for state in left):
        return "", ""
    idle = [state.node.name for state in left if state.state != "running"]
    if idle:
        some = f"{len(idle)} steps have" if len(idle) > 1 else f"{idle[0]} has"
        return "", f"When the run ends can't be told yet: {some} not begun."
    times = [progress[state.node.name].left_s if state.node.name in progress else None for state in left]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return "", "When the run ends can't be told yet: its pace is not known."
    return duration(max(known)), ""


def _starts(used: Usage) -> str:
    return f"{used.starts or ''}" + (f" ({used.failed})" if used.failed else "")


def _hours(used: Usage, gpus: bool) -> float:
    return used.gpu_hours if gpus else used.rank_hours


def _reasons(states: Sequence[NodeState], progress: Mapping[str, Progress]) -> list[RenderableType]:
    """Say why steps are as they are; those that share a reason share its line."""
    waiting: dict[str, list[str]] = {}
    for state in states:
        note = progress[state.node.name].note if state.node.name in progress else ""
        words = note if state.state == "running" and not state.reason else state.reason
        if state.expected:
            words = f"{words or 'is in the queue'}; Slurm expects it to start {_when(state.expected)}"
        if words and state.state != "done":
            waiting.setdefault(words, []).append(state.node.name)
    if not waiting:
        return []
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for words, names in waiting.items():
        few = names if len(names) < 3 else [names[0], "...", names[-1]]
        table.add_row(", ".join(few).replace(", ...,", " ..."), escape(words))
    return [Text(), table]


def _chosen(choice: Choice | None) -> list[RenderableType]:
    """Say which checkpoint was chosen, and why."""
    if choice is None:
        return []
    error = "" if choice.above_floor_error is None else f" ± {choice.above_floor_error:.1f}"
    above = f"SWD {choice.above_floor:.1f}{error} above the floor"
    why = f": {choice.reason}." if choice.reason else "."
    line = f"Chosen: the checkpoint after {choice.kimg:.1f} kimg, {above}{why}"
    return [Text(), Text(line), *(Text(notice, style="yellow") for notice in choice.notices)]


def _last_line(states: Sequence[NodeState], progress: Mapping[str, Progress]) -> list[RenderableType]:
    why = ending(states, progress)[1]
    return [Text(), Text(why, style="dim")] if why else []


def _when(expected: str) -> str:
    """Write Slurm's time of day, with the date where that is another day's."""
    try:
        at = datetime.fromisoformat(expected)
    except ValueError:
        return expected
    return f"at {at:%H:%M}" if at.date() == datetime.now().date() else f"on {at:%A, %d %B, at %H:%M}"
