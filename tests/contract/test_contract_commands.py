"""The command line answers at once and explains itself, and what the documents tell to type exists."""

import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from docs.hooks.links import FENCED, documents
from mammogan.cli import app
from mammogan.cli.old_forms import OLD_COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "deepspeed",
    "mlflow",
    "numpy",
    "pydicom",
    "scipy",
    "cv2",
    "matplotlib",
    "submitit",
    "pydantic",
)
MAX_CPU_S = 0.5
HELP = "from mammogan.cli import main; import sys; sys.argv = ['mammogan', '--help']; main()"
DOCUMENTS = documents()
FENCE = re.compile(r"^```(?:sh|bash|shell|console)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
MAKE_TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(command, words=("mammogan",)):
    """Walk through the command line: (words, command) of each command."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*words, name))
    yield words, command


ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT_COMMAND))


def test_help_loads_nothing_heavy():
    code = f"""
import sys
sys.argv = ["mammogan", "--help"]
from mammogan.cli import main
try:
    main()
finally:
    print("LOADED", *(name for name in {HEAVY!r} if name in sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Usage: mammogan" in told
    assert told.splitlines()[-1].split() == ["LOADED"]


def test_help_answers_at_once():
    def cpu_s():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", HELP], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_s() for _ in range(3)) < MAX_CPU_S


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_a_help_text(words):
    command = COMMANDS[words]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name


def written(program):
    """List (document, line) of each command line of `program` in the documents' code blocks."""
    found = []
    for path in DOCUMENTS:
        for block in FENCE.findall(path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
                if command.split(" ")[0] == program:
                    found.append(pytest.param(command, id=f"{path.relative_to(ROOT)}: {command}"))
    return found


def test_no_command_escapes_these_tests_in_an_indented_block():
    indented = re.compile(r"^(?: {4}|\t)(?:\$ )?(?:\.venv/bin/)?(?:mammogan|make) ", re.MULTILINE)
    for path in DOCUMENTS:
        outside = FENCED.sub("", path.read_text(encoding="utf-8"))
        assert not indented.findall(outside), f"{path}: use a block between ```sh and ```"


def test_every_kind_of_document_is_looked_at():
    looked_at = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {
        "README.md",
        "docs/tutorials/researcher.md",
        "slurm/README.md",
        "shards/folder/README.md",
    } <= looked_at


def problem(line):
    """Say what the command line would refuse in `line`, if anything; nothing is run."""
    command, words = ROOT_COMMAND, shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"no such command: {words[:1]}"
        command, words = command.commands[words[0]], words[1:]
    try:
        command.make_context("mammogan", words)
    except Exception as error:  # noqa: BLE001 - typer's own base class of errors is private
        return str(error) or repr(error)
    return None


@pytest.mark.parametrize("line", written("mammogan"))
def test_commands_of_the_documents_exist(line):
    assert problem(line) is None


@pytest.mark.parametrize("line", written("make"))
def test_make_targets_of_the_documents_exist(line):
    targets = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    assert targets
    assert set(targets) <= MAKE_TARGETS


def test_the_readme_tells_the_two_commands_of_a_newcomer_and_how_to_launch():
    lines = [line.values[0] for program in ("make", "mammogan") for line in written(program)]
    assert {"make demo", "make test"} <= set(lines)
    assert any(line.startswith("mammogan launch ") for line in lines)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mammogan lunch r", "no such command: ['lunch']"),
        ("mammogan shards plam x", "no such command: ['plam']"),
        ("mammogan launch r --sight local", "--sight"),
        ("mammogan launch --dry-run", "Missing parameter: run"),
        ("mammogan logs r train-3 --task three", "valid integer"),
    ],
)
def test_a_wrong_command_would_be_found(line, told):
    assert told in problem(line)


def test_every_command_that_a_message_or_a_document_names_exists():
    texts = [*DOCUMENTS, ROOT / "Makefile", ROOT / "Apptainer.def", *(ROOT / "mammogan").rglob("*.py")]
    texts += [*(ROOT / "slurm").rglob("*.toml"), *(ROOT / "shards").rglob("*.toml")]
    known, unknown = {words[1] for words in COMMANDS if len(words) > 1} | set(OLD_COMMANDS), set()
    for path in texts:
        for before, word in re.findall(r"(\bfrom )?(?<![\w-])mammogan ([a-z]+)\b", path.read_text("utf-8")):
            if not before and word not in known:
                unknown.add((str(path.relative_to(ROOT)), word))
    assert not unknown


def test_every_message_about_make_names_a_target():
    for path in DOCUMENTS:
        named = re.findall(r"`make ([a-z][\w-]*)", path.read_text(encoding="utf-8"))
        assert set(named) <= MAKE_TARGETS, path
