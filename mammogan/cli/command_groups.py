"""The root of the command line: commands by group, each loaded when it is called and not before."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import typer
import typer.core
import typer.main

from mammogan.cli import old_forms
from mammogan.cli.command_table import ENTRIES, GROUPS


class LoadedCommands(MutableMapping[str, Any]):
    """The commands of the table by name; to take one out loads its module."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ENTRIES)

    def __len__(self) -> int:
        return len(ENTRIES)


class CommandGroups(typer.core.TyperGroup):
    """The root command, whose help lists the commands by group with an example each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LoadedCommands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the names in the table's order; none is loaded."""
        return list(ENTRIES)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring old forms up to date, with a notice, before anything reads them."""
        renewed, notices = old_forms.renew(args)
        if not ctx.resilient_parsing:
            for notice in notices:
                typer.echo(notice, err=True)
        return super().parse_args(ctx, renewed)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write plain text: to load what draws frames takes longer than all the rest."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        width = max(map(len, ENTRIES))
        for title, entries in GROUPS.items():
            with formatter.section(typer.style(title, bold=True)):
                for entry in entries:
                    formatter.write(f"  {typer.style(entry.name.ljust(width), fg='cyan')}  {entry.summary}\n")
                formatter.write(f"  {' ' * width}  {typer.style('$ ' + entries[0].example, dim=True)}\n")
        with formatter.section(typer.style("Options", bold=True)):
            formatter.write_dl(
                [row for row in (each.get_help_record(ctx) for each in self.get_params(ctx)) if row]
            )
        self.format_epilog(ctx, formatter)


def _load(name: str) -> Any:
    """Make a command of its entry: of a Typer application of its own, or of a function."""
    if name not in ENTRIES:
        raise KeyError(name)
    entry = ENTRIES[name]
    module, _, attribute = entry.place.partition(":")
    found = getattr(importlib.import_module(f"mammogan.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name, epilog=f"Example: {entry.example}")(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command
