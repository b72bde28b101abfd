"""What `mammogan shards` prints of a set: counts by reason, what a plan has changed, why a file is in it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from mammogan.config.dataset import Dataset
    from mammogan.data.shards.explain import Asked, Explanation
    from mammogan.data.shards.outcomes import Change
    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.data.store.manifest import Plan, Tally
    from mammogan.data.store.private_folder import Line

KEY_DIGITS = 12
"""Of a key, as it is printed: `explain` takes them for the whole."""
MOST_CHARACTERS = 160


def print_contents(found: ShardSet) -> None:
    """Print how many images of each kind a set holds."""
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
    _print(table)


def print_tallies(shardset: Path, plan: Plan, tallies: tuple[Tally, ...], flags: dict[str, int]) -> None:
    """Print what became of every file: by reason, with the threshold and an example's key; then the flags."""
    from rich.table import Table

    from mammogan.data.dicom.file_kinds import NO_IMAGES
    from mammogan.data.shards.outcomes import examples
    from mammogan.data.shards.reasons import meaning
    from mammogan.data.shards.remedies import again, naming

    keys = examples(shardset)
    for number, tally in enumerate(tallies):
        table = Table(title=f"What became of every file of {tally.recipe}")
        for name in ("outcome", "reason"):
            table.add_column(name, no_wrap=True)
        table.add_column("files", justify="right")
        table.add_column("meaning, threshold, key of one")
        table.add_row("accepted", "", str(tally.accepted), "")
        for outcome, reasons in (("refused", tally.refused), ("unreadable", tally.unreadable)):
            for reason, files in reasons.items():
                if reason in NO_IMAGES:
                    continue
                key = keys.get((number, outcome, reason), "")[:KEY_DIGITS]
                about = (meaning(reason), _thresholds(reason, plan.recipes[number]), key and f"key {key}")
                table.add_row(outcome, reason, str(files), "\n".join(filter(None, about)))
        beside = {reason: n for reason, n in tally.unreadable.items() if reason in NO_IMAGES}
        table.add_row("seen", "", str(tally.files - sum(beside.values())), "")
        _print(table)
        if beside:
            kinds = ", ".join(f"{n} {reason} ({meaning(reason)})" for reason, n in beside.items())
            typer.echo(f"Beside the images lie files that are none: {kinds}.")
        for line in naming(tally.refused, plan.recipes[number], again(shardset)):
            typer.echo(line)
    if any(outcome != "accepted" and reason not in NO_IMAGES for _, outcome, reason in keys):
        typer.echo(f"Ask about one of them: mammogan shards explain {shardset} KEY")
    for flag, images in flags.items():
        typer.echo(f"{images:9}  accepted with the flag {flag}: {meaning(flag)}")


def print_findings(shardset: Path, plan: Plan, joined_patients: int) -> None:
    """Print which entries of lists name no file, and how many women have several IDs."""
    from mammogan.data.shards.catalogue_table import UNMATCHED
    from mammogan.data.store import private_folder

    for found in plan.lists:
        typer.echo(
            f"{found.name} of {found.recipe}: {found.matched} of {found.entries} entries matched a file."
        )
    if any(found.matched < found.entries for found in plan.lists):
        typer.echo(f"The others: {private_folder.folder(shardset) / UNMATCHED}")
    if joined_patients:
        typer.echo(
            f"{joined_patients} patient IDs share pixels with another ID: each such woman is in one split."
        )


def print_changes(changes: list[Change], last: str = "the last plan") -> None:
    """Print which files a plan treats otherwise than the last one."""
    from rich.table import Table

    if not changes:
        typer.echo(f"Against {last}: no file is treated otherwise.")
        return
    table = Table(title=f"Against {last}")
    for name in ("was", "is now"):
        table.add_column(name)
    table.add_column("files", justify="right")
    table.add_column("example")
    for change in changes:
        was = f"{change.was} {change.was_reason}".strip() or "not there"
        now = f"{change.outcome} {change.reason}".strip() or "gone"
        table.add_row(was, now, str(change.files), (change.example or "")[:KEY_DIGITS])
    _print(table)


def print_settings(before: tuple[Dataset, ...], after: tuple[Dataset, ...]) -> None:
    """Print which settings of the recipes are others than they were."""
    for old, new in zip(before, after, strict=False):
        olds, news = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
        for key in sorted(olds.keys() | news.keys()):
            if olds.get(key) != news.get(key):
                was, now = (json.dumps(tree[key]) if key in tree else "not set" for tree in (olds, news))
                typer.echo(f"{new.dataset.name}: {key} was {was}, is {now}")


