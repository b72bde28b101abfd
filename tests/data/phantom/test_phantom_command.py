"""`mammogan phantom` from the outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from mammogan.cli.phantom_command import phantom

app = typer.Typer()
app.command()(phantom)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--workers", "1", "--frame-scale", "0.06"])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_writes_a_cohort_and_the_second_time_says_that_it_is_there(tmp_path: Path) -> None:
    arguments = (str(tmp_path / "cohort"), "--patients", "2", "--seed", "5")
    assert "8 files" in run(*arguments)
    assert len(list((tmp_path / "cohort").rglob("*.dcm"))) == 8
    assert "nothing to do" in run(*arguments)


def test_its_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, mammogan.cli.phantom_command; print([m for m in ('numpy', 'cv2') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]", found.stdout
