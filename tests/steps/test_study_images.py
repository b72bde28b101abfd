"""From a shard set and a pool to a study: which images, and what is made of them."""

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.label_fields import UNKNOWN
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.synthetic.synthetic_pool import load_manifest
from mammogan.errors import ConfigError, DataError
from mammogan.steps.study_images import (
    Sources,
    new_study,
    offers,
    open_sources,
    read_accepted,
    sources_of_run,
)
from mammogan.study.reader.study_folder import SUMS, load_study
from mammogan.study.reader.study_settings import StudyFile
from mammogan.study.web.image_store import ImageStore, load_index
from tests.cli.made import make_run
from tests.steps.test_review_images import CHECKPOINT, make_pool, rung_of
from tests.study.made_study import SIZE, VIEWS

FILE = StudyFile.model_validate({"study": {"images_per_view": 7}})


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """Give two pools, whose first stands in for the reals of a shard set."""
    folder = tmp_path_factory.mktemp("pools")
    return make_pool(folder / "reals", 9, seed=9), make_pool(folder / "synthetics", 8)


@pytest.fixture(scope="module")
def sources(pools):
    return Sources(*map(rung_of, pools), "test", CHECKPOINT[:12], load_recipe("phantom"))


def test_a_study_has_the_same_number_of_each_source_and_view(sources, tmp_path):
    told = []
    made = new_study(tmp_path / "study", FILE, sources, None, lambda done, total: told.append((done, total)))
    image_store = ImageStore(tmp_path / "study")
    assert Counter((p.source, p.view) for p in image_store.pictures) == {
        (source, view): 7 for source in ("real", "synthetic") for view in VIEWS
    }
    assert told == [(number, 28) for number in range(1, 29)]
    assert (made.pairs, made.margin, made.model_id, made.split) == (10, 0.1, CHECKPOINT[:12], "test")
    assert not made.filtered
    assert load_study(tmp_path / "study") == made
    assert (tmp_path / "study").stat().st_mode & 0o077 == 0
    lines = (tmp_path / "study" / SUMS).read_text().splitlines()
    assert len(lines) == 28
    for number, picture in enumerate(image_store.pictures):
        assert f"{picture.sha256}  {picture.key}" in lines
        assert picture.key[0] == picture.source[0]
        assert picture.view.lower() in picture.origin
        assert len(set(image_store.read(number))) > 20


def test_the_seed_decides_which_images_are_taken(sources):
    def taken(seed):
        return {(p.source, p.origin) for p, _ in offers(sources, 5, seed)}

    assert taken(1) == taken(1) != taken(2)


def test_only_accepted_synthetic_images_are_shown_and_the_study_says_so(sources, tmp_path):
    names = frozenset(f"{view.lower()}-{number:07d}" for view in VIEWS for number in range(1, 8))
    made = new_study(tmp_path / "study", FILE, sources, names)
    shown = {p.origin for p in load_index(tmp_path / "study").pictures if p.source == "synthetic"}
    assert shown == names
    assert made.filtered
    few = frozenset(sorted(names)[:4])
    with pytest.raises(ConfigError, match="there are 7 real and 4 fitting synthetic ones"):
        new_study(tmp_path / "other", FILE, sources, few)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "is not valid JSON"),
        ("{}", "is no list of names of images"),
        ("[]", "is no list of names of images"),
        ("[1]", "is no list of names of images"),
    ],
)
def test_a_list_of_accepted_images_that_is_none_is_told(text, told, tmp_path):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(DataError, match=told):
        read_accepted(tmp_path / "list.json")
    (tmp_path / "list.json").write_text(json.dumps(["cc-0000001"]))
    assert read_accepted(tmp_path / "list.json") == {"cc-0000001"}


class FakeSet(ShardSet):
    """A shard set of a given manifest: building a real one for each split takes minutes."""

    splits = ()
    recipes = (load_recipe("phantom"),)

    def __init__(self, path):
        self.path = path
        about = {"height_px": SIZE[0], "width_px": SIZE[1], "samples": 1}
        self.manifest = SimpleNamespace(
            files=[SimpleNamespace(split=split, **about) for split in self.splits]
        )

    def reader(self, height_px, width_px, split):
        return (height_px, width_px, split)


@pytest.mark.parametrize(
    ("splits", "taken"),
    [(("train", "validation", "test"), "test"), (("train", "validation"), "validation"), (("train",), None)],
)
def test_reals_are_of_patients_that_training_never_saw(splits, taken, pools, monkeypatch):
    monkeypatch.setattr(
        "mammogan.data.shards.shard_reader.ShardSet", type("Set", (FakeSet,), {"splits": splits})
    )
    if taken is None:
        with pytest.raises(DataError, match="holds training images only"):
            open_sources(pools[0], pools[1])
    else:
        found = open_sources(pools[0], pools[1])
        assert found.reals == (*SIZE, taken)
        assert found.split == taken
        assert len(found.synthetics) == load_manifest(pools[1]).pool.images


def test_a_run_brings_its_shard_set_and_its_pool(tmp_path):
    run = make_run(tmp_path / "run")
    assert sources_of_run(run) == (run / "shards", run / "samples")


class Blind:
    """Images of no view, as a model that was taught none draws them."""

    views_N = np.full(3, UNKNOWN)

    def __init__(self):
        self.labels = {}

    def __len__(self):
        return 3

    def keys(self, positions):
        return [f"any-{position}" for position in positions]


def test_a_pool_without_shards_or_images_without_views_make_no_study(tmp_path, monkeypatch, sources):
    blind = Sources(Blind(), Blind(), "test", CHECKPOINT, sources.recipe)
    with pytest.raises(ConfigError, match="Neither source has images of the views CC, MLO"):
        new_study(tmp_path / "study", FILE, blind)
    with pytest.raises(ConfigError, match="there are 7 real and 0 fitting synthetic ones"):
        new_study(tmp_path / "study", FILE, replace(sources, synthetics=Blind()))
    monkeypatch.setattr("mammogan.data.shards.shard_reader.ShardSet", FakeSet)
    with pytest.raises(ConfigError, match="has no shards: sample it with --format shards"):
        open_sources(tmp_path, make_pool(tmp_path / "pngs", 2, formats=("png",)))
