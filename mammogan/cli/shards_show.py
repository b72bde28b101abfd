"""`mammogan shards show` and `explain`: what is in a set, and why a file is or is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.errors import ConfigError


def show(
    shardset: Annotated[
        Path, typer.Argument(metavar="SHARDSET", help="Folder of the shard set.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Write a contact sheet of the set to this PNG.")] = None,
    rejects: Annotated[
        bool,
        typer.Option(
            "--rejects", help="Count what was left out, and draw sheets of it in the private folder."
        ),
    ] = False,
    split: Annotated[str, typer.Option(help="Split that the contact sheet shows.")] = "train",
    images: Annotated[int, typer.Option(min=1, help="Images of each view on the contact sheet.")] = 16,
    against: Annotated[
        Path | None,
        typer.Option(help="Compare with this other set of the same sources, file by file."),
    ] = None,
) -> None:
    """Tell what a set holds and on what terms; show its images."""
    from mammogan.cli import shards_tables
    from mammogan.data.shards.shard_reader import ShardSet

    found = ShardSet(shardset)
    shards_tables.print_contents(found)
    for recipe in found.recipes:
        typer.echo(recipe.dataset.terms)
    if rejects:
        from mammogan.data.shards.contact_sheet import reject_sheets

        made = found.manifest if found.is_built else found.plan
        shards_tables.print_tallies(shardset, found.plan, made.tallies, made.flags)
        sheets = reject_sheets(shardset)
        for folder in {sheet.parent for _, sheet in sheets.values()}:
            typer.echo(f"Sheets, and lists of the files in their order: {folder}")
        for files, sheet in sheets.values():
            typer.echo(f"{files:9}  {sheet.name}")
    if against:
        from mammogan.data.shards.outcomes import Comparison

        built = found.is_built and ShardSet(against).is_built
        shards_tables.print_changes(Comparison(against, built=built).changes(shardset), str(against))
    if out:
        from mammogan.data.shards.contact_sheet import contact_sheet

        shown = contact_sheet(found, out, split, images)
        typer.echo(f"{out}: {shown} images.")


def explain(
    shardset: Annotated[
        Path,
        typer.Argument(metavar="SHARDSET", help="Folder of the shard set; with --from, the file itself."),
    ],
    what: Annotated[
        str | None,
        typer.Argument(metavar="FILE|KEY|UID", help="A file by its path, key (8 digits or more), or UID."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="RECIPE[=FOLDER]", help="Explain a file of no set by this recipe."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="With --from: change the recipe; repeatable."),
    ] = None,
) -> None:
    """Tell why a file was refused, flagged or accepted: tags, measures, thresholds, and what to change."""
    from mammogan.cli import shards_tables
    from mammogan.data.shards.explain import explain as ask
    from mammogan.data.shards.explain import explain_file, find_file
    from mammogan.data.shards.outcomes import twins as twins_of

    if source:
        from mammogan.config.dataset import load_recipe

        name, _, folder = source.partition("=")
        recipe = load_recipe(name, settings or ())
        path = Path(what) if what else shardset
        shards_tables.print_explanation(
            explain_file(path, recipe, folder), recipe, [], [], "mammogan shards plan SHARDSET --again"
        )
        return
    if not what:
        raise ConfigError(
            f"Which file? Type: mammogan shards explain {shardset} FILE, or a key or UID in its place; or "
            "mammogan shards explain FILE --from RECIPE for a file of no set."
        )
    for found in find_file(shardset, what):
        explanation = ask(found.path, found.recipe, found.archive)
        built = any(shardset.glob("*/*.tar"))
        new = f"{shardset}-2 --like {shardset}" if built else f"{shardset} --again"
        twins = [key for line in found.lines for key in twins_of(shardset, line["key"])] if built else []
        command = f"mammogan shards plan {new}"
        shards_tables.print_explanation(explanation, found.recipe, found.lines, twins, command)
