"""`mammogan shards`: plan, build, verify and show the images that a run learns from."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.shards_show import explain, show
from mammogan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mammogan.config.dataset import Dataset
    from mammogan.config.site import Site

app = typer.Typer(
    help="Turn DICOM files into shards for training.", no_args_is_help=True, add_completion=False
)
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


@app.command(epilog="Example: mammogan shards plan shards --from phantom=dicoms")
def plan(
    shardset: Set,
    sources: Sources = None,
    settings: Overrides = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Plan from the sources of the last plan, changed by --set; compare."),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(help="Plan from the sources and key of this set, changed by --set; compare with it."),
    ] = None,
    key: Key = None,
    workers: Workers = None,
) -> None:
    """Read headers, screen them, split by patient: decide what goes in. Pixels are left alone."""
    from mammogan.cli import shards_tables
    from mammogan.config.dataset import Dataset
    from mammogan.config.settings import split_settings
    from mammogan.data.shards import enough_images
    from mammogan.data.shards.outcomes import Comparison
    from mammogan.data.shards.shard_plan import plan as make_plan
    from mammogan.data.store import private_folder

    changes = split_settings(settings or [], Dataset)[Dataset]
    last = like or (shardset if again else None)
    if again and not like and any(shardset.glob("*/*.tar")):
        raise ConfigError(
            f"'{shardset}' is built, and keeps its recipes. Give the new set a folder of its own; type:\n"
            f"mammogan shards plan {shardset}-2 --like {shardset} {_sets(changes)}".rstrip()
        )
    pairs = _pairs(sources, changes) if sources or not last else _planned_pairs(last, changes)
    before, recipes = (Comparison(last), _last_recipes(last)) if last else (None, ())
    if like and not key:
        key = private_folder.folder(like) / "key"
    with _progress("headers") as on_progress:
        planned = make_plan(shardset, pairs, on_progress, key, workers)
    shards_tables.print_tallies(shardset, planned, planned.tallies, planned.flags)
    shards_tables.print_findings(shardset, planned, planned.joined_patients)
    if before:
        shards_tables.print_settings(recipes, tuple(recipe for recipe, _ in pairs))
        shards_tables.print_changes(before.changes(shardset))
    images = sum(shard.samples for shard in planned.shards)
    typer.echo(f"Planned at most {images} images (identity {planned.identity[:12]}).")
    typer.echo("Some may go when they are made: by the rules of the pixels, or as copies of others.")
    for text in (
        enough_images.mostly_left_out(shardset, planned),
        enough_images.empty_later(shardset, planned),
    ):
        if text:
            typer.secho(text, fg="yellow")
    typer.echo(f"Next: mammogan shards build {shardset}")


@app.command(epilog="Example: mammogan shards build shards --workers 8")
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
    if sets[Dataset] and not sources:
        _refuse_settings(shardset, sets[Dataset])
    if key and not sources:
        raise ConfigError(f"--key '{key}' needs --from: a set that is planned has its key.")
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
    from mammogan.cli import shards_tables
    from mammogan.data.shards import enough_images
    from mammogan.data.shards.build_set import build as make
    from mammogan.data.shards.build_set import find_built
    from mammogan.data.shards.shard_plan import resume
    from mammogan.data.store.manifest import load_plan

    if planning:
        with _progress("headers") as on_progress:
            resume(shardset, on_progress, workers)
    state, made = "already complete", find_built(shardset)
    if not made:
        with _progress("images") as on_progress:
            state, made = "built", make(shardset, workers, on_progress)
    shards_tables.print_tallies(shardset, load_plan(shardset), made.tallies, made.flags)
    shards_tables.print_findings(shardset, load_plan(shardset), made.joined_patients)
    typer.echo(f"{shardset}: {state}, {made.images} images in every rung.")
    refused = enough_images.mostly_refused(shardset, load_plan(shardset), made)
    for text in (refused, enough_images.empty_split(shardset, load_plan(shardset), made)):
        if text:
            typer.secho(text, fg="yellow")


def _submit(shardset: Path, place: Site, tasks: int | None, wait: bool) -> None:
    from rich.console import Console

    import mammogan
    from mammogan.cli.launch_command import array_tasks, start
    from mammogan.config.run_config import shard_build
    from mammogan.data.store import private_folder
    from mammogan.steps.job_graph import graph

    launched = shard_build(shardset, tasks or array_tasks(place), place, mammogan.__version__)
    start(private_folder.create(shardset, "jobs"), launched, graph(launched), wait, Console())


@app.command(epilog="Example: mammogan shards verify shards")
def verify(shardset: Set) -> None:
    """Read every byte again and compare it with the manifest."""
    from mammogan.data.shards.shard_reader import ShardSet
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
    if joined := ShardSet(shardset).manifest.joined_patients:
        typer.echo(f"{joined} patient IDs share pixels with another ID: each such woman is in one split.")


app.command(epilog="Example: mammogan shards show shards --rejects")(show)
app.command(epilog="Example: mammogan shards explain shards 69a3a48b71d2")(explain)


def _refuse_settings(shardset: Path, settings: list[str]) -> None:
    """Say where settings of a recipe are to be given: a set that is planned is built by its own."""
    _planned_pairs(shardset, settings)  # a key that is none is worth saying first
    built = any(shardset.glob("*/*.tar"))
    new = f"{shardset}-2 --like {shardset}" if built else f"{shardset} --again"
    raise ConfigError(
        f"{_sets(settings)} comes too late: '{shardset}' is built by the recipes that it was planned with. "
        f"To change them, type:\nmammogan shards plan {new} {_sets(settings)}"
    )


def _sets(settings: list[str]) -> str:
    return " ".join(f"--set {shlex.quote(text)}" for text in settings)


def _last_recipes(shardset: Path) -> tuple[Dataset, ...]:
    from mammogan.data.shards import sources
    from mammogan.data.store import private_folder

    return sources.load(private_folder.folder(shardset)).recipes


def _planned_pairs(shardset: Path, settings: list[str]) -> list[tuple[Dataset, Path]]:
    """Give the sources of a set's last plan, their recipes changed by `settings`."""
    from mammogan.config.dataset import Dataset
    from mammogan.config.settings import override, validate
    from mammogan.data.shards import sources
    from mammogan.data.store import private_folder
    from mammogan.data.store.manifest import load_plan

    load_plan(shardset)
    of = sources.load(private_folder.folder(shardset))
    pairs = []
    for recipe, folder in zip(of.recipes, of.folders, strict=True):
        tree = recipe.model_dump(mode="json")
        for text in settings:
            override(tree, text)
        where = " ".join([f"the recipe '{recipe.dataset.name}'", *(f"--set {text}" for text in settings)])
        pairs.append((validate(Dataset, tree, where), folder))
    return pairs


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
        raise ConfigError(
            "There is nothing to plan from: give --from RECIPE=FOLDER, once for each source, or --again for "
            "those of the last plan."
        )
    return pairs


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda done, total: progress.update(task, completed=done, total=total)
