"""`mammogan status`: where a run stands, once or for as long as it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan import interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from mammogan.cluster.run_state import NodeState, Watcher
    from mammogan.steps import Progress

BESIDE_ROWS = 12
"""Lines that title, sum and reasons take of a terminal's."""


def status(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until the run has ended.")] = False,
    every: Annotated[float, typer.Option(min=1, help="With --watch: seconds from look to look.")] = 5,
) -> None:
    """Draw where a run stands: how far each step is, how fast, what it has used, and why it waits.

    Ctrl-C ends --watch and leaves the run alone. While Slurm does not answer, what is shown is what the run's
    folder says.
    """
    from rich.console import Console
    from rich.live import Live

    from mammogan.cli.run_tables import live
    from mammogan.cluster.run_state import Watcher, follow

    watcher, console = Watcher(run.resolve()), Console()
    if not watch:
        console.print(drawn(watcher, watcher.read(), console.width))
        return
    interruption.explain("No longer watched; the run goes on.")
    updates = follow(watcher, every)
    if not console.is_terminal:
        live(updates, {node.name for node in watcher.nodes}, console, lambda: watcher.silence)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as view:
        columns = console.width
        for states in updates:
            if console.width != columns:  # the terminal has wrapped the lines anew: none is where it was
                columns = console.width
                console.clear()
            view.update(drawn(watcher, states, columns, console.height), refresh=True)
        view.update(drawn(watcher, states, columns), refresh=True)


def drawn(
    watcher: Watcher, states: Sequence[NodeState], columns: int, lines: int | None = None
) -> RenderableType:
    """Draw the run of `watcher` in a terminal of so many columns, and not longer than so many lines."""
    from rich.console import Group

    from mammogan.cli.status_view import standing, tracking_lines
    from mammogan.cluster.job_usage import usage
    from mammogan.config.run_config import Run
    from mammogan.run_folder import RunFolder
    from mammogan.run_records import Choice, TrackingState

    launched = watcher.run
    what = launched.method.method.name if isinstance(launched, Run) else "shards"
    title = f"Run {launched.run_id}: {what} at {launched.site.site.name}"
    resources = launched.site.resources
    gpus = any(resources.of(node.resource).gpus_per_node for node in watcher.nodes)
    used = usage(watcher.folder, states, ask=not watcher.silence)
    progress, folder = _progress(watcher, states), RunFolder(watcher.folder)
    choice, trackers = Choice.read_if_sound(folder.choice), TrackingState.read_if_sound(folder.tracking_state)
    drawing = standing(
        states,
        used,
        progress,
        title,
        gpus=gpus,
        wide=columns >= 100,
        choice=choice,
        silence=watcher.silence,
        rows=None if lines is None else lines - BESIDE_ROWS,
    )
    return Group(drawing, *tracking_lines(trackers, watcher.folder))


def _progress(watcher: Watcher, states: Sequence[NodeState]) -> dict[str, Progress]:
    """Tell how far the steps are that have begun; of training in thousand images throughout."""
    from mammogan import schedule, steps
    from mammogan.config.run_config import Run

    found = {}
    stages = schedule.plan(watcher.run.method) if isinstance(watcher.run, Run) else ()
    for state in states:
        name = state.node.name
        far = state.progress or steps.progress(watcher.folder, state.node)
        if state.node.step == "train" and state.node.stage is not None:
            total = stages[state.node.stage].images
            done = total if state.state == "done" else far.done if far else 0
            far = far or steps.Progress(done=0, total=0, unit="")
            far = far.model_copy(update={"done": done, "total": total, "unit": "kimg"})
            found[name] = far
        elif far and state.state != "done":
            found[name] = far
    return found
