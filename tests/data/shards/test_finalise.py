"""Images with the same pixels under other names, and the counts that must add up all the same."""

import json
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from mammogan.data.shards.build_set import build
from mammogan.data.shards.build_shards import build_shards
from mammogan.data.shards.build_status import are_built
from mammogan.data.shards.finalise import finalise
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.verify_set import verify
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import load_plan
from mammogan.errors import DataError
from tests.data.conftest import digests


def accepted(shardset):
    lines = private_folder.read_lines(private_folder.folder(shardset) / "ledger.jsonl")
    return [line for line in lines if line["outcome"] == "accepted"]


@pytest.fixture
def resent(tmp_path, cohort, recipe, key_file, built):
    """The cohort, of which an archive got three images again under new UIDs and for another patient."""
    folder = tmp_path / "files"
    shutil.copytree(cohort, folder)
    truth = json.loads((folder / "truth.json").read_text())["files"]
    clean = [file["path"] for file in truth if file["unit"].startswith("patient")]
    kept = {line["path"] for line in accepted(built)}
    clean = [path for path in clean if str(cohort / path) in kept]
    for number, path in enumerate(clean[2:8:2]):
        again = pydicom.dcmread(folder / path)
        again.SOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
        again.PatientID = f"other-{number}"
        again.save_as(folder / f"again-{number}.dcm")
    plan(tmp_path / "set", [(recipe, folder)], key_file=key_file, workers=0)
    return tmp_path / "set"


def test_of_images_with_the_same_pixels_one_is_kept(resent, built):
    made = build(resent, workers=0)
    assert made.tallies[0].refused["duplicate-pixels"] == 3
    assert made.images == ShardSet(built).manifest.images
    assert verify(resent) == []
    pixels = []
    for split in ("train", "validation"):
        reader = ShardSet(resent).reader(160, 128, split)
        pixels += [image.tobytes() for image in reader.read(np.arange(len(reader)))]
    assert len(set(pixels)) == len(pixels) == made.images


def test_moments_are_those_of_the_images_that_were_kept(resent):
    made = build(resent, workers=0)
    reader = ShardSet(resent).reader(40, 32, "train")
    images = reader.read(np.arange(len(reader))) >> 4
    moments = next(moments for moments in made.moments if moments.height_px == 40)
    assert moments.mean == pytest.approx((images.mean() + 0.5) / 4096, abs=1e-9)
    assert moments.sd == pytest.approx(images.std() / 4096, abs=1e-9)


def test_finishing_that_is_killed_between_two_shards_ends_with_the_same_bytes(resent, tmp_path, monkeypatch):
    from mammogan.data.shards import finalise as module

    shutil.copytree(resent, tmp_path / "other")
    shutil.copytree(private_folder.folder(resent), tmp_path / "other.private")
    build(resent, workers=0)
    build_shards(tmp_path / "other", workers=0)
    copies = []

    def killed(*arguments, copy=module.copy_without):
        copies.append(arguments)
        if len(copies) == 5:
            raise KeyboardInterrupt
        return copy(*arguments)

    monkeypatch.setattr(module, "copy_without", killed)
    with pytest.raises(KeyboardInterrupt):
        finalise(tmp_path / "other")
    monkeypatch.undo()
    build(tmp_path / "other", workers=0)
    assert digests(tmp_path / "other") == digests(resent)


def test_a_set_with_a_shard_that_is_not_built_is_not_finished(planned):
    build_shards(planned, 0, 2, workers=0)
    with pytest.raises(DataError, match=r"The shard '.*' of '.*' is not built"):
        finalise(planned)
    assert not (planned / "manifest.json").exists()


def test_a_shard_whose_files_were_lost_since_is_not_finished_but_made_anew(planned, built):
    build_shards(planned, workers=0)
    lost = next(planned.glob("160x128/*.tar"))
    lost.unlink()
    assert are_built(planned, load_plan(planned), 0, 1)
    with pytest.raises(DataError, match=r"Files of the shard '.*' of '.*' are gone: build the set again"):
        finalise(planned)
    assert not (planned / "manifest.json").exists()
    assert not are_built(planned, load_plan(planned), 0, 1)
    build(planned, workers=0)
    assert digests(planned) == digests(built)


def test_the_ledger_says_of_every_file_what_became_of_it(resent):
    made = build(resent, workers=0)
    ledger = list(private_folder.read_lines(private_folder.folder(resent) / "ledger.jsonl"))
    assert len(ledger) == made.tallies[0].files
    assert len(accepted(resent)) == made.images
    assert json.dumps(ledger).count("duplicate-pixels") == 3
