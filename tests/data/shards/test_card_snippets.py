"""The recipe that a card prints for a public set reads a miniature of it, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from mammogan.config.dataset import load_recipe, recipes
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


def test_your_own_table(screened, tmp_path):
    text = re.split(r"^## ", CARD.read_text(), flags=re.MULTILINE)
    [own] = [part for part in text if part.startswith("Your own table")]
    table, recipe = re.findall(r"(?:^    .*\n|^\n(?=    ))+", own, re.MULTILINE)
    (tmp_path / "set" / "mine.csv").write_text(textwrap.dedent(table).strip() + "\n")
    found = screened(textwrap.dedent(recipe), "img_0031.png", "img_0034.png", "img_0099.png")
    assert found == {
        "img_0031.png": ("CC", "L", "anna"),
        "img_0034.png": ("MLO", "R", "berta"),
        "img_0099.png": "view-unknown",
    }


def test_names_as_the_card_has_them(screened):
    names = re.findall(r"`(P12\S+\.png)`", CARD.read_text())
    assert names == ["P12_L_CC.png", "P12_L_CC_2.png"]
    recipe = (CARD.parent / "recipe.toml").read_text()
    assert set(screened(recipe, *names).values()) == {("CC", "L", "P12")}
    constant = re.sub(r"^view = .*$", 'view = ["is:MLO"]', recipe, flags=re.MULTILINE)
    assert set(screened(constant, "P12_L.png").values()) == {("MLO", "L", "P12")}


def test_cmmd_with_its_clinical_table(tmp_path, dicom):
    """The lines that the card adds to the recipe, on a table with the columns of the publisher's sheet."""
    root = CARD.parents[1] / "cmmd"
    [lines] = re.findall(r"(?:^      .*\n|^\n(?=      ))+", (root / "README.md").read_text(), re.MULTILINE)
    (tmp_path / "own.toml").write_text((root / "recipe.toml").read_text() + "\n" + textwrap.dedent(lines))
    recipe, folder = load_recipe(tmp_path / "own.toml"), tmp_path / "set"
    folder.mkdir()
    head = "ID1,LeftRight,Age,number,abnormality,classification,subtype\n"
    rows = "D1-0001,L,44,2,mass,Benign,\nD1-0001,R,44,2,mass,Malignant,Luminal A\n"
    (folder / "CMMD_clinicaldata_revision.csv").write_text(head + rows)
    found = {}
    for side in "LR":
        made = dicom(np.zeros((2294, 1914), np.uint8), PatientID="D1-0001", ImageLaterality=side)
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        pydicom.dcmwrite(folder / f"{side}.dcm", made, enforce_file_format=True)
    index_tables(recipe.source, folder, tmp_path / "index")
    archive = Archive(recipe.source, folder, tmp_path / "index")
    for side in "LR":
        found[side] = screen_header(archive.header(folder / f"{side}.dcm"), recipe.screening)[0]
    assert found == {"L": "", "R": "malignant"}


def test_every_snippet_of_the_card_has_its_test():
    titles = re.findall(r"^## ([\w -]+?)(?: \(|$)", CARD.read_text(), re.MULTILINE)
    assert titles == ["Your own table", "CDD-CESM", "mini-MIAS"]


def test_every_recipe_that_comes_with_the_package_is_tried_on_a_miniature():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tried = {name for name in recipes() if re.search(rf'"{name}"|test_{name.replace("-", "_")}\b', tests)}
    assert tried == {*recipes()}
