"""One woman under several IDs, and several pictures under one UID."""

import json

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.header import read_dicom
from mammogan.data.shards.build_set import build
from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.finalise import finalise
from mammogan.data.shards.pixel_bytes import place, sample
from mammogan.data.shards.same_woman import Joins
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.verify_set import verify
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.manifest import BuiltShard, load_plan
from tests.data.conftest import half_disc

WOMEN = 8
SMALL = ("packing.top_px=[10,8]", "packing.samples_per_shard=4", "splits.train=0.5", "splits.validation=0.5")


@pytest.fixture(scope="session")
def small():
    return load_recipe("phantom", SMALL)


def picture(number):
    noise = np.random.default_rng(number).integers(0, 90, (512, 400)).astype(np.uint16)
    return np.where(half_disc() > 0, half_disc() + noise, 0).astype(np.uint16)


@pytest.fixture
def archive(tmp_path, saved, dicom):
    """Save women with two images each; the first of each is there again, under `edit`, with another ID."""

    def make(edit=None, **tags):
        for woman in range(WOMEN):
            for image in range(2):
                name = f"{woman}-{image}"
                made = dicom(
                    picture(2 * woman + image), PatientID=f"w{woman}", ViewPosition=("CC", "MLO")[image]
                )
                saved(made, tmp_path / "files" / f"{name}.dcm")
                if image == 0:
                    again = dicom(picture(2 * woman), PatientID=f"other{woman}", **tags)
                    if edit:
                        edit(again)
                    saved(again, tmp_path / "files" / f"{name}-again.dcm")
            more = dicom(picture(100 + woman), PatientID=f"other{woman}")
            saved(more, tmp_path / "files" / f"{woman}-more.dcm")
        return tmp_path / "files"

    return make


def encoded(syntax):
    def edit(made):
        made["PixelData"].VR = "OW"
        made.compress(syntax, generate_instance_uid=False)

    return edit


def splits_of(shardset):
    """Give the splits of every woman's files, by the first part of their names."""
    found = {}
    gone = kept_out(shardset)
    for shard in load_plan(shardset).shards:
        for line in planned_lines(shardset, shard):
            if line["sample"]["key"] not in gone:
                found.setdefault(line["path"].rpartition("/")[2].partition("-")[0], set()).add(shard.split)
    return found


def kept_out(shardset):
    path = private_folder.folder(shardset) / "ledger.jsonl"
    lines = private_folder.read_lines(path) if path.exists() else ()
    return {line["key"] for line in lines if line["outcome"] != "accepted"}


@pytest.mark.parametrize("tags", [{}, {"WindowCenter": 1800}, {"StudyDescription": "outside copy"}])
def test_a_woman_under_two_ids_is_planned_into_one_split(archive, tmp_path, small, key_file, tags):
    made = plan(tmp_path / "set", [(small, archive(**tags))], key_file=key_file, workers=0)
    assert made.joined_patients == WOMEN
    assert {len(splits) for splits in splits_of(tmp_path / "set").values()} == {1}
    lines = list(private_folder.read_lines(private_folder.folder(tmp_path / "set") / "joined.jsonl"))
    assert sorted(path[-11:] for path in lines[0]["paths"])[0].endswith("-again.dcm")
    assert len(lines) == WOMEN


def test_a_copy_that_is_refused_tells_whose_the_others_are(archive, tmp_path, small, key_file):
    files = archive(BurnedInAnnotation="YES", BreastImplantPresent="YES")
    made = plan(tmp_path / "set", [(small, files)], key_file=key_file, workers=0)
    assert (made.tallies[0].refused, made.joined_patients) == ({"implant": WOMEN}, WOMEN)
    assert {len(splits) for splits in splits_of(tmp_path / "set").values()} == {1}


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_woman_whose_copies_are_encoded_otherwise_is_brought_together_at_the_end(
    archive, tmp_path, small, key_file, syntax
):
    shardset = tmp_path / "set"
    planned = plan(shardset, [(small, archive(encoded(syntax)))], key_file=key_file, workers=0)
    assert planned.joined_patients == 0, "a plan decodes nothing"
    torn = sum(len(splits) > 1 for splits in splits_of(shardset).values())
    made = build(shardset, workers=0)
    assert torn > 0
    assert made.joined_patients == WOMEN
    assert made.tallies[0].refused["same-woman"] >= torn
    assert {len(splits) for splits in splits_of(shardset).values()} == {1}
    assert made.images == 3 * WOMEN - (made.tallies[0].refused["same-woman"] - torn)
    assert verify(shardset) == []
    assert finalise(shardset) == made


def test_patients_without_a_picture_in_common_are_not_joined(tmp_path, small, saved, dicom):
    for number in range(4):
        saved(dicom(picture(number), PatientID=f"w{number}"), tmp_path / "files" / f"{number}.dcm")
    blank = np.full((512, 400), 700, np.uint16)
    for number in range(4):  # nobody's breast: the same calibration frame under every ID
        saved(dicom(blank, PatientID=f"w{number}"), tmp_path / "files" / f"blank-{number}.dcm")
        test = dicom(picture(50), PatientID=f"w{number}", QualityControlImage="YES")
        saved(test, tmp_path / "files" / f"test-{number}.dcm")
    assert plan(tmp_path / "set", [(small, tmp_path / "files")], workers=0).joined_patients == 0


def test_verify_finds_a_woman_in_two_splits_whom_an_earlier_version_left_there(
    archive, tmp_path, small, key_file
):
    shardset = tmp_path / "set"
    plan(shardset, [(small, archive(encoded(RLELossless)))], key_file=key_file, workers=0)
    build(shardset, workers=0)
    made = load_plan(shardset)
    for path in private_folder.folder(shardset).glob("built/*/*.json"):
        record = manifest.load_record(BuiltShard, path)
        path.write_text(manifest.render(record.model_copy(update={"astray": ()})))
    problems = verify(shardset)
    assert problems
    assert all("Patients with the same pixels (join" in problem for problem in problems)
    assert made.identity == load_plan(shardset).identity


