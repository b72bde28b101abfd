"""The reals that checkpoints are held against: of validation patients, gathered once, shared by all tasks."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from mammogan import file_lock, schedule
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import merge
from mammogan.config.site import load_site
from mammogan.data.shards import sample_facts
from mammogan.errors import RunFailedError
from mammogan.metrics import SlicedWasserstein
from mammogan.steps import real_sets, swd_sets

SETTINGS = ("ladder.stages=2", "scoring.images=24", "scoring.seeds=2", "scoring.directions=8")


class ImageReader:
    """Images in memory that note which were read."""

    def __init__(self, views, seed):
        self.views_N = np.array(views)
        self.images_NHW = np.random.default_rng(seed).integers(0, 65536, (len(views), 10, 8), dtype=np.uint16)
        self.asked = []

    def keys(self, positions):
        return [f"{position // 3}" for position in positions]

    def read(self, positions):
        self.asked += list(positions)
        return self.images_NHW[positions]


class Shards:
    path = Path("a set whose private folder is elsewhere")

    def __init__(self):
        views = [0, 1] * 10
        self.readers = {"validation": ImageReader([*views, 0, 0], 0), "train": ImageReader([1, *views], 1)}

    def reader(self, height_px, width_px, split):
        assert (height_px, width_px) == (10, 8)
        return self.readers[split]


def run_on(folder, *more, data="data"):
    method = load_method("tour", (*SETTINGS, *more))
    return merge(method, (load_recipe("phantom"),), load_site("local"), folder / "set", data, "0")


@pytest.fixture
def shared(tmp_path):
    """Give a function that asks for the reals of the second stage, as a task does."""

    def ask(shards, *more, **changes):
        run = run_on(tmp_path, *more, **changes)
        return real_sets.shared(tmp_path / "run", run, schedule.plan(run.method)[1], shards)

    return ask


def test_as_many_of_each_view_are_compared_as_both_splits_have_and_at_most_an_even_share():
    one, other = np.array([0] * 30 + [1] * 5), np.array([0] * 20 + [1] * 9)
    assert real_sets.balanced(24, one, other) == {0: 12, 1: 5}
    assert real_sets.balanced(1000, one, other) == {0: 20, 1: 5}
    assert real_sets.balanced(24, one, np.array([0, 0])) == {0: 2}
    with pytest.raises(RunFailedError, match=r"no view has images of both .* a larger 'splits.validation'"):
        real_sets.balanced(24, one[:3], other[-3:])


def test_fakes_are_held_against_validation_reals_and_training_reals_make_the_floor_alone(shared):
    shards = Shards()
    found = shared(shards)
    assert found.counts == {0: 10, 1: 10}
    validation = shards.readers["validation"]
    assert sorted(validation.asked) == list(range(20))
    for (seed, foreground, view), one in found.sets.items():
        alone = SlicedWasserstein(**one.settings)
        alone.update(validation.images_NHW[:20][validation.views_N[:20] == view])
        np.testing.assert_array_equal(one.stores[0].read(), alone.stores[0].read(), str((seed, foreground)))
    assert {kind: values.shape for kind, values in found.floors.items()} == {
        (False, 0): (2, 1),
        (False, 1): (2, 1),
        (False, None): (2, 1),
        (True, 0): (1, 1),
        (True, 1): (1, 1),
        (True, None): (1, 1),
    }
    assert all((values > 0).all() for values in found.floors.values())


def test_without_the_private_folder_each_image_counts_as_a_patient_and_that_is_said(shared, caplog):
    found = shared(Shards())
    assert not found.known
    assert {view: list(groups_N) for view, groups_N in found.groups.items()} == {
        v: [*range(10)] for v in (0, 1)
    }
    assert "private folder, which is not here; the error of a score takes each image" in caplog.text
    assert {view: values.shape for view, values in found.floor_halves.items()} == {0: (16, 1), 1: (16, 1)}


def test_images_of_a_patient_stay_together_whatever_their_view(shared, monkeypatch):
    def patients(_, split, keys):
        assert split in ("validation", "train")
        return [int(key) for key in keys]

    monkeypatch.setattr(sample_facts, "patients", patients)
    found = shared(Shards())
    assert found.known
    assert list(found.groups[0][:4]) == [0, 0, 1, 2]  # images 0, 2, 4, 6, of which three are a patient's
    assert list(found.groups[1][:4]) == [0, 1, 1, 2]
    again = shared(Shards())
    assert list(again.groups[1]) == list(found.groups[1])


def test_the_next_task_and_the_next_run_read_nothing_anew(shared):
    first, again = shared(Shards()), Shards()
    found = shared(again, "method.name='other'")
    assert [reader.asked for reader in again.readers.values()] == [[], []]
    assert found.key == first.key
    for kind, one in found.sets.items():
        assert one.distance(first.sets[kind]) == [0.0]
    for kind, values in found.floors.items():
        np.testing.assert_array_equal(values, first.floors[kind])


@pytest.mark.parametrize(
    "changed",
    [
        "method.seed=1",
        "scoring.seeds=3",
        "scoring.images=12",
        "scoring.patches_per_image=8",
        "scoring.splits=9",
    ],
)
def test_what_patches_depend_on_makes_them_other_reals(shared, changed):
    assert shared(Shards(), changed).key != shared(Shards()).key


def test_other_data_are_other_reals(shared):
    assert shared(Shards(), data="more data").key != shared(Shards()).key


def test_they_lie_beside_the_shards_closed_to_others_and_nothing_is_left_over(shared, tmp_path):
    found = shared(Shards())
    folder = tmp_path / "set-scoring"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [f"10x8-{found.key}"]
    assert sorted(path.name for path in (folder / f"10x8-{found.key}").iterdir()) == [
        "floors.json",
        "halves.json",
        "looks.npz",
        "validation",
    ]


def test_where_nothing_can_be_made_beside_the_shards_they_lie_in_the_run(shared, tmp_path):
    (tmp_path / "set-scoring").write_text("a file of that name")
    found = shared(Shards())
    assert (tmp_path / "run" / "scores" / "reals" / f"10x8-{found.key}").is_dir()


@pytest.mark.parametrize(
    "name",
    ["floors.json", "halves.json", "validation/cc-1/level-0.f32", "validation/mlo-0-breast/about.json"],
)
def test_reals_that_are_damaged_are_gathered_again(shared, tmp_path, name):
    first = shared(Shards())
    os.truncate(tmp_path / "set-scoring" / f"10x8-{first.key}" / name, 5)
    again = Shards()
    found = shared(again)
    assert again.readers["validation"].asked
    for kind, one in found.sets.items():
        assert one.images == first.sets[kind].images
    assert json.loads((tmp_path / "set-scoring" / f"10x8-{first.key}" / "floors.json").read_text())


def test_what_an_owner_that_died_has_left_goes(shared, tmp_path):
    first = shared(Shards())
    folder = tmp_path / "set-scoring" / f"10x8-{first.key}"
    folder.rename(folder.with_name(f".{folder.name}.elsewhere.1.tmp"))
    shared(Shards())
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("moment", ["_save_looks", "_halves"])
def test_a_task_stopped_half_way_leaves_nothing_and_the_next_begins_anew(
    shared, tmp_path, monkeypatch, moment
):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(real_sets, moment, stopped)
        with pytest.raises(KeyboardInterrupt):
            shared(Shards())
    assert list((tmp_path / "set-scoring").iterdir()) == []
    again = Shards()
    found = shared(again)
    assert again.readers["train"].asked
    assert found.looks.validation[0]["background"].shape == (10,)
    assert found.looks.others[1]["features"].shape[0] == 10


def test_what_another_task_has_made_meanwhile_stays(shared, tmp_path):
    first, shards, run = shared(Shards()), Shards(), run_on(tmp_path)
    folder = tmp_path / "set-scoring" / f"10x8-{first.key}"
    before = {path: path.stat().st_ino for path in folder.rglob("*")}
    readers = (shards.readers["validation"], shards.readers["train"])
    real_sets._gather(run, schedule.plan(run.method)[1], folder, first.counts, readers, None, "cpu")
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == before
    assert list(folder.parent.iterdir()) == [folder]


def test_of_tasks_that_start_at_once_one_gathers(shared, monkeypatch):
    monkeypatch.setattr(file_lock, "LOOK_S", 0.01)
    every, found = [Shards() for _ in range(4)], []
    threads = [threading.Thread(target=lambda s=shards: found.append(shared(s))) for shards in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.key for one in found}) == 1
    assert sorted(len(shards.readers["train"].asked) for shards in every) == [0, 0, 0, 20]


def test_images_of_a_view_go_to_the_sets_of_that_view_in_batches(tmp_path):
    run = run_on(tmp_path)
    sets = swd_sets.empty(run, schedule.plan(run.method)[1], (0, 1))
    images = np.random.default_rng(0).integers(0, 65536, (7, 10, 8), dtype=np.uint16)
    swd_sets.add(sets, 1, iter(images), at_once=3)
    assert {view: {one.images for (_, _, of), one in sets.items() if of == view} for view in (0, 1)} == {
        0: {0},
        1: {7},
    }


def test_with_one_view_alone_all_is_that_view(tmp_path):
    run = run_on(tmp_path)
    images = np.random.default_rng(0).integers(0, 65536, (2, 7, 10, 8), dtype=np.uint16)
    pair = [swd_sets.empty(run, schedule.plan(run.method)[1], (1,)) for _ in range(2)]
    for sets, some in zip(pair, images, strict=True):
        swd_sets.add(sets, 1, some)
    distances = swd_sets.compare(*pair)
    np.testing.assert_array_equal(distances[False, 1], distances[False, None])
    assert list(swd_sets.score(distances, distances, [(10, 8)]).views) == ["MLO"]
