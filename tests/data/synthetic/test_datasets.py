"""Real and synthetic images as data sets of torch, and as addresses for WebDataset."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import webdataset as wds
from torch.utils.data import DataLoader, Dataset

from mammogan.data.shards.shard_reader import ShardSet
from mammogan.datasets import Mixed, Shards, Synthetic, webdataset_decoder
from mammogan.errors import ConfigError, DataError
from tests.data.synthetic.test_mixed_dataset import make_pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory, built):
    return make_pool(tmp_path_factory.mktemp("pools") / "pool", ShardSet(built).manifest.rungs_px[-1])


def grey(item):
    return np.rint((item["image"][0] + 1) * 32767.5).astype(np.uint16)


def test_shards_are_the_images_of_the_set_with_their_labels(built):
    size_px = ShardSet(built).manifest.rungs_px[-1]
    dataset, reader = Shards(built), ShardSet(built).reader(*size_px, "train")
    assert isinstance(dataset, Dataset) and len(dataset) == len(reader) and dataset.size_px == size_px
    for i in range(len(reader)):
        item = dataset[i]
        assert item["image"].dtype == np.float32 and item["image"].shape == (1, *size_px)
        np.testing.assert_array_equal(grey(item), reader.read(np.array([i]))[0])
        assert (item["view"], item["synthetic"]) == (reader.views_N[i], 0)
        assert item["labels"]["density"] == reader.classes("density")[i]
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_another_resolution_and_split_are_asked_for(built):
    small = Shards(str(built), size_px=(5, 4), split="validation")
    assert small[0]["image"].shape == (1, 5, 4)
    with pytest.raises(DataError, match="has no images of '5x4' in split 'tets'"):
        Shards(built, size_px=(5, 4), split="tets")


def test_synthetics_are_the_pools_images(pool):
    dataset = Synthetic(pool)
    assert isinstance(dataset, Dataset) and len(dataset) == 12
    assert {int(grey(dataset[i]).flat[0]) for i in range(12)} == {
        60000 + 10 * i + view for i in range(6) for view in (0, 1)
    }
    assert all(int(grey(item).flat[0]) % 10 == item["view"] for item in (dataset[i] for i in range(12)))
    assert len(Synthetic(pool, accepted=["cc-0000001"])) == 1
    with pytest.raises(ConfigError, match="names 'x', which is not in the pool"):
        Synthetic(pool, accepted=["x"])


@pytest.mark.parametrize("kind", ["shards", "synthetic", "mixed"])
def test_a_loader_and_its_workers_take_them(built, pool, kind):
    dataset = {
        "shards": lambda: Shards(built),
        "synthetic": lambda: Synthetic(pool),
        "mixed": lambda: Mixed(built, pool, 0.5),
    }[kind]()
    assert isinstance(dataset, Dataset)
    again = pickle.loads(pickle.dumps(dataset))  # as a spawned worker gets it
    np.testing.assert_array_equal(again[0]["image"], dataset[0]["image"])
    seen = sum(len(batch["image"]) for batch in DataLoader(dataset, batch_size=4, num_workers=1))
    assert seen == len(dataset)


@pytest.mark.parametrize("kind", ["shards", "synthetic"])
def test_webdataset_reads_their_addresses(built, pool, kind):
    dataset = Shards(built) if kind == "shards" else Synthetic(pool)
    images = []
    for sample in wds.WebDataset(dataset.urls, shardshuffle=False).decode(webdataset_decoder):
        [found] = [value for key, value in sample.items() if key in ("grey", "npy", "png")]
        images += list(found) if found.ndim == 3 else [found]
    assert len(images) == len(dataset)
    for i, image_HW in enumerate(images):
        np.testing.assert_array_equal(grey(dataset[i]), image_HW)
