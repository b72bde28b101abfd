"""The notebook of the documentation runs from its first cell to its last, in the folder that it asks for."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import pytest

from mammogan.data.phantom import make_cohort
from tests.cli.made import done, make_run

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "model.ipynb"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a run, a shard set and a pool, of one size."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    model = make_run(tmp_path / "runs" / "first")
    make_cohort(tmp_path / "dicoms", 8, 0, workers=1, frame_scale=0.1)
    packing = ("--set", "packing.top_px=[10,8]")
    done("shards", "build", "my-shards", "--from", "phantom=dicoms", *packing, "--workers", 0)
    done("sample", model, "pool", "--images", 8, "--format", "shards")
    return tmp_path


def test_the_notebook_runs_and_prints_what_it_promises(place, capsys):
    mpl.use("Agg")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5 and not any(cell["outputs"] for cell in cells)
    names: dict[str, object] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    printed = capsys.readouterr().out
    assert printed.startswith("Model('tour', ")
    assert "of black to white" in printed and "SWD x 1000" in printed
