"""References and drawings that are made from the code are complete and say something of everything."""

import re

import pytest
import typer

from docs.hooks import command_reference, import_drawing, settings_reference
from docs.hooks.import_drawing import reduced
from mammogan.cli import app
from tests.contract.test_contract_commands import COMMANDS
from tests.contract.test_contract_keys import keys

OWNERS = {title: owner for title, (owner, _) in settings_reference.OWNERS.items()}


@pytest.mark.parametrize("title", OWNERS)
def test_every_key_has_a_meaning(title):
    assert [
        f"{key.table}.{key.name}" for key in settings_reference.keys(OWNERS[title]) if not key.meaning.strip()
    ] == []


@pytest.mark.parametrize("title", OWNERS)
def test_no_key_of_the_models_is_left_out(title):
    listed = {f"{key.table}.{key.name}" for key in settings_reference.keys(OWNERS[title])}
    lists_of_tables = {"source.tables", "source.refuse"}  # whose keys are listed instead
    of_models = set(keys(OWNERS[title])) - lists_of_tables
    assert of_models <= listed
    assert "[source.tables].file" in listed or title != "Recipe"


@pytest.mark.parametrize("title", OWNERS)
def test_every_table_says_what_it_is_for(title):
    assert all(purpose.strip() for purpose in settings_reference.tables(OWNERS[title]).values())


def test_settings_page_has_a_row_for_every_key():
    page = settings_reference.render()
    for owner in OWNERS.values():
        for key in settings_reference.keys(owner):
            assert f"| `{key.name}` | {key.kind} |".replace("|", "") in page.replace("\\|", "").replace(
                "|", ""
            )


def test_settings_have_types_defaults_and_units_in_plain_words():
    of = {f"{key.table}.{key.name}": key for key in settings_reference.keys(OWNERS["Method"])}
    of |= {f"{key.table}.{key.name}": key for key in settings_reference.keys(OWNERS["Site"])}
    assert of["ladder.stages"].kind == "whole number, from 1 to 12"
    assert of["ladder.stages"].default == "none: must be given"
    assert of["ladder.base_px"].kind == "2 whole numbers, each above 0"
    assert of["ladder.base_px"].unit == "pixels"
    assert of["schedule.fade_kimg"].unit == "thousand images"
    assert of["engine.precision"].kind == "one of `fp32`, `bf16`, `fp16`, `auto`"
    assert of["resources.gpu_nodes.time_min"].unit == "minutes"
    assert of["resources.gpu_nodes.mem_gb"].kind == "number, at least 0, may be left out"


def test_every_command_and_option_is_on_the_page_of_commands():
    page = command_reference.render()
    for words, command in COMMANDS.items():
        if hasattr(command, "commands"):
            continue
        _, _, rest = page.partition(f"## `{' '.join(words)}`\n")
        section = rest.partition("\n## ")[0]
        assert section, words
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            for name in filter(None, names):
                assert f"`{name}`" in section.replace("\\|", "|"), (words, name)


def test_commands_are_those_of_the_app():
    leaves = {words for words, command in COMMANDS.items() if not hasattr(command, "commands")}
    assert {words for words, _ in command_reference.commands(typer.main.get_command(app))} == leaves


def test_the_kept_drawing_of_the_rooms_is_that_of_the_code():
    assert import_drawing.DRAWING.read_text(encoding="utf-8") == import_drawing.draw(), "make golden draws it"


def test_every_room_is_drawn_and_listed_once():
    drawing, table = import_drawing.draw(), import_drawing.table()
    for room in import_drawing.rooms():
        assert drawing.count(f">{room}</text>") == 1
        assert table.count(f"| `{room}` |") == 1


def test_imports_are_read_from_the_code():
    edges = import_drawing.imports()
    assert edges["cli", "cluster"] > 0
    assert edges["train", "schedule"] > 0
    assert ("errors", "cli") not in edges


def test_an_arrow_that_a_longer_way_says_is_left_out():
    assert reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}
    assert reduced({("a", "b"), ("a", "c")}) == {("a", "b"), ("a", "c")}


def test_no_reference_holds_a_docstring_mark():
    assert not re.search(r"``", settings_reference.render())
    assert not re.search(r"(?<!`)``(?!`)", command_reference.render())
