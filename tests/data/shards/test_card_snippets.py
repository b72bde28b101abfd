"""The recipe that a card prints for a public set reads a miniature of it, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.shards.archive import Archive, index_tables

CARD = Path(__file__).parents[3] / "shards" / "images" / "README.md"


def section(title):
    """The indented lines of a section: a recipe, and before it a command if there is one."""
    text = re.split(r"^## ", CARD.read_text(), flags=re.MULTILINE)
    [found] = [part for part in text if part.startswith(title)]
    [block] = re.findall(r"(?:^    .*\n|^\n(?=    ))+", found, re.MULTILINE)
    return textwrap.dedent(block).strip()


@pytest.fixture
def screened(tmp_path):
    """Screen a folder of pictures by a recipe: view, side and patient of each, or the reason of a refusal."""

    def run(snippet, *paths):
        (tmp_path / "own.toml").write_text(snippet)
        recipe = load_recipe(tmp_path / "own.toml")
        root = tmp_path / "set"
        for path in paths:
            cv2.imwrite(str(root / path), np.zeros((1024, 1024), np.uint8))
        index_tables(recipe.source, root, tmp_path / "index")
        archive = Archive(recipe.source, root, tmp_path / "index")
        found = {}
        for path in paths:
            header = archive.header(root / path)
            facts = header.view, header.laterality, header.patient
            found[path] = screen_header(header, recipe.screening)[0] or facts
        return found

    (tmp_path / "set").mkdir()
    return run


def test_cdd_cesm(screened, tmp_path):
    recipe = section("CDD-CESM")
    (tmp_path / "set" / "Radiology-manual-annotations.csv").write_text(
        "Image_name,Age,Breast density (ACR)\nP1_L_DM_MLO,54,B\nP2_R_DM_CC,61,C\n"
    )
    found = screened(recipe, "P1_L_DM_MLO.jpg", "P1_L_CM_MLO.jpg", "P2_R_DM_CC.jpg")
    assert found["P1_L_DM_MLO.jpg"] == ("MLO", "L", "P1")
    assert found["P2_R_DM_CC.jpg"] == ("CC", "R", "P2")
    assert found["P1_L_CM_MLO.jpg"] == "view-unknown"


def test_mini_mias(screened, tmp_path):
    command, _, recipe = section("mini-MIAS").partition("\n\n")
    assert command.startswith("python3 ")
    table = subprocess.run(
        command.replace("python3", sys.executable, 1).replace(" > mias.csv", ""),
        shell=True, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (tmp_path / "set" / "mias.csv").write_text(table)
    found = screened(recipe, "mdb001.pgm", "mdb002.pgm", "mdb003.pgm", "mdb322.pgm")
    assert found == {
        "mdb001.pgm": ("MLO", "R", "1"),
        "mdb002.pgm": ("MLO", "L", "1"),
        "mdb003.pgm": ("MLO", "R", "2"),
        "mdb322.pgm": ("MLO", "L", "161"),
    }


def test_every_snippet_of_the_card_has_its_test():
    titles = re.findall(r"^## ([\w-]+)", CARD.read_text(), re.MULTILINE)
    assert titles == ["CDD-CESM", "mini-MIAS"]
