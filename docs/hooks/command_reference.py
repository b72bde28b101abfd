"""The reference of the command line, generated from the Typer app: every command with all its options."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from mammogan.cli import app

PLAIN = {int: "whole number", float: "number", str: "text", Path: "path"}
HEAD = """# Commands

Generated from the code; `mammogan COMMAND --help` prints the same. A command that fails because of
something you can correct prints one message, which says what is wrong and what to do; its exit code is not 0.
"""


def commands(
    command: Any = None, words: tuple[str, ...] = ("mammogan",)
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk through the command line: the words and the command of each leaf."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*words, name))
    else:
        yield words, command


def render() -> str:
    """Write the page of all commands, as Markdown."""
    lines = [HEAD]
    for words, command in commands():
        lines += [
            f"## `{' '.join(words)}`",
            "",
            _help(command),
            "",
            "```text",
            _usage(words, command),
            "```",
            "",
            _example(command),
            "",
        ]
        rows = [_row(parameter) for parameter in command.params]
        if rows:
            lines += ["| argument or option | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _help(command: Any) -> str:
    return "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))


def _example(command: Any) -> str:
    return f"Example: `{command.epilog.removeprefix('Example: ')}`"


def _usage(words: tuple[str, ...], command: Any) -> str:
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name.upper()) + ("..." if parameter.nargs == -1 else "")
            arguments.append(name if parameter.required else f"[{name}]")
    return " ".join([*words, *arguments, "[OPTIONS]"])


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    default = "must be given" if parameter.required else _default(parameter)
    meaning = parameter.help + (
        " May be repeated." if parameter.multiple and "epeat" not in parameter.help else ""
    )
    cells = (name, _kind(parameter), default, meaning)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _kind(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return "flag"
    if parameter.param_type_name == "option" and parameter.metavar:
        return f"`{parameter.metavar}`"
    kind = parameter.type_descriptor.annotation
    kind = (get_args(kind) or (kind,))[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"`{choice.value}`" for choice in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(kind))
    return PLAIN.get(kind, "text")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value in ([], (), "") or callable(value):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{getattr(value, 'value', value)}`"
