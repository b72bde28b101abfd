"""`mammogan status`, `logs`, `cancel` and `step`: look at a run, stop it, do one of its steps by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.errors import ConfigError

RunFolder = Annotated[Path, typer.Argument(help="The run's folder.")]


def status(run: RunFolder) -> None:
    """Draw where a run stands: one line a step."""
    from rich.console import Console

    from mammogan.cli.show import nodes_table
    from mammogan.cluster.state import Watcher
    from mammogan.config.run import Run

    watcher = Watcher(run.resolve())
    what = watcher.run.method.method.name if isinstance(watcher.run, Run) else "shards"
    about = f"Run {watcher.run.run_id}: {what} at {watcher.run.site.site.name}"
    Console().print(nodes_table(watcher.read(), about))


def logs(
    run: RunFolder,
    node: Annotated[
        str | None, typer.Argument(help="A step, as train-3; without it, the one to look at.")
    ] = None,
    task: Annotated[int | None, typer.Option(help="Which task of an array.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines; 0 prints all.")] = 40,
) -> None:
    """Print the end of a step's newest log: of the step given, else of what fails or runs."""
    from mammogan.cli.show import tail
    from mammogan.cluster.state import Watcher, log_of
    from mammogan.config.settings import nearest

    states = {state.node.name: state for state in Watcher(run.resolve()).read()}
    if node is None:
        order = ("failed", "running", "cancelled")
        found = [state for kind in order for state in states.values() if state.among(kind)]
        found += [state for state in reversed(states.values()) if state.jobs]
        if not found:
            raise ConfigError(f"No job of the run '{run}' was started yet, so there are no logs.")
        node = found[0].node.name
    if node not in states:
        raise ConfigError(f"The run '{run}' has no step '{node}'.{nearest(node, states)}")
    path = log_of(run.resolve(), states[node], task)
    typer.echo(f"==> {path} <==", err=True)
    typer.echo(tail(path, lines), nl=False)


def cancel(run: RunFolder) -> None:
    """Cancel all jobs of a run; what is done stays, and launching it again goes on from there."""
    from mammogan.cluster import state

    count = state.cancel(run.resolve())
    typer.echo(f"{count} jobs cancelled." if count else "Nothing of this run is queued or runs.")


def step(
    name: Annotated[str, typer.Argument(help="The step, as train-3 or score-3.")],
    run: Annotated[Path, typer.Option(help="The run's folder.")],
    index: Annotated[int, typer.Option(help="Which task of an array.")] = 0,
) -> None:
    """Do one step of a run here and now, as the job would; what is done already is left alone."""
    from mammogan.cluster import job

    job.by_hand(run.resolve(), name, index)
