"""A Python is found or fetched, and one that is not asked for is not taken silently."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "containers" / "install-python"
MINE = "{}.{}".format(*sys.version_info)
TOOLS = ("bash", "dirname", "env", "find", "head", "ls")


@pytest.fixture
def machine(tmp_path):
    """Run the script on a machine that has only what is put on its PATH, for an ordinary user."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())

    def program(name, body):
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)

    def run(version):
        environment = {"PATH": str(programs), "HOME": str(tmp_path)}
        return subprocess.run([SCRIPT, version], env=environment, capture_output=True, text=True, check=False)

    program("id", "echo 1000")
    run.program = program
    return run


def test_a_python_on_path_is_taken_and_a_shim_without_one_passed_over(machine):
    machine.program(f"python{MINE}", "echo 'command not found' >&2; exit 127")
    machine.program("python3", f'exec {sys.executable} "$@"')
    done = machine(MINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("bin/python3")
    assert not done.stderr


def test_one_of_pyenv_is_found_without_its_shims(machine, tmp_path):
    python = tmp_path / ".pyenv" / "versions" / f"{MINE}.9" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert machine(MINE).stdout.strip() == str(python)


def test_one_of_uv_is_found(machine):
    machine.program("uv", f'[ "$1 $2" = "python find" ] && echo {sys.executable}')
    assert machine(MINE).stdout.strip() == sys.executable


def test_without_root_one_line_says_what_to_do(machine):
    done = machine("3.99")
    assert done.returncode == 1 and not done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith("python 3.99: not here: run ")
    assert "as root, or install it (uv python install 3.99, conda create -n env python=3.99)" in line


def test_a_distribution_that_is_not_debians_is_told_what_to_do(machine):
    machine.program("id", "echo 0")
    done = machine("3.99")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "no apt-get: uv python install 3.99, or conda create -n env python=3.99"
    )


@pytest.mark.parametrize("word", ["", "python3.13", "3", "2.7"])
def test_what_is_no_version_is_answered_with_the_usage(machine, word):
    done = machine(word)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("asked", "fits"), [(f"python{MINE}", True), ("python3.99", False), ("python3", True)]
)
def test_an_environment_of_another_python_is_not_taken_silently(tmp_path, asked, fits):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    words = ["make", "--no-print-directory", "-n", "demo-dicoms", f"PYTHON={asked}", f"VENV={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == fits
    message = (
        f"'{tmp_path}' has python{MINE}, not python3.99: begin anew with make clean, or name another folder"
    )
    assert (message in done.stderr) != fits
