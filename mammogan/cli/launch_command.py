"""`mammogan launch`: submit a run's job graph, or run it here, or show what would be submitted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mammogan import interruption
from mammogan.cli import dry_run as dry
from mammogan.cli import launch_checks
from mammogan.cli.filled_schedule import filled_time
from mammogan.cli.training_images import print_images
from mammogan.errors import ConfigError, RunFailedError

if TYPE_CHECKING:
    from mammogan.cluster.run_state import NodeState
    from mammogan.config.run_config import Launched, Run
    from mammogan.config.site import Site
    from mammogan.steps.job_graph import Node


def launch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder; a new one is made.")],
    method: Annotated[
        str | None, typer.Option(help="What is learned: a method's name, or a TOML file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The shard set, planned or built.")] = None,
    site: Annotated[
        str | None, typer.Option(help="Where: a site's name, or a TOML file; without it local.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step, as train-3 or select.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="table.key=value of the method or the site; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and refuse what can't be.")
    ] = False,
    scripts: Annotated[
        Path | None, typer.Option(help="Folder for a dry run's batch scripts; without it RUN.dry-run.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="What `mammogan cost --calibrate` has measured: for --dry-run, and for schedule.minutes."
        ),
    ] = None,
    wait: Annotated[
        bool | None, typer.Option(help="Follow the run to its end; without a scheduler always so.")
    ] = None,
) -> None:
    """Start a run, or go on with it: what is done and verified is skipped.

    To go on with a run as it is, its folder alone is enough.
    """
    if scripts is not None and not dry_run:
        raise ConfigError(f"--scripts '{scripts}' is for a dry run's batch scripts: give --dry-run, too.")
    plan = merged(run, method, data, site, tuple(settings or ()), calibration)
    wanted = _wanted(plan, until)
    launch_checks.check(plan, run)
    console = Console()
    print_images(plan, console)
    if dry_run:
        dry.show(plan, run, wanted, calibration, scripts, console)
        dry.refuse(plan, run, wanted, wait, console)
        return
    start(run, plan, wanted, wait, console)


def start(
    run: Path,
    launched: Launched,
    wanted: tuple[Node, ...],
    wait: bool | None,
    console: Console,
    left_out: Collection[tuple[str, int]] = (),
) -> None:
    """Submit the `wanted` nodes of a launch, or run them here, and show how they get on.

    Tasks `left_out`, as (node, task), are not started.
    """
    from mammogan.cluster import (
        local_runner,
        run_state,
        submission_ledger,
        submit,
    )
    from mammogan.config.run_config import claim

    launch_checks.check_start(launched, wait, console)
    claim(run, launched)
    folder = run.resolve()
    with submission_ledger.only_launcher(folder):
        if launched.site.site.scheduler != "slurm":
            interruption.explain("Stopped, with what ran here. The same command goes on from there.")
            local_runner.preflight(launched, folder, wanted)
            with local_runner.interruptible():
                updates = local_runner.run_graph(folder, wanted, left_out=left_out)
                _follow(updates, folder, wanted, console)
            return
        go_on = f"jobs that were submitted go on in Slurm: `mammogan cancel {run}` ends them."
        interruption.explain(f"Stopped; {go_on} The same command submits the rest.")
        submitted = submit.submit(folder, wanted, left_out)
    watcher = run_state.Watcher(folder)
    _print_submitted(watcher.read(), wanted, len(submitted), run, console)
    if wait:
        interruption.explain(f"No longer followed; {go_on} The same command follows them again.")
        _follow(run_state.follow(watcher), folder, wanted, console, lambda: watcher.silence)


def merged(
    folder: Path,
    method: str | None,
    data: Path | None,
    site: str | None,
    settings: tuple[str, ...],
    calibration: Path | None = None,
) -> Run:
    """Put the run of a launch together, or take the one that `folder` holds.

    `calibration` is of the device that a schedule is to fill its minutes on.
    """
    import mammogan
    from mammogan.config.method import Method, load_method
    from mammogan.config.run_config import Run, merge
    from mammogan.config.settings import split_settings
    from mammogan.config.site import Site, load_site

    sets = split_settings(settings, Method, Site)
    for_site = tuple(sets[Site])
    if method is None and data is None and not sets[Method]:
        old = Run.load(folder)
        if site is None and not for_site:
            return old
        return old.model_copy(update={"site": load_site(site or old.site.site.name, for_site)})
    if method is None or data is None:
        raise ConfigError(
            "A run is made of a method and a shard set: give both --method and --data, or neither, to go on "
            "with a run that exists."
        )

    from mammogan.data.shards import enough_images
    from mammogan.data.store.manifest import find_manifest, load_plan

    plan, place = load_plan(data), load_site(site or "local", for_site)
    learned = load_method(method, tuple(sets[Method]))
    if learned.schedule.minutes:
        enough_images.check(data, plan, find_manifest(data, plan))  # before half a minute of measuring
        learned = filled_time(folder, learned, place, calibration)
    return merge(
        learned,
        plan.recipes,
        place,
        data,
        plan.identity,
        mammogan.__version__,
        min(len(plan.shards), array_tasks(place)),
    )


def array_tasks(site: Site) -> int:
    """Tasks that share the work on shards out; a machine without scheduler has worker processes instead."""
    return site.resources.cpu_array.array_parallelism if site.site.scheduler == "slurm" else 1


def _wanted(run: Run, last: str | None) -> tuple[Node, ...]:
    """Choose the nodes up to `last`, which is a node, or a step and then stands for all of its nodes."""
    from mammogan.config.settings import nearest
    from mammogan.steps.job_graph import graph
    from mammogan.steps.job_graph import until as up_to

    nodes = graph(run)
    if last is None:
        return nodes
    ends = [node.name for node in nodes if last in (node.name, node.step)]
    if not ends:
        raise ConfigError(
            f"--until '{last}' is no step of this run.{nearest(last, [node.name for node in nodes])}"
        )
    names = {node.name for end in ends for node in up_to(nodes, end)}
    return tuple(node for node in nodes if node.name in names)


def _print_submitted(
    states: tuple[NodeState, ...], wanted: tuple[Node, ...], count: int, run: Path, console: Console
) -> None:
    from mammogan.cli.run_tables import nodes_table

    names = {node.name for node in wanted}
    console.print(nodes_table([state for state in states if state.node.name in names]))
    summary = f"{count} submitted." if count else "Nothing to submit: all of it is done or queued."
    console.print(f"\n{summary} Follow it with: mammogan status {run}", highlight=False, soft_wrap=True)


def _follow(
    updates: Iterable[tuple[NodeState, ...]],
    folder: Path,
    wanted: tuple[Node, ...],
    console: Console,
    notice: Callable[[], str] = str,
) -> None:
    """Show a run to its end, and with each update what `notice` says.

    Raises
    ------
    RunFailedError
        If one of the wanted nodes did not succeed; the tail of its log is printed.
    """
    from mammogan.cli.log_follow import last_message
    from mammogan.cli.run_tables import live, tail
    from mammogan.cluster.run_state import LOST, log_of

    def message(state: NodeState) -> str:
        return last_message(log_of(folder, state, next(iter(state.among("running")), None)))

    states = live(updates, {node.name for node in wanted}, console, notice, message)
    lost = [state for state in states if state.among(*LOST)]
    for state in lost:
        path = log_of(folder, state, state.among(*LOST)[0])
        console.print(f"\n[bold red]{state.node.name}[/]: the end of {path}", highlight=False, soft_wrap=True)
        typer.echo(tail(path, 15), nl=False)
    unfinished = [state.node.name for state in states if state.state != "done"]
    if unfinished:
        reasons = "; ".join(f"{state.node.name}: {state.reason}" for state in lost) or "not run"
        raise RunFailedError(
            f"{len(unfinished)} of {len(states)} steps are not done ({reasons}). Once the cause is mended, "
            "the same command goes on from here."
        )
