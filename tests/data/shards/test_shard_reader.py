import io
import json
import shutil

import numpy as np
import pytest
import scipy.stats
import webdataset as wds

from mammogan.config.label_fields import CLASSES, UNKNOWN, VIEWS
from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.data.store import image_encoding
from mammogan.errors import DataError


@pytest.fixture
def copied(built, tmp_path):
    shutil.copytree(built, tmp_path / "set")
    return tmp_path / "set"


def test_a_plain_webdataset_reader_sees_every_sample_of_every_rung(built):
    made = ShardSet(built)
    for height, width in made.manifest.rungs_px:
        reader = made.reader(height, width, "train")
        urls = sorted(str(path) for path in (built / f"{height}x{width}").glob("train-*.tar"))
        samples = list(wds.WebDataset(urls, shardshuffle=False))
        images = reader.read(np.arange(len(reader)))
        if height > 80:
            notes = [json.loads(sample["json"]) for sample in samples]
            assert [sample["__key__"] for sample in samples] == [note["key"] for note in notes]
            seen = [
                image_encoding.decode(sample[image_encoding.SUFFIX], (height, width)) for sample in samples
            ]
        else:  # one member holds all images of a shard
            notes = [note for sample in samples for note in json.loads(sample["json"])]
            seen = np.concatenate([np.load(io.BytesIO(sample["npy"])) for sample in samples])
        assert [note["key"] for note in notes] == reader.keys(np.arange(len(reader)))
        assert [VIEWS.index(note["view"]) for note in notes] == reader.views_N.tolist()
        assert np.array_equal(seen, images)


def test_the_notes_hold_nothing_but_what_is_allowed(built):
    sample = next(iter(wds.WebDataset(str(built / "160x128" / "train-00000.tar"), shardshuffle=False)))
    note = json.load(io.BytesIO(sample["json"]))
    assert set(note) == {
        "key", "view", "laterality", "vendor", "age_band", "density", "flags", "dataset",
        "size_px", "pixel_spacing_mm", "placing", "image_sha256_at_top",
    }  # fmt: skip
    assert note["pixel_spacing_mm"] > 0.3


def test_spacing_doubles_from_rung_to_rung(built):
    def spacing(reader):
        sample = next(iter(wds.WebDataset(str(built / reader / "train-00000.tar"), shardshuffle=False)))
        note = json.loads(sample["json"])
        return (note[0] if isinstance(note, list) else note)["pixel_spacing_mm"]

    assert spacing("80x64") == pytest.approx(2 * spacing("160x128"), rel=1e-4)


def test_images_are_16_bit_with_the_chest_wall_on_the_left(built):
    reader = ShardSet(built).reader(160, 128, "train")
    images = reader.read(np.arange(len(reader)))
    assert images.dtype == np.uint16
    assert images.shape == (len(reader), 160, 128)
    assert len(np.unique(images)) > 1000
    assert (images[:, :, :64].sum((1, 2), dtype=float) > images[:, :, 64:].sum((1, 2), dtype=float)).all()
    assert (images[:, :, 0].max(axis=1) > 5000).all()
    assert (images == 0).mean() > 0.5


def test_positions_may_come_in_any_order_and_again_with_cache_or_without(built):
    made = ShardSet(built)
    cached = made.reader(40, 32, "train")
    files = [f for f in made.manifest.files if (f.height_px, f.split) == (40, "train")]
    uncached = ImageReader(built, files, cache_bytes=0)
    positions = np.array([3, 0, 3, len(cached) - 1, 1])
    first, again = cached.read(positions), cached.read(positions)
    assert np.array_equal(first, again)
    assert np.array_equal(first, uncached.read(positions))
    assert np.array_equal(first[0], first[2])


def test_a_rung_is_half_of_the_one_above(built):
    made = ShardSet(built)
    high, low = made.reader(160, 128, "validation"), made.reader(80, 64, "validation")
    above = high.read(np.arange(len(high))).reshape(-1, 80, 2, 64, 2).mean(axis=(2, 4))
    assert np.abs(above - low.read(np.arange(len(low)))).max() <= 1


