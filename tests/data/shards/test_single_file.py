"""A file that no shard set has planned, as an image of a rung."""

import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.single_file import Fresh, Wanted, fetch, lost
from mammogan.data.shards.sources import load as load_sources
from mammogan.data.store import private_folder


@pytest.fixture
def got(saved, dicom, recipe, tmp_path):
    """Fetch a file of given tags."""

    def fetch_made(view="", laterality="", **tags):
        path = saved(dicom(**tags), tmp_path / "file.dcm")
        return fetch(Wanted(str(path), recipe, (40, 32), view, laterality))

    return fetch_made


def test_a_file_of_the_set_becomes_the_image_that_stands_in_its_shard(built, recipe):
    found, secret = ShardSet(built), private_folder.folder(built)
    for shard in found.plan.shards:
        reader = found.reader(80, 64, shard.split)
        by_key = {key: place for place, key in enumerate(reader.keys(np.arange(len(reader))))}
        for line in private_folder.read_lines(secret / "plan" / f"{shard.name}.jsonl"):
            sample = line["sample"]
            if (place := by_key.get(sample["key"])) is None:
                continue  # what its pixels refused
            fresh = fetch(Wanted(line["path"], load_sources(secret).recipes[0], (80, 64)))
            assert np.array_equal(fresh.image_HW, reader.read(np.array([place]))[0])
            assert (fresh.view, fresh.laterality) == (sample["view"], sample["laterality"])
            assert fresh.reason == fresh.refused == ""


def test_what_a_file_does_not_say_is_taken_from_who_asks(got):
    assert got(ViewPosition=None).reason == "view-unknown"
    assert got(ImageLaterality=None).reason == "laterality-unknown"
    assert got(ViewPosition="XCCL").reason == "view-other"
    told = got(view="MLO", laterality="R", ViewPosition=None, ImageLaterality=None)
    assert (told.view, told.laterality, told.reason) == ("MLO", "R", "")
    own = got(view="MLO", laterality="R")
    assert (own.view, own.laterality) == ("CC", "L")


def test_an_image_that_a_shard_set_would_leave_out_is_there_with_the_rules_name(got):
    fresh = got(Modality="CT", BurnedInAnnotation="YES")
    assert fresh.image_HW is not None and fresh.image_HW.shape == (40, 32)
    assert fresh.refused == "modality" and fresh.burned_in
    blank = got(pixels=np.full((512, 400), 9, np.uint16))
    assert blank.image_HW is not None and blank.refused


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty-file"), (b"no image at all" * 99, "not-dicom"), (None, "no-access")]
)
def test_whatever_is_wrong_with_a_file_is_a_reason(recipe, tmp_path, content, reason):
    path = tmp_path / "file.dcm"
    if content is not None:
        path.write_bytes(content)
    assert fetch(Wanted(str(path), recipe, (40, 32))) == Fresh(reason=reason)


def test_half_a_file_and_one_that_kills_its_worker_are_reasons(got, recipe, tmp_path):
    got()
    path = tmp_path / "file.dcm"
    path.write_bytes(path.read_bytes()[:20000])
    assert fetch(Wanted(str(path), recipe, (40, 32))).reason in ("truncated", "damaged")
    assert lost(Wanted(str(path), recipe, (40, 32)), "time-limit") == Fresh(reason="time-limit")


def test_tables_of_the_recipe_are_not_asked(saved, dicom, tmp_path):
    path = saved(dicom(), tmp_path / "file.dcm")
    fresh = fetch(Wanted(str(path), load_recipe("rsna", ()), (40, 32), "CC", "L"))
    assert fresh.image_HW is not None
