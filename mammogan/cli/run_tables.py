"""How runs look in a terminal: tables of nodes and stages, tails of logs, a table that lives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mammogan.cluster.run_state import NodeState
    from mammogan.config.run_config import Run
    from mammogan.steps import Progress

COLOURS = {
    "running": "cyan",
    "queued": "blue",
    "unknown": "magenta",
    "failed": "bold red",
    "cancelled": "red",
    "blocked": "yellow",
    "waiting": "dim",
    "done": "green",
}

BAR = 10
"""Characters of a bar, so that 80 columns hold what stands beside it."""


def nodes_table(states: Sequence[NodeState], title: str = "") -> Table:
    """Draw one line a node: state, tasks done, jobs, and how far or why."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in ("step", "state", "tasks", "job"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")  # the one that may wrap: a reason says at its end what to do
    for state in states:
        jobs = sorted({job_id.split("_")[0] for job_id in state.jobs.values()})
        colour = COLOURS[state.state]
        table.add_row(
            state.node.name,
            f"[{colour}]{state.state}[/]",
            f"{state.done}/{state.node.tasks}",
            jobs[-1] if state.state != "done" and jobs else "",
            _detail(state),
        )
    return table


def _detail(state: NodeState) -> str:
    if state.progress:
        part = state.progress
        bar = "━" * (BAR * part.done // max(1, part.total))
        left = [f"{duration(part.left_s)} left"] if part.left_s else []
        words = escape(", ".join([far(part), *left, *filter(None, [part.note])]))
        return f"[cyan]{bar:<{BAR}}[/] {words}"
    return escape(state.reason.splitlines()[0]) if state.reason else ""


def stages_table(run: Run, shards: int) -> Table:
    """Draw the training plan: one line a stage; `shards` is the number of training shards of each rung."""
    from mammogan import schedule

    resource = run.site.resources.gpu_nodes
    table = Table(title="Training", title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "size", "images", "batch", "fade", "ranks"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("steps", "images", "at once", "shards"):  # two lines, so that 80 columns hold the table
        table.add_column(f"{column}\na rank", justify="right", no_wrap=True)
    group = run.method.network.stddev_group
    for stage in schedule.plan(run.method):
        micro, accumulation = schedule.split_batch(stage.batch, stage.micro_batch, resource.ranks, group)
        cells = (
            stage.index,
            f"{stage.height_px}x{stage.width_px}",
            stage.images,
            stage.batch,
            f"{stage.fade_images / stage.images:.0%}",
            resource.ranks,
            stage.steps,
            stage.images // resource.ranks,
            f"{micro} x {accumulation}",
            shards,
        )
        table.add_row(*map(str, cells))
    return table


def live(
    updates: Iterable[tuple[NodeState, ...]],
    names: set[str],
    console: Console,
    notice: Callable[[], str] = str,
    message: Callable[[NodeState], str] = lambda _: "",
) -> list[NodeState]:
    """Draw `updates` as a table that changes in place, or as a line a change where nobody watches.

    After each update `notice` may say what is to be known of it, and `message` what a step that runs has said
    last, as its newest tick. Returns the last states of the nodes in `names`.
    """
    states: list[NodeState] = []
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as view:
            columns = console.width
            for update in updates:
                states = [state for state in update if state.node.name in names]
                if console.width != columns:  # the terminal has wrapped the lines anew: none is where it was
                    columns = console.width
                    console.clear()
                lines = [*_messages(states, message), *noticed(notice())]
                view.update(Group(nodes_table(fitting(states, console.height - 3 - len(lines))), *lines))
                view.refresh()
            view.update(Group(nodes_table(states), *noticed(notice())), refresh=True)
        return states
    printed: dict[str, tuple[str, int]] = {}
    before = ""
    for update in updates:
        states = [state for state in update if state.node.name in names]
        words = notice()
        if bool(words) != bool(before):
            console.print(words or "Slurm answers again.", highlight=False, soft_wrap=True)
        before = words
        for state in states:
            now = (state.state, state.done)
            if printed.get(state.node.name, ("waiting", 0)) != now:
                console.print(f"{state.node.name:<10} {state.state:<9} {state.done}/{state.node.tasks}")
            printed[state.node.name] = now
    return states


def fitting(states: Sequence[NodeState], rows: int) -> list[NodeState]:
    """Choose what a table of so many rows shows: what is at work or failed, then what comes next."""
    if len(states) <= rows:
        return list(states)
    idle = [state for state in states if state.state == "done"]  # from the first one on, as they are over
    waits = [state for state in states if state.state in ("waiting", "blocked")]
    gone = {state.node.name for state in [*idle, *reversed(waits)][: len(states) - max(1, rows)]}
    return [state for state in states if state.node.name not in gone]


def _messages(states: Sequence[NodeState], message: Callable[[NodeState], str]) -> list[Text]:
    """Draw what the steps that run have said last, each cut to a line."""
    found = [(state.node.name, message(state)) for state in states if state.state == "running"]
    lines = [
        Text(f"{name}  {words}", style="dim", no_wrap=True, overflow="ellipsis")
        for name, words in found
        if words
    ]
    return [Text(), *lines] if lines else []


def noticed(words: str) -> list[Text]:
    """Draw a notice below a table, if there is one."""
    return [Text(), Text(words, style="yellow")] if words else []


def far(part: Progress | None) -> str:
    """Write how far a step is: images of training in thousands."""
    if part is None:
        return ""
    if part.unit == "kimg" or (part.unit == "images" and part.total >= 10_000):
        return f"{part.done / 1000:.4g}/{part.total / 1000:.4g} kimg"
    return f"{part.done}/{part.total} {part.unit}"


def duration(seconds: float) -> str:
    """Write a time in few letters: ``40 s``, ``12 min``, ``3 h 20``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02}"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def tail(path: Path, lines: int) -> str:
    """Give the last lines of a log; an absent one is said to be so."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, lines)) if lines else file.read()
    except FileNotFoundError:
        return f"(no log yet at {path})\n"
