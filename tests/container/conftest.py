"""The image that MAMMOGAN_IMAGE names, and what it takes to run something in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
PACKAGES = "/opt/mammogan/lib/python3.11/site-packages"


class Image:
    """A built image."""

    def __init__(self, path: Path):
        self.path = path

    def run(self, *words, options=(), code=0, **kept):
        """Run a command in the image, as seldom as may be with options of Apptainer; give what it printed."""
        done = subprocess.run(
            ["apptainer", "-s", "exec", *options, self.path, *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            **kept,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout.strip()

    def python(self, program, *words, **kept):
        """Run a Python program in the image."""
        return self.run("python3", "-c", program, *words, **kept)

    def labels(self):
        done = subprocess.run(
            ["apptainer", "inspect", "--json", self.path], check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout)["data"]["attributes"]["labels"]


@pytest.fixture(scope="session")
def image():
    named = os.environ.get("MAMMOGAN_IMAGE")
    if not named:
        pytest.skip("MAMMOGAN_IMAGE names no image: make image, then make image-test IMAGE=...")
    if not shutil.which("apptainer"):
        pytest.skip("there is no apptainer here")
    path = Path(named).resolve()
    assert path.exists(), f"MAMMOGAN_IMAGE '{named}' does not exist"
    tried = subprocess.run(
        ["apptainer", "exec", path, "true"], check=False, capture_output=True, text=True, timeout=PATIENCE_S
    )
    if tried.returncode:
        pytest.skip(f"apptainer can't run '{path}' here: {tried.stderr.strip()}")
    return Image(path)
