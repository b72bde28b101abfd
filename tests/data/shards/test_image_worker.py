"""What the worker notes of an image beside its pixels: turns, flags, and what contradicts what."""

import json

from mammogan.config.dataset import load_recipe
from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.image_worker import Task, make
from mammogan.data.shards.shard_plan import plan
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import Sample
from tests.data.conftest import half_disc, make_dicom, save
from tests.data.fuzz import SETTINGS


def test_turns_flags_and_contradictions_are_noted(tmp_path):
    pixels = half_disc()
    files = {
        "upside-down": make_dicom(pixels[::-1, ::-1].copy(), PatientOrientation=["P", "L"]),
        "stale": make_dicom(pixels[:, ::-1].copy(), PatientOrientation=["A", "R"]),
        "unreadable": make_dicom(half_disc(level=2200), PatientOrientation=["A", "R", "F"]),
        "film": make_dicom(half_disc(level=2400), PatientOrientation="CC"),
    }
    for name, made in files.items():
        save(made, tmp_path / "files" / f"{name}.dcm")
    recipe = load_recipe("phantom", (*SETTINGS, "splits.train=1", "splits.validation=0"))
    made = plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0)
    secret = private_folder.folder(tmp_path / "set")
    found = {}
    for line in planned_lines(tmp_path / "set", made.shards[0]):
        result = make(Task(str(secret), line["path"], Sample.model_validate(line["sample"])))
        found[line["path"].rsplit("/")[-1].removesuffix(".dcm")] = result
    notes = {name: json.loads(result.notes[-1]) for name, result in found.items() if result.notes}
    assert set(notes) == {"upside-down", "unreadable", "film"}
    assert (notes["upside-down"]["placing"]["turned_deg"], notes["upside-down"]["flags"]) == (180, [])
    assert notes["unreadable"]["flags"] == ["orientation-unreadable"] and notes["film"]["flags"] == []
    stale = found["stale"]
    assert (stale.outcome, stale.reason) == ("refused", "orientation-conflict")
    said = stale.seen[0]["orientation-conflict"]
    assert "'A\\R'" in said and "on the right" in said
