"""`mammogan retry`: submit again what failed or was cancelled, and what waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def retry(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    step: Annotated[
        str | None, typer.Argument(help="A step, as score-3; without it, whatever failed or was cancelled.")
    ] = None,
    task: Annotated[int | None, typer.Option(help="Which task of an array.")] = None,
    wait: Annotated[
        bool | None, typer.Option(help="Follow the run to its end; without a scheduler always so.")
    ] = None,
) -> None:
    """Try again what failed or was cancelled, and what waits for it; nothing else is touched.

    What is known of the failures is forgotten, so that the site's number of retries counts anew.
    """
    from rich.console import Console

    from mammogan.cli.launch_command import start
    from mammogan.cluster import submission_ledger
    from mammogan.cluster.resubmission import renewal
    from mammogan.cluster.run_state import Watcher

    folder, console = run.resolve(), Console()
    watcher = Watcher(folder)
    states = watcher.read(certain=True)
    again = renewal(states, step, task)
    if not again.nodes:
        typer.echo(_nothing(run, step, {state.node.name: state.state for state in states}))
        return
    if watcher.run.site.site.scheduler == "slurm":  # what was never submitted was never asked for
        asked = {record.node for record in submission_ledger.read(folder)}
        nodes = tuple(node for node in again.nodes if node.name in asked)
    else:
        nodes = again.nodes
    for name, number in again.lost:
        submission_ledger.forget(folder, name, number)
    lost_tasks = ", ".join(f"{name} task {number}" for name, number in again.lost)
    typer.echo(f"Tried again: {lost_tasks}.")
    start(run, watcher.run, nodes, wait, console, again.left_out)


def _nothing(run: Path, step: str | None, states: dict[str, str]) -> str:
    lost = [name for name, state in states.items() if state in ("failed", "cancelled")]
    if step and lost:
        return (
            f"Nothing to retry: '{step}' is {states[step]}. What failed or was cancelled: {', '.join(lost)}."
        )
    if step:
        return (
            f"Nothing to retry: '{step}' is {states[step]}, and nothing of the run failed or was cancelled."
        )
    more = " `mammogan launch` goes on with it." if "waiting" in states.values() else ""
    return f"Nothing to retry: no step of the run '{run}' failed or was cancelled.{more}"