def print_explanation(
    found: Explanation, recipe: Dataset, lines: list[Line], twins: list[str], command: str
) -> None:
    """Print why a file is in a set or not.

    Parameters
    ----------
    lines
        What the set says of it.
    twins
        Keys of other images of the set that have its pixels.
    command
        What changes of settings are to be given to.
    """
    from mammogan.data.shards.reasons import meaning

    typer.secho(str(found.path), bold=True)
    for line in lines:
        place = f" in {line['shard']}" if line["outcome"] == "accepted" else f": {line['reason']}"
        end = f"{line['outcome']}{place}"
        typer.echo(f"  in the set    {end}; key {line.get('key', '')}")
    if not lines and found.outcome == "accepted":
        typer.echo("  by the rules  accepted")
    elif not lines or (lines[0]["outcome"], lines[0]["reason"]) != (found.outcome, found.reason):
        typer.echo(f"  by the rules  {found.outcome}{': ' if found.reason else ''}{found.reason}")
    reasons = {found.reason, *(line["reason"] for line in lines)} - {""}
    for reason in sorted(reasons):
        typer.echo(f"  {reason}: {meaning(reason)}")
    for twin in twins:
        typer.echo(f"  same pixels   {twin}")
    for line in lines:
        for flag in line.get("flags", ()):
            typer.echo(f"  flag          {flag}: {meaning(flag)}")
    typer.echo(f"  recipe        {recipe.dataset.name}")
    if found.uid:
        typer.echo(f"  UID           {found.uid}")
    for name, value in found.listed:
        typer.echo(f"  listed        {name}: {value}")
    if found.facts:
        typer.secho("\nFacts, and what each origin says", bold=True)
    for fact in found.facts:
        typer.echo(f"  {fact.name:13} {fact.value or 'unknown'}")
        for origin, text, reading in fact.origins:
            typer.echo(f"    {origin:28} {reading or '-':12} {text!r}" if text else f"    {origin:28} -")
    _print_rules("\nRules of the header that speak (the others are silent)", found.header)
    _print_rules("\nRules of the pixels", found.pixels)
    if found.unreadable:
        typer.echo(f"\nNo picture comes out of it: {found.unreadable} ({meaning(found.unreadable)})")
    _print_ways(found, recipe, command)


def _print_rules(title: str, rules: tuple[Asked, ...]) -> None:
    if not rules:
        return
    from rich.table import Table

    typer.secho(title, bold=True)
    table = Table("rule", "says", "in the file", "threshold")
    for asked in rules:
        says = "-" if asked.says == "nothing" else asked.says
        table.add_row(asked.rule, says, _spelt(asked.value), _spelt(asked.threshold))
    _print(table)


def _print_ways(found: Explanation, recipe: Dataset, command: str) -> None:
    """Print what would change the outcome: a setting for each rule that refuses, or a line of a list."""
    refusing = [asked for asked in (*found.header, *found.pixels) if asked.says == "refuses"]
    if not refusing:
        return
    typer.secho("\nTo let it pass", bold=True)
    if len(refusing) > 1:
        typer.echo(f"  All {len(refusing)} rules that refuse it must be changed.")
    for asked in refusing:
        typer.echo(f"  {asked.rule}")
        if asked.changes:
            typer.echo(f"    {command} {_sets(asked.changes)}")
        if asked.flagging:
            typer.echo(f"    or mark such images:  {command} {_sets((asked.flagging,))}")
        if not asked.changes and not asked.flagging:
            typer.echo("    no setting of [screening] lets it pass")
    if found.accept:
        own = recipe.source.accept_list
        typer.echo(f"  this file alone: this line in {own or 'a file of yours'}")
        typer.echo(f"    {found.accept}")
        typer.echo(f"    {command}{'' if own else ' --set source.accept_list=/PATH/OF/THAT/FILE'}".rstrip())


def _sets(settings: tuple[str, ...]) -> str:
    return " ".join(f"--set {shlex.quote(text)}" for text in settings)


def _thresholds(reason: str, recipe: Dataset) -> str:
    from mammogan.data.shards.judgement import thresholds
    from mammogan.data.shards.reasons import settings

    return _spelt(thresholds(settings(reason), recipe.screening))


def _spelt(values: dict[str, Any]) -> str:
    """Spell settings or attributes, one a line, cut where they are long."""
    lines = []
    for key, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"{key} = {text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + ' ...'}")
    return "\n".join(lines)


def _flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat


def _print(table: Table) -> None:
    from rich.console import Console

    Console().print(table)
