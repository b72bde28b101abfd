"""Real and synthetic images in one training set, as torch's DataLoader takes them."""

import pickle
from collections import Counter

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.synthetic.pool_writer import write_parts
from mammogan.data.synthetic.synthetic_pool import DicomForm, Image, Pool, claim, finish
from mammogan.datasets.mixed import Mixed
from mammogan.errors import ConfigError, DataError

VIEWS = ("CC", "MLO")


def make_pool(folder, size_px, images=6, **named):
    """Make a pool whose images are of one grey each, which names them: above 60000, as no real one is."""
    height_px, width_px = size_px
    pool = Pool(
        checkpoint="c", seed=1, views=VIEWS, images_per_view=images, images_per_shard=4, height_px=height_px,
        width_px=width_px, **named,
    )  # fmt: skip
    drawn = (
        (part, Image(view, i, np.full(size_px, 60000 + 10 * i + VIEWS.index(view), np.uint16)))
        for part in pool.parts
        for view, i in part.order
    )
    claim(folder, pool)
    write_parts(folder, pool, drawn, lambda: None)
    assert finish(folder, pool)
    return folder


@pytest.fixture(scope="module")
def size_px(built):
    return ShardSet(built).manifest.rungs_px[-1]


@pytest.fixture(scope="module")
def pool(tmp_path_factory, size_px):
    return make_pool(tmp_path_factory.mktemp("pools") / "pool", size_px)


def greys(mixed):
    """Tell which synthetic images an epoch has, by their grey."""
    items = (mixed[i] for i in range(len(mixed)))
    return [round((float(item["image"].flat[0]) + 1) * 32767.5) for item in items if item["synthetic"]]


def test_its_place_in_earlier_versions_still_answers_with_a_notice():
    with pytest.warns(DeprecationWarning, match="is now mammogan.datasets"):
        from mammogan.data.synthetic.mixed_dataset import Mixed as Old
    assert Old is Mixed


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.9])
def test_every_real_comes_once_and_the_synthetics_are_the_share_that_is_asked_for(built, pool, share):
    mixed, reals = Mixed(built, pool, share), ShardSet(built).manifest
    train = sum(count.images for count in reals.counts if count.split == "train")
    kinds = Counter(mixed[i]["synthetic"] for i in range(len(mixed)))
    assert kinds[0] == train > 0
    assert kinds[1] == pytest.approx(share * len(mixed), abs=1)


def test_images_are_those_of_the_shards_with_their_view(built, pool, size_px):
    mixed, reader = Mixed(built, pool, 0.5), ShardSet(built).reader(*size_px, "train")
    for i in range(len(reader)):
        item = mixed[i]
        assert item["image"].dtype == np.float32 and item["image"].shape == (1, *size_px)
        assert np.array_equal(np.rint((item["image"][0] + 1) * 32767.5), reader.read(np.array([i]))[0])
        assert (item["view"], item["synthetic"]) == (reader.views_N[i], 0)
    for i in range(len(reader), len(mixed)):
        item = mixed[i]
        grey = round((float(item["image"].flat[0]) + 1) * 32767.5)
        assert (item["view"], item["synthetic"]) == (grey % 10, 1)


def test_no_synthetic_comes_twice_before_all_have_come_and_epochs_go_on(built, pool):
    mixed, seen = Mixed(built, pool, 0.4, seed=5), []
    for epoch in range(12):
        mixed.set_epoch(epoch)
        seen += greys(mixed)
    assert len(seen) > 24
    for at in range(0, len(seen) - 12, 12):
        assert len(set(seen[at : at + 12])) == 12
    mixed.set_epoch(0)
    assert greys(mixed) == seen[: len(greys(mixed))]
    assert greys(Mixed(built, pool, 0.4, seed=6)) != greys(mixed)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_data_loader_gives_the_same_whatever_its_workers(built, pool, start):
    mixed = Mixed(built, pool, 0.5)
    batches = list(
        DataLoader(
            mixed, batch_size=4, num_workers=2, multiprocessing_context=start, persistent_workers=False
        )
    )
    assert batches[0]["image"].shape[:2] == (4, 1)
    together = np.concatenate([batch["image"].numpy() for batch in batches])
    assert np.array_equal(together, np.stack([mixed[i]["image"] for i in range(len(mixed))]))
    assert sum(int(batch["synthetic"].sum()) for batch in batches) == len(mixed) // 2


def test_an_index_out_of_range_is_an_index_error(built, pool):
    mixed = Mixed(built, pool, 0.5)
    for index in (len(mixed), -1):
        with pytest.raises(IndexError):
            mixed[index]


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(built, pool, share):
    with pytest.raises(ConfigError, match="of synthetic images is not from 0 to below 1"):
        Mixed(built, pool, share)


def test_pools_that_cannot_be_mixed_are_refused(built, pool, size_px, tmp_path):
    with pytest.raises(DataError, match=r"holds no whole pool: it has no manifest\.json"):
        Mixed(built, tmp_path / "none", 0.5)
    with pytest.raises(DataError, match="has no images of '7x6' in split 'train'"):
        Mixed(built, make_pool(tmp_path / "small", (7, 6)), 0.5)
    plain = make_pool(tmp_path / "dicoms", size_px, formats=("dicom",), dicom=DicomForm(pixel_mm=1))
    with pytest.raises(ConfigError, match="has dicom only: sample it as shards"):
        Mixed(built, plain, 0.5)


def test_only_accepted_synthetic_images_are_taken_and_each_once_before_any_again(built, pool):
    names = ["cc-0000001", "mlo-0000003", "mlo-0000004"]
    mixed = Mixed(built, pool, 0.5, accepted=names)
    wanted, reals = {60010, 60031, 60041}, len(Mixed(built, pool, 0))
    shown = []
    for epoch in range(3):
        mixed.set_epoch(epoch)
        assert len(greys(mixed)) == reals
        shown += greys(mixed)
    assert set(shown) == wanted
    for first in range(0, len(shown) - 2, 3):
        assert set(shown[first : first + 3]) == wanted
    assert greys(pickle.loads(pickle.dumps(mixed))) == greys(mixed)  # as a spawned worker gets it


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "The list of accepted images names no image of the pool '"),
        (["cc-0000001", "cc-0000999"], "names 'cc-0000999', which is not in the pool '"),
    ],
)
def test_a_list_of_other_images_is_refused(built, pool, names, told):
    with pytest.raises(ConfigError, match=told):
        Mixed(built, pool, 0.5, accepted=names)
