"""A login node has `mammogan[launch]` and nothing else: no numpy, no pydicom, no torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.shard_plan import plan
from tests.patience import PATIENCE_S

ABSENT = (
    *("numpy", "scipy", "pebble", "pydicom", "pylibjpeg", "imagecodecs", "cv2", "PIL", "torch", "deepspeed"),
    *("webdataset", "safetensors", "matplotlib", "jinja2", "mlflow", "imageio_ffmpeg", "pandas", "pynvml"),
    "psutil",
)
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from mammogan.cli import main
main()
"""


def mammogan(*words, code=0, **environment):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"COLUMNS": "200"} | environment,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("login")
    make_cohort(folder / "dicoms", 3, 0, workers=1, frame_scale=0.1)
    recipe = load_recipe("phantom", ("packing.top_px=[40,32]",))
    plan(folder / "set", [(recipe, folder / "dicoms")], workers=0)
    return folder / "set"


def test_a_launch_is_shown_and_costed(shards, tmp_path):
    site, run = ("--method", "tour", "--data", shards, "--site", "devcluster"), tmp_path / "run"
    said = mammogan("launch", *site, run, "--dry-run", PATH="")
    assert "nothing was submitted" in said and "this machine has no 'sbatch'" in said
    assert "#SBATCH --job-name" in (tmp_path / "run.dry-run" / "01-shards.sbatch").read_text()
    assert "network.kind 'bilinear-noise' is checked by the first job: no PyTorch here" in said
    assert "rank-hours" in mammogan("cost", "--method", "tour", "--data", shards, "--site", "devcluster")
    assert not run.exists()


def test_a_launch_is_submitted_and_followed(shards, tmp_path):
    run = tmp_path / "run"
    words = ("--method", "tour", "--data", shards, "--site", "local", run)
    mammogan("launch", *words, "--until", "shards", "--wait")  # jobs have what the image has: all packages
    assert "done" in mammogan("status", run)
    assert "train-3" in mammogan("graph", run)
    assert "starts as rank 0 of 1" in mammogan("logs", run, "shards")
    assert "Nothing to retry" in mammogan("retry", run)
    mammogan("cancel", run)


def test_a_command_that_needs_more_says_what_to_install(shards):
    said = mammogan("shards", "verify", shards, code=2)
    assert "Traceback" not in said
    assert "pip install 'mammogan[data]'" in said
