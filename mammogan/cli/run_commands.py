"""`mammogan logs`, `cancel` and `step`: read what a run says, stop it, do one of its steps by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan import interruption
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.cluster.run_state import NodeState, Watcher

RunFolder = Annotated[Path, typer.Argument(help="The run's folder.")]


def logs(
    run: RunFolder,
    node: Annotated[
        str | None, typer.Argument(help="A step, as train-3; without it, the one to look at.")
    ] = None,
    task: Annotated[int | None, typer.Option(help="Which task of an array.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines; 0 prints all.")] = 40,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the log grows, until the job has ended.")
    ] = False,
) -> None:
    """Print the end of a step's newest log: of the step given, else of what fails or runs.

    With -f it goes on when the job is queued again and starts anew; Ctrl-C leaves the job alone.
    """
    from mammogan.cli.run_tables import tail
    from mammogan.cluster.run_state import Watcher, log_of
    from mammogan.config.settings import nearest

    folder = run.resolve()
    watcher = Watcher(folder)
    states = {state.node.name: state for state in watcher.read(ask=False)}  # Slurm knows nothing of logs
    if node is None:
        there = {s.node.name: _has_log(folder, s) for s in states.values() if s.jobs}
        if not there:
            raise ConfigError(f"No job of the run '{run}' was started yet, so there are no logs.")
        found = [
            s
            for kind in ("failed", "running", "unknown", "cancelled")
            for s in states.values()
            if s.among(kind)
        ]
        found = [s for s in found if there[s.node.name]] + [s for s in reversed(states.values()) if s.jobs]
        node = next((s.node.name for s in found if there[s.node.name]), found[0].node.name)
    if node not in states:
        raise ConfigError(f"The run '{run}' has no step '{node}'.{nearest(node, states)}")
    if following:
        _follow(watcher, node, task, lines)
        return
    path = log_of(folder, states[node], task)
    typer.echo(f"==> {path} <==", err=True)
    typer.echo(tail(path, lines), nl=False)


def _has_log(folder: Path, state: NodeState) -> bool:
    from mammogan.cluster.run_state import log_of

    return log_of(folder, state).exists()


def _follow(watcher: Watcher, node: str, task: int | None, lines: int) -> None:
    """Print a log as it grows; without a task, that of the first one that runs or waits."""
    from mammogan.cli.log_follow import followed
    from mammogan.cluster.live_jobs import UNKNOWN
    from mammogan.cluster.run_state import LIVE, log_of

    silence, last = "", next(state for state in watcher.read(ask=False) if state.node.name == node)

    def look() -> NodeState:
        nonlocal silence, last
        states = watcher.read()
        if bool(watcher.silence) != bool(silence):
            typer.echo(watcher.silence or "Slurm answers again.", err=True)
        silence = watcher.silence
        last = next(state for state in states if state.node.name == node)
        return last

    first, going = look(), (*LIVE, UNKNOWN)
    live = first.among("running") or first.among(*going)
    chosen = task if task is not None else live[0] if live else None

    def goes_on() -> bool:
        now = look()
        return bool(now.among(*going)) if chosen is None else chosen in now.among(*going)

    interruption.explain("No longer followed; the job goes on.")
    for text in followed(lambda: log_of(watcher.folder, last, chosen), goes_on, lines):
        typer.echo(text, nl=False)


def cancel(run: RunFolder) -> None:
    """Cancel all jobs of a run; what is done stays, and launching it again goes on from there."""
    from mammogan.cluster import run_state

    count = run_state.cancel(run.resolve())
    typer.echo(f"{count} jobs cancelled." if count else "Nothing of this run is queued or runs.")


def step(
    run: RunFolder,
    name: Annotated[str, typer.Argument(metavar="STEP", help="The step, as train-3 or score-3.")],
    index: Annotated[int, typer.Option(help="Which task of an array.")] = 0,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="What computes; without it, what the run's site says.")
    ] = "",
) -> None:
    """Do one step of a run here and now, as the job would; what is done already is left alone."""
    from mammogan.cluster import job

    if device not in ("", "cpu", "cuda"):
        raise ConfigError(f"--device '{device}': there is no such device. Valid: cpu, cuda.")
    job.by_hand(run.resolve(), name, index, device)
