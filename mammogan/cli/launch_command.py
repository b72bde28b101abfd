"""`mammogan launch`: submit a run's job graph, or run it here, or show what would be submitted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mammogan import interruption
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
    run: Annotated[Path, typer.Option(help="The run's folder; a new one is made.")],
    method: Annotated[
        str | None, typer.Option(help="What is learned: a method's name, or a TOML file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The shard set, planned or built.")] = None,
    site: Annotated[
        str | None, typer.Option(help="Where: a site's name, or a TOML file. [default: local]")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step, as train-3 or select.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="table.key=value of the method or the site; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything, submit nothing.")] = False,
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

    To go on with a run as it is, --run alone is enough.
    """
    plan = merged(run, method, data, site, tuple(settings or ()), calibration)
    wanted = _wanted(plan, until)
    launch_checks.check(plan, run)
    console = Console()
    print_images(plan, console)
    if dry_run:
        _show(plan, run, wanted, calibration, console)
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
        gpu_slots,
        local_runner,
        run_state,
        slurm_environment,
        submission_ledger,
        submit,
    )
    from mammogan.config.run_config import claim

    slurm = launched.site.site.scheduler == "slurm"
    if not slurm and wait is False:
        raise ConfigError(
            f"--no-wait needs a scheduler, and the site '{launched.site.site.name}' has none: the run lives "
            "as long as this command. Leave it out, or start the command in the background."
        )
    claim(run, launched)
    folder = run.resolve()
    with submission_ledger.only_launcher(folder):
        if not slurm:
            if notice := gpu_slots.idle_notice(launched):
                console.print(notice, highlight=False, markup=False)
            interruption.explain("Stopped, with what ran here. The same command goes on from there.")
            local_runner.preflight(folder, wanted)
            with local_runner.interruptible():
                updates = local_runner.run_graph(folder, wanted, left_out=left_out)
                _follow(updates, folder, wanted, console)
            return
        if notice := slurm_environment.notice(launched.site.environment.variables):
            console.print(notice, highlight=False, markup=False)
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

    from mammogan.data.store.manifest import load_plan

    plan, place = load_plan(data), load_site(site or "local", for_site)
    learned = load_method(method, tuple(sets[Method]))
    if learned.schedule.minutes:
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


def _show(
    run: Run, folder: Path, wanted: tuple[Node, ...], calibration: Path | None, console: Console
) -> None:
    from mammogan.cli.cost_command import of_set, pace_of, show_cost
    from mammogan.cli.run_tables import stages_table
    from mammogan.data.store.manifest import load_plan

    train = sum(shard.split == "train" for shard in load_plan(Path(run.shards)).shards)
    console.print(f"Run {run.run_id}: {run.method.method.name} at {run.site.site.name}, in {folder}\n")
    console.print(stages_table(run, train))
    console.print()
    try:
        shards, assumed = of_set(run.method, Path(run.shards)), pace_of(run.method, run.site, "", calibration)
        show_cost(run.method, run.site, shards, assumed, console)
    except ConfigError as error:  # a run whose cost nobody can tell can be launched all the same
        console.print(str(error), highlight=False)
    console.print("\nJobs")
    for node in wanted:
        after = f", after {' and '.join(node.needs)}" if node.needs else ""
        console.print(f"  {node.name}: {node.tasks} x {node.resource}{after}", highlight=False)
    if run.site.site.scheduler == "slurm":
        from mammogan.cluster import sbatch_parameters

        for node in wanted:
            after = "afterok:" + ":".join(f"<{need}>" for need in node.needs) if node.needs else ""
            typer.echo(f"\n# ----- {node.name}")
            typer.echo(sbatch_parameters.batch(run, folder.resolve(), node, node.tasks, after), nl=False)
    console.print("\nA dry run: nothing was submitted, nothing was written.")


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
