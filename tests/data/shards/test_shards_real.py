"""Real mammograms, where they are at hand."""

import json
import tarfile

import numpy as np
import pydicom
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.decode import _fast, decode, read
from mammogan.data.preprocess.voi_lut import WHITE, grey_table
from mammogan.data.shards import header_catalogue
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.verify_set import verify
from mammogan.errors import DataError

SMALL = ("packing.top_px=[320,256]",)
GE = "ge_ffdm/GH133_scrubbed.dcm"


def ends(shardset):
    return {found["path"].rsplit("/", 1)[-1]: found["reason"] for found in header_catalogue.entries(shardset)}


def test_eight_films_of_two_patients_are_accepted_as_films(tmp_path, films):
    made = plan(tmp_path / "set", [(load_recipe("cbis-ddsm", SMALL), films)])
    assert made.tallies[0].accepted == 8
    found = [entry for entry in header_catalogue.entries(tmp_path / "set") if entry["outcome"] == "accepted"]
    assert len({entry["patient"] for entry in found}) == 2
    manifest = build(tmp_path / "set", workers=0)
    assert {(c.split, c.view): c.images for c in manifest.counts} == {
        ("train", "CC"): 2, ("train", "MLO"): 2, ("validation", "CC"): 2, ("validation", "MLO"): 2,
    }  # fmt: skip
    assert verify(tmp_path / "set") == []
    reader = ShardSet(tmp_path / "set").reader(320, 256, "train")
    for image in reader.read(np.arange(len(reader))):
        assert image[:, 0].max() > 10000, "the chest wall is on the left edge"
        assert image[:, 200:].max() == 0, "lead letters and scan borders are gone"
        assert image.max() > 0.95 * WHITE


def test_the_same_films_are_no_digital_mammograms(tmp_path, films):
    with pytest.raises(DataError, match="8 refused: secondary-capture"):
        plan(tmp_path / "set", [(load_recipe("folder"), films)])


def test_of_the_real_files_one_is_a_mammogram_to_learn_from(tmp_path, real):
    plan(tmp_path / "set", [(load_recipe("folder", SMALL), real)])
    assert ends(tmp_path / "set") == {
        "README.md": "text-file",
        "GH133_scrubbed.dcm": "",
        "OutOfBoundsOverlay_scrubbed.dcm": "stereo-or-biopsy",
        "jpeg2k_3d.dcm": "tomosynthesis",
        "MG1_J2KI.dcm": "modality",
        "MG1_JPLY.dcm": "modality",
        "MG_Explicit_Little.dcm": "phantom-or-qc",
    }
    manifest = build(tmp_path / "set", workers=0)
    assert (manifest.images, manifest.flags) == (1, {})
    assert verify(tmp_path / "set") == []
    with tarfile.open(tmp_path / "set" / "320x256" / "train-00000.tar") as tar:
        note = json.load(tar.extractfile(tar.getnames()[1]))
    assert (note["view"], note["laterality"], note["vendor"]) == ("MLO", "R", "ge")
    assert note["placing"]["mirrored"]
    lit = ShardSet(tmp_path / "set").reader(320, 256, "train").read(np.array([0]))[0] > 0
    assert lit[:, 0].mean() > 0.6
    assert not lit[:, 230:].any()
    assert 0.2 < lit.mean() < 0.4


def test_the_real_breast_hangs_on_the_right_before_it_is_turned(real):
    left, right = np.array_split(decode(read(real / GE)), 2, axis=1)
    assert right.mean() > 3 * left.mean()


def test_the_real_files_own_table_maps_its_grey(real):
    dicom = pydicom.dcmread(real / GE)
    table, found = grey_table(dicom, 0)
    assert found
    first = dicom.VOILUTSequence[0]
    entries, start, bits = first.LUTDescriptor
    theirs = np.frombuffer(first.LUTData, "<u2") if isinstance(first.LUTData, bytes) else first.LUTData
    black = int(dicom.PixelPaddingRangeLimit) + 1
    ours = table[max(start, black) : start + entries] / WHITE
    assert np.abs(ours - np.array(theirs)[max(black - start, 0) :] / (2**bits - 1)).max() < 1 / WHITE
    del dicom.VOILUTSequence
    by_window, _ = grey_table(dicom, 0)
    assert np.abs(table[black:4096] / WHITE - by_window[black:4096] / WHITE).max() < 2 / 4095


def test_the_real_files_pixels_decode_fast(real):
    dicom = pydicom.dcmread(real / GE)
    frame = pydicom.encaps.get_frame(dicom.PixelData, 0, number_of_frames=1)
    syntax = dicom.file_meta.TransferSyntaxUID
    fast = _fast(syntax, frame, (3062, 2394), np.dtype(np.uint16), dicom.BitsStored)
    assert np.array_equal(fast, dicom.pixel_array)
