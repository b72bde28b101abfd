"""Real mammograms, where they are at hand."""

import json

import numpy as np
import pydicom
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data import private
from mammogan.data.build import build
from mammogan.data.decode import _fast
from mammogan.data.grey import grey_table
from mammogan.data.plan import plan
from mammogan.data.shardset import ShardSet
from mammogan.errors import DataError

SMALL = ("packing.top_px=[320,256]",)


def ends(shardset, name="catalogue.jsonl"):
    lines = (private.folder(shardset) / name).read_text().splitlines()
    return {entry["path"].rsplit("/", 1)[-1]: entry["reason"] for entry in map(json.loads, lines)}


def test_eight_films_of_two_patients_are_accepted_as_films(tmp_path, films):
    made = plan(tmp_path / "set", [(load_recipe("cbis-ddsm", SMALL), films)])
    assert made.tallies[0].accepted == 8
    entries = [entry for entry in private.read_entries(tmp_path / "set") if entry.key]
    assert len({entry.patient for entry in entries}) == 2
    manifest = build(tmp_path / "set", workers=0)
    assert {(c.split, c.view): c.images for c in manifest.counts} == {
        ("train", "CC"): 2, ("train", "MLO"): 2, ("validation", "CC"): 2, ("validation", "MLO"): 2,
    }  # fmt: skip
    rung = ShardSet(tmp_path / "set").rung(320, 256, "train")
    for image in rung.read(np.arange(len(rung))):
        assert image[:, 0].max() > 10000, "the chest wall is on the left edge"
        assert image[:, 200:].max() == 0, "lead letters and scan borders are gone"
        assert image.max() == 65535


def test_the_same_films_are_no_digital_mammograms(tmp_path, films):
    with pytest.raises(DataError, match="8 refused: secondary-capture"):
        plan(tmp_path / "set", [(load_recipe("folder"), films)])


def test_of_the_real_files_one_is_a_mammogram_to_learn_from(tmp_path, real):
    made = plan(tmp_path / "set", [(load_recipe("folder", SMALL), real)])
    assert ends(tmp_path / "set") == {
        "README.md": "not-dicom",
        "GH133_scrubbed.dcm": "",
        "OutOfBoundsOverlay_scrubbed.dcm": "stereo-or-biopsy",
        "jpeg2k_3d.dcm": "tomosynthesis",
        "MG1_J2KI.dcm": "modality",
        "MG1_JPLY.dcm": "modality",
        "MG_Explicit_Little.dcm": "phantom-or-qc",
    }
    sample = made.shards[0].samples[0]
    assert (sample.view, sample.laterality, sample.vendor) == ("MLO", "R", "ge")
    manifest = build(tmp_path / "set", workers=0)
    assert manifest.images == 1
    assert manifest.flags == {}
    image = ShardSet(tmp_path / "set").rung(320, 256, "train").read(np.array([0]))[0]
    lit = image > 0
    assert lit[:, 0].mean() > 0.6
    assert not lit[:, 230:].any()
    assert 0.2 < lit.mean() < 0.4


def test_the_real_files_table_and_window_agree_and_its_pixels_decode_fast(real):
    dicom = pydicom.dcmread(real / "ge_ffdm" / "GH133_scrubbed.dcm")
    by_table, found = grey_table(dicom, 0)
    del dicom.VOILUTSequence
    by_window, _ = grey_table(dicom, 0)
    assert found
    assert np.abs(by_table - by_window)[31:4096].max() * 4095 < 2
    assert np.array_equal(_fast(dicom, (3062, 2394), np.dtype(np.uint16)), dicom.pixel_array)