def test_verify_finds_a_picture_that_is_there_twice(built, monkeypatch):
    from mammogan.data.shards import verify_set

    read = verify_set.read_notes
    same = json.dumps({"image_sha256_at_top": "0"}).encode()
    monkeypatch.setattr(verify_set, "read_notes", lambda *all_: [same for _ in read(*all_)])
    assert any("A picture (repeat 1) is" in problem for problem in verify(built))


def reused(tmp_path, saved, *made):
    for number, one in enumerate(made):
        one.SOPInstanceUID = "1.2.3.4"
        saved(one, tmp_path / "files" / f"{number}.dcm")
    return tmp_path / "files"


def planned_of(shardset):
    return [line for shard in load_plan(shardset).shards for line in planned_lines(shardset, shard)]


@pytest.mark.parametrize("kind", ["other woman", "drawn upon", "cropped", "big endian"])
def test_two_pictures_under_one_uid_are_both_judged(tmp_path, small, saved, dicom, kind):
    first, other = picture(0), picture(1)
    if kind == "drawn upon":  # a mark in the corner, far from the bytes that a plan looks at
        other = first.copy()
        other[5:25, 300:390] = 4095
    elif kind == "cropped":
        other = np.ascontiguousarray(first[:-40])
    files = reused(tmp_path, saved, dicom(first), dicom(other, PatientID="patient-2"))
    if kind == "big endian":
        for name in ("0", "1"):
            big_endian(files / f"{name}.dcm")
    made = plan(tmp_path / "set", [(small, files)], workers=0)
    assert (made.tallies[0].accepted, made.flags) == (2, {"uid-reused": 2})
    lines = planned_of(tmp_path / "set")
    assert len({line["sample"]["key"] for line in lines}) == 2
    assert all("uid-reused" in line["sample"]["flags"] for line in lines)


def big_endian(path):
    import pydicom

    made = pydicom.dcmread(path)
    made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, made, enforce_file_format=True, little_endian=False, implicit_vr=False)


@pytest.mark.parametrize("kind", ["same", "other header", "rle", "jpeg 2000", "cut short", "spoilt"])
def test_copies_under_one_uid_are_one_image(tmp_path, small, saved, dicom, kind):
    copies = [dicom(picture(0)), dicom(picture(0))]
    if kind == "other header":
        copies[1].StudyDescription, copies[1].WindowCenter = "outside copy", 1500
    elif kind in ("rle", "jpeg 2000"):
        encoded(RLELossless if kind == "rle" else JPEG2000Lossless)(copies[1])
    elif kind == "spoilt":
        encoded(JPEG2000Lossless)(copies[1])
    files = reused(tmp_path, saved, *copies)
    content = (files / "1.dcm").read_bytes()
    if kind in ("cut short", "spoilt"):  # the spoilt one gets longer, which must not save it
        (files / "1.dcm").write_bytes(content[:-9000] + (bytes(900_000) if kind == "spoilt" else b""))
    made = plan(tmp_path / "set", [(small, files)], workers=0)
    assert (made.tallies[0].accepted, made.tallies[0].refused, made.flags) == (1, {"duplicate": 1}, {})
    kept = planned_of(tmp_path / "set")[0]["path"]
    assert kept.endswith("0.dcm") or kind in ("same", "other header", "rle", "jpeg 2000")


def test_the_order_and_place_of_files_with_one_uid_do_not_matter(tmp_path, small, key_file, saved, dicom):
    plans = []
    for names in ("abc", "cab"):
        for name, number in zip(names, (0, 0, 1), strict=True):
            made = dicom(picture(number), SOPInstanceUID="1.2.3.4")
            saved(made, tmp_path / names / f"{name}.dcm")
        plans.append(plan(tmp_path / f"s{names}", [(small, tmp_path / names)], key_file=key_file, workers=0))
    assert plans[0] == plans[1]
    assert plans[0].tallies[0].refused == {"duplicate": 1}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless, "big"])
def test_a_sample_lies_within_the_pixels_whatever_follows_them(tmp_path, saved, dicom, syntax):
    samples = []
    for trailing in (b"", bytes(5000)):
        made = dicom(picture(0))
        if syntax in (RLELossless, JPEG2000Lossless):
            encoded(syntax)(made)
        if trailing:
            made.add_new(0xFFFCFFFC, "OB", trailing)  # Data Set Trailing Padding
        path = saved(made, tmp_path / f"{len(trailing)}.dcm")
        if syntax == "big":
            big_endian(path)
        samples.append(sample(place(path, *read_dicom(path))))
    assert samples[0] == samples[1] != ""


def test_pixels_that_are_cut_short_bland_or_deflated_give_no_sample_or_that_of_the_file(
    tmp_path, saved, dicom
):
    path = saved(dicom(picture(0)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-10])
    assert sample(place(path, *read_dicom(path))) == ""
    path = saved(dicom(np.full((512, 400), 700, np.uint16)), tmp_path / "b.dcm")
    assert sample(place(path, *read_dicom(path))) == ""
    made = dicom(picture(0))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = saved(made, tmp_path / "c.dcm")
    assert place(path, *read_dicom(path)).begin == 0


def test_joins_go_through_others():
    rows = [("1", "b"), ("1", "c"), ("2", "d"), ("3", "a"), ("3", "e")]
    assert Joins(rows, [("4", "e"), ("4", "c")]).groups() == [["a", "b", "c", "e"]]
