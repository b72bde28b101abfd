"""Forms of commands that had other words in earlier versions: they still answer, with a notice."""

from __future__ import annotations

from typing import NamedTuple


class Renamed(NamedTuple):
    """An option `old` that is now the option `new`, or an argument in the usage `new`: its first or last."""

    command: str
    old: str
    new: str
    first: bool = True


OLD_FORMS = (
    Renamed("launch", "--run", "launch RUN"),
    Renamed("step", "--run", "step RUN STEP"),
    Renamed("study new", "--run", "study new STUDY RUN", first=False),
    Renamed("review new", "--run", "review new REVIEW RUN", first=False),
    Renamed("study analyse", "--out", "study analyse TRIALS OUT", first=False),
    Renamed("review report", "--out", "review report REVIEW OUT", first=False),
    Renamed("draw", "--count", "--images"),
)


OLD_COMMANDS = {"film": "video"}


def renew(args: list[str]) -> tuple[list[str], list[str]]:
    """Bring a command line, without its program's name, up to date; give it and the notices."""
    renewed, notices = list(args), []
    if args and args[0] in OLD_COMMANDS:
        renewed[0] = OLD_COMMANDS[args[0]]
        notices.append(f"`mammogan {args[0]}` is now `mammogan {renewed[0]}`; the old name still works.")
    for form in OLD_FORMS:
        words = len(form.command.split())
        found = _find(renewed, form.old, words) if args[:words] == form.command.split() else None
        if found is None:
            continue
        place, value, width = found
        del renewed[place : place + width]
        if form.new.startswith("--"):
            renewed[place:place] = [form.new, value]
            now = form.new
        else:
            renewed.insert(words if form.first else len(renewed), value)
            now = f"mammogan {form.new}"
        notices.append(f"`mammogan {form.command} {form.old}` is now `{now}`; the old form still works.")
    return renewed, notices


def _find(args: list[str], option: str, start: int) -> tuple[int, str, int] | None:
    """Find an option: where it stands, its value, and how many words both are."""
    for place in range(start, len(args)):
        if args[place] == "--":
            return None
        if args[place] == option and place + 1 < len(args):
            return place, args[place + 1], 2
        if args[place].startswith(option + "="):
            return place, args[place].partition("=")[2], 1
    return None
