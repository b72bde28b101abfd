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
        bar = "━" * (20 * part.done // max(1, part.total))
        return f"[cyan]{bar:<20}[/] {part.done}/{part.total} {part.unit} {part.note}"
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
) -> list[NodeState]:
    """Draw `updates` as a table that changes in place, or as a line a change where nobody watches.

    After each update `notice` may say what is to be known of it. Returns the last states of the nodes in
    `names`.
    """
    states: list[NodeState] = []
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as view:
            for update in updates:
                states = [state for state in update if state.node.name in names]
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


def noticed(words: str) -> list[Text]:
    """Draw a notice below a table, if there is one."""
    return [Text(), Text(words, style="yellow")] if words else []


def tail(path: Path, lines: int) -> str:
    """Give the last lines of a log; an absent one is said to be so."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, lines)) if lines else file.read()
    except FileNotFoundError:
        return f"(no log yet at {path})\n"