def test_manifest_counts_moments_and_terms_are_those_of_the_images(built):
    made = ShardSet(built)
    reader = made.reader(160, 128, "train")
    images = reader.read(np.arange(len(reader))) / 65535
    moments = made.manifest.moments[-1]
    assert moments.mean == pytest.approx(images.mean(), abs=2e-4)
    assert moments.sd == pytest.approx(images.std(), abs=2e-4)
    assert moments.skewness == pytest.approx(scipy.stats.skew(images, axis=None), rel=1e-3)
    assert moments.kurtosis == pytest.approx(scipy.stats.kurtosis(images, axis=None, fisher=False), rel=1e-3)
    counted = {(c.split, c.view): c.images for c in made.manifest.counts}
    assert counted["train", "CC"] == (reader.views_N == 0).sum()
    assert counted["train", "MLO"] == (reader.views_N == 1).sum()
    tally = made.manifest.tallies[0]
    assert tally.accepted == made.manifest.images
    assert made.manifest.recipes[0].licence == "CC0-1.0"


def test_the_identity_is_known_before_the_set_is_built(planned, built):
    assert not ShardSet(planned).is_built
    assert ShardSet(planned).identity == ShardSet(built).identity
    with pytest.raises(DataError, match=r"planned, not built\. Run: mammogan shards build"):
        ShardSet(planned).reader(5, 4, "train")


def test_a_missing_a_short_and_a_damaged_shard_are_named(copied):
    made = ShardSet(copied)
    shard = copied / "20x16" / "train-00001.tar"
    reader = made.reader(20, 16, "train")
    content = shard.read_bytes()
    shard.write_bytes(content[:900])
    with pytest.raises(DataError, match=r"20x16/train-00001.tar' has 900 bytes"):
        made.reader(20, 16, "train")
    with pytest.raises(DataError, match=r"20x16/train-00001.tar' is damaged at sample"):
        reader.read(np.arange(len(reader)))
    shard.unlink()
    with pytest.raises(DataError, match=r"20x16/train-00001.tar' is missing"):
        made.reader(20, 16, "train")


def test_an_unknown_rung_or_split_is_answered_with_what_there_is(built):
    with pytest.raises(DataError, match=r"no images of '7x7' in split 'train'.*Rungs: 5x4, .*Splits: train"):
        ShardSet(built).reader(7, 7, "train")


def test_a_folder_that_is_no_shard_set_is_told_so(tmp_path):
    with pytest.raises(DataError, match=r"is not a shard set: it has no 'plan.json'.*shards plan"):
        ShardSet(tmp_path)


def test_a_damaged_manifest_is_named(copied):
    (copied / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"manifest.json' is damaged or was written by another version"):
        _ = ShardSet(copied).manifest


def test_a_set_of_an_older_schema_is_refused_with_the_way_out(copied):
    plan = copied / "plan.json"
    plan.write_text(plan.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    with pytest.raises(DataError, match=r"schema_version '1', and this MammoGAN reads 2: .*plan and build"):
        ShardSet(copied)


def test_labels_of_every_image_are_at_hand(built):
    reader = ShardSet(built).reader(80, 64, "train")
    assert set(reader.labels) == {"view", "laterality", "vendor", "age_band", "density"}
    assert set(reader.labels["laterality"]) == {"L", "R"}
    assert all(len(values) == len(reader) for values in reader.labels.values())


@pytest.mark.parametrize("field", CLASSES)
def test_classes_are_the_labels_numbers_and_what_is_unknown_has_its_own(built, field):
    reader = ShardSet(built).reader(5, 4, "train")
    said, numbers = reader.labels[field], reader.classes(field)
    assert len(numbers) == len(reader) and numbers.dtype == np.int64
    for text, number in zip(said, numbers, strict=True):
        assert (CLASSES[field][number] if number >= 0 else "") == (text if text in CLASSES[field] else "")
        assert number >= 0 or number == UNKNOWN


def test_every_class_has_its_number_and_all_else_is_unknown(built):
    reader = ShardSet(built).reader(5, 4, "train")
    said = ["a", "d", "", "e", "A", "b"]
    reader.labels = {"density": np.resize(said, len(reader))}
    assert reader.classes("density")[:6].tolist() == [0, 3, UNKNOWN, UNKNOWN, UNKNOWN, 1]
    assert (reader.classes("vendor") == UNKNOWN).all(), "a set that doesn't say"
    with pytest.raises(KeyError):
        reader.classes("shoe size")
