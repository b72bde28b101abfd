"""The root of the command line: its groups and examples, and what earlier versions called otherwise."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.cli.command_table import ENTRIES, GROUPS
from mammogan.cli.old_forms import OLD_FORMS, renew

ROOT = typer.main.get_command(app)


def leaf(words):
    """Find the command of a command line, and the words after its name."""
    command, rest = ROOT, list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return command, rest


def test_the_help_lists_every_command_once_by_group_with_an_example_each():
    said = CliRunner().invoke(app, ["--help"]).output
    heads = [line.rstrip(":") for line in said.splitlines() if line.endswith(":") and line[:1].isalpha()]
    assert heads == ["Start", "Data", "Train", "Look", "Judge", "Study", "Site", "Options"]
    listed = [line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2:3].islower()]
    assert listed == [entry.name for entry in ENTRIES.values()]
    assert said.count("$ mammogan ") == len(GROUPS)
    assert max(map(len, said.splitlines())) <= 80


def test_the_help_is_read_off_the_table_and_loads_no_command():
    code = "import sys; sys.argv = ['mammogan', '--help']\nfrom mammogan.cli import main\n"
    code += "try: main()\nfinally: print('LOADED', *(m for m in sys.modules if m.endswith('_command')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_every_example_is_a_command_line_of_today(entry):
    words = shlex.split(entry.example)[1:]
    assert renew(words) == (words, [])
    command, rest = leaf(words)
    command.make_context("mammogan", rest)
    assert words[0] == entry.name
    assert len(entry.summary) <= 66 and entry.summary.endswith((".", "..."))


def test_every_command_of_a_group_has_an_example_in_its_help():
    for name in ("launch", "draw", "quickstart"):
        assert f"Example: {ENTRIES[name].example}" in " ".join(
            CliRunner().invoke(app, [name, "-h"]).output.split()
        )
    for name in ("shards", "study", "review"):
        for inner, command in ROOT.commands[name].commands.items():
            example = shlex.split(command.epilog.removeprefix("Example: "))
            assert example[:3] == ["mammogan", name, inner]
            command.make_context(inner, example[3:])


def test_no_command_by_a_wrong_name_but_a_near_one():
    wrong = CliRunner().invoke(app, ["lunch"])
    assert wrong.exit_code == 2
    assert "Did you mean 'launch'" in wrong.output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("launch --method m --run r --data s", "launch r --method m --data s"),
        ("launch --run=r --dry-run", "launch r --dry-run"),
        ("step train-0 --run r --index 1", "step r train-0 --index 1"),
        ("study new s --run r --settings f", "study new s --settings f r"),
        ("review new v --run r", "review new v r"),
        ("study analyse t.csv --out o --margin 0.2", "study analyse t.csv --margin 0.2 o"),
        ("review report v --early --out o", "review report v --early o"),
        ("draw r o --count 3 --pairs", "draw r o --images 3 --pairs"),
        ("draw r o --count=3", "draw r o --images 3"),
    ],
)
def test_an_old_form_answers_as_the_new_one_with_a_notice(old, new):
    renewed, notices = renew(old.split())
    assert renewed == new.split()
    assert [notice.endswith("the old form still works.") for notice in notices] == [True]
    assert renew(new.split()) == (new.split(), [])
    (old_command, old_rest), (new_command, new_rest) = leaf(renewed), leaf(new.split())
    assert old_command is new_command
    assert old_command.make_context("x", old_rest).params == new_command.make_context("x", new_rest).params


def test_every_old_form_is_tried_above_and_gone_from_its_command():
    for form in OLD_FORMS:
        command, _ = leaf(form.command.split())
        assert form.old not in [option for parameter in command.params for option in parameter.opts]


def test_the_notice_goes_to_stderr_and_the_command_runs(tmp_path):
    result = CliRunner().invoke(app, ["step", "train-0", "--run", str(tmp_path / "no")])
    assert "`mammogan step --run` is now `mammogan step RUN STEP`; the old form still works." in result.stderr
    assert f"'{tmp_path / 'no'}' is not a run" in str(result.exception)


def test_an_option_of_another_command_or_behind_two_dashes_is_left_alone():
    for words in (
        ["draw", "r", "o", "--", "--count", "3"],
        ["sample", "r", "o", "--count", "3"],
        ["launch", "--run"],
    ):
        assert renew(words) == (words, [])
