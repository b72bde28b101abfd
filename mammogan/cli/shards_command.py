"""`mammogan shards`: plan, build, verify and show the images that a run learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from mammogan.config.dataset import Dataset
    from mammogan.config.site import Site
    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.data.store.manifest import Tally

app = typer.Typer(help="Turn DICOM files into shards for training.", no_args_is_help=True)
Set = Annotated[Path, typer.Argument(metavar="SHARDSET", help="Folder of the shard set.", show_default=False)]


Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="RECIPE=FOLDER",
        help="A source: a recipe, by name or as a TOML file, and a folder of files; repeatable.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change the recipes or the site; repeatable."),
]
Key = Annotated[
    Path | None, typer.Option(help="Secret key to use, so that the same files give the same set.")
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes; without it one a core. The bytes are the same.")
]


@app.command()
def plan(
    shardset: Set,
    sources: Sources = None,
    settings: Overrides = None,
    key: Key = None,
    workers: Workers = None,
) -> None:
    """Read headers, screen them, split by patient: decide what goes in. Pixels are left alone."""
    from mammogan.config.dataset import Dataset
    from mammogan.config.settings import split_settings
    from mammogan.data.shards.shard_plan import plan as make_plan

    pairs = _pairs(sources, split_settings(settings or [], Dataset)[Dataset])
    with _progress("headers") as on_progress:
        planned = make_plan(shardset, pairs, on_progress, key, workers)
    _print_tallies(planned.tallies)
    images = sum(shard.samples for shard in planned.shards)
    typer.echo(f"Planned {images} images (identity {planned.identity[:12]}).")
    typer.echo(f"Next: mammogan shards build {shardset}")


@app.command()
def build(
    shardset: Set,
    sources: Sources = None,
    settings: Overrides = None,
    key: Key = None,
    workers: Workers = None,
    site: Annotated[
        str | None, typer.Option(help="A site with a scheduler: do it there, as arrays of jobs.")
    ] = None,
    tasks: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks of each array; without it the site's array_parallelism."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Follow the jobs to their end.")] = False,
) -> None:
    """Decode, window, orient and write every rung, after planning if --from is given.

    A build that was stopped goes on where it was.
    """
    from mammogan.config.dataset import Dataset
    from mammogan.config.settings import split_settings
    from mammogan.config.site import Site, load_site
    from mammogan.data.shards.shard_plan import begin, is_planned

    sets = split_settings(settings or [], Dataset, Site)
    place = load_site(site or "local", tuple(sets[Site]))
    pairs = _pairs(sources, sets[Dataset]) if sources else []
    on_slurm = place.site.scheduler == "slurm"
    if tasks and not on_slurm:
        raise ConfigError(
            f"--tasks '{tasks}' needs a site with a scheduler: give --site, or --workers instead."
        )
    if pairs and not is_planned(shardset, pairs):
        begin(shardset, pairs, key)
    if on_slurm:
        _submit(shardset, place, tasks, wait)
    else:
        _build_here(shardset, bool(pairs), workers)


def _build_here(shardset: Path, planning: bool, workers: int | None) -> None:
    from mammogan.data.shards.build_set import build as make
    from mammogan.data.shards.build_set import find_built
    from mammogan.data.shards.shard_plan import resume

    if planning:
        with _progress("headers") as on_progress:
            resume(shardset, on_progress, workers)
    state, made = "already complete", find_built(shardset)
    if not made:
        with _progress("images") as on_progress:
            state, made = "built", make(shardset, workers, on_progress)
    _print_tallies(made.tallies)
    typer.echo(f"{shardset}: {state}, {made.images} images in every rung.")


def _submit(shardset: Path, place: Site, tasks: int | None, wait: bool) -> None:
    from rich.console import Console

    import mammogan
    from mammogan.cli.launch_command import array_tasks, start
    from mammogan.config.run_config import shard_build
    from mammogan.data.store import private_folder
    from mammogan.steps.job_graph import graph

    launched = shard_build(shardset, tasks or array_tasks(place), place, mammogan.__version__)
    start(private_folder.create(shardset, "jobs"), launched, graph(launched), wait, Console())


@app.command()
def verify(shardset: Set) -> None:
    """Read every byte again and compare it with the manifest."""
    from mammogan.data.shards.verify_set import verify as check

    with _progress("shards") as on_progress:
        problems = check(shardset, on_progress)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise DataError(
            f"'{shardset}' is not sound:\n{listed}\n"
            f"Remove these files; mammogan shards build {shardset} makes again what belongs there."
        )
    typer.echo(f"{shardset}: every shard is as the manifest says.")


@app.command()
def show(
    shardset: Set,
    out: Annotated[Path | None, typer.Option(help="Write a contact sheet of the set to this PNG.")] = None,
    rejects: Annotated[
        bool,
        typer.Option(
            "--rejects", help="Count what was left out, and draw sheets of it in the private folder."
        ),
    ] = False,
    split: Annotated[str, typer.Option(help="Split that the contact sheet shows.")] = "train",
) -> None:
    """Tell what a set holds and on what terms; show its images."""
    from mammogan.data.shards.shard_reader import ShardSet

    found = ShardSet(shardset)
    _print(_contents(found))
    for recipe in found.recipes:
        typer.echo(recipe.dataset.terms)
    if rejects:
        from mammogan.data.shards.contact_sheet import reject_sheets

        _print_tallies(found.manifest.tallies if found.is_built else found.plan.tallies)
        sheets = reject_sheets(shardset)
        for folder in {sheet.parent for _, sheet in sheets.values()}:
            typer.echo(f"Sheets, and lists of the files in their order: {folder}")
        for files, sheet in sheets.values():
            typer.echo(f"{files:9}  {sheet.name}")
    if out:
        from mammogan.data.shards.contact_sheet import contact_sheet

        shown = contact_sheet(found, out, split)
        typer.echo(f"{out}: {shown} images.")


def _pairs(sources: list[str] | None, settings: list[str]) -> list[tuple[Dataset, Path]]:
    from mammogan.config.dataset import load_recipe

    pairs = []
    for text in sources or []:
        recipe, equals, folder = text.partition("=")
        if not equals or not recipe or not folder:
            raise ConfigError(
                f"--from '{text}' is not of the form RECIPE=FOLDER, as in phantom=/data/phantoms."
            )
        pairs.append((load_recipe(recipe, settings), Path(folder)))
    if not pairs:
        raise ConfigError("There is nothing to plan from: give --from RECIPE=FOLDER, once for each source.")
    return pairs


def _contents(found: ShardSet) -> Table:
    from rich.table import Table

    state = "built" if found.is_built else "planned only"
    table = Table(title=f"{found.path} ({state}), identity {found.identity[:12]}")
    for name in ("dataset", "split", "view", "vendor") if found.is_built else ("split",):
        table.add_column(name)
    table.add_column("images", justify="right")
    if found.is_built:
        for count in found.manifest.counts:
            table.add_row(count.recipe, count.split, count.view, count.vendor, str(count.images))
    else:
        images: Counter[str] = Counter()
        for shard in found.plan.shards:
            images[shard.split] += shard.samples
        for split, planned in images.items():
            table.add_row(split, str(planned))
    return table


def _print_tallies(tallies: tuple[Tally, ...]) -> None:
    from rich.table import Table

    from mammogan.data.screening.header_rules import HEADER_RULES
    from mammogan.data.screening.pixel_rules import PIXEL_RULES

    meanings = {name: rule.reason for name, rule in HEADER_RULES.items()}
    meanings |= {name: rule.reason for name, rule in PIXEL_RULES.items()}
    table = Table(title="What became of every file")
    for name in ("dataset", "outcome", "reason"):
        table.add_column(name)
    table.add_column("files", justify="right")
    table.add_column("meaning")
    for tally in tallies:
        table.add_row(tally.recipe, "accepted", "", str(tally.accepted), "")
        for outcome, reasons in (("refused", tally.refused), ("unreadable", tally.unreadable)):
            for reason, files in reasons.items():
                table.add_row(tally.recipe, outcome, reason, str(files), meanings.get(reason, ""))
        table.add_row(tally.recipe, "seen", "", str(tally.files), end_section=True)
    _print(table)


def _print(table: Table) -> None:
    from rich.console import Console

    Console().print(table)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total)
        except KeyboardInterrupt:
            typer.echo("Stopped. The same command goes on from here.", err=True)
            raise
