"""Checkpoints: written whole or not at all, kept as long as they are needed; and the exported model."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mammogan import schedule, steps
from mammogan.config.method import load_method
from mammogan.config.run_config import Run
from mammogan.errors import DataError, RunFailedError
from mammogan.files import sha256
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import graph
from mammogan.train import checkpoint, rollback
from mammogan.train.build_networks import load_average, networks
from mammogan.train.checkpoint_retention import Retention
from mammogan.train.draw_images import preview
from mammogan.train.export_model import export, load
from mammogan.train.training_loop import train_stage
from tests.steps.scored import score
from tests.train.conftest import TINY, new_run

CPU = torch.device("cpu")
MORE = ("scoring.checkpoints=4", "scoring.kept=2", "alarms.action=log", "supervision.kind=projection")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_shards):
    """Train both stages as the steps do; no test may change it."""
    folder = new_run(tmp_path_factory.mktemp("trained") / "run", tiny_shards, *MORE)
    for stage in (0, 1):
        steps.run(folder, f"train-{stage}")
    return folder


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def end(run):
    return checkpoint.at(run, 1, 96)


def stage_of(run, index=1):
    return schedule.plan(Run.load(run).method)[index]


def counts(run, index=1):
    return [saved.images for saved in checkpoint.saved(run, index)]


def small(folder, images=16, value=1.0, **facts):
    return checkpoint.save(folder, 1, images, {"critic": {"w": torch.full((3,), value)}}, facts)


def test_what_is_saved_is_read_again(tmp_path):
    tensors = {"a": torch.randn(3, 4).T, "b": torch.tensor(7), "c": torch.randn(2, requires_grad=True)}
    saved = checkpoint.save(tmp_path, 2, 48, {"critic": tensors}, {"ticks": [{"x": float("inf")}]})
    (found,) = checkpoint.saved(tmp_path, 2)
    assert found == saved == checkpoint.at(tmp_path, 2, 48)
    assert found.problem() is None
    assert all(torch.equal(found.tensors("critic")[name], tensor) for name, tensor in tensors.items())
    assert found.facts == {"ticks": [{"x": float("inf")}]}


def test_the_digest_is_that_of_the_average(end):
    assert end.digest == sha256(end.folder / "average.safetensors")


DAMAGE = {
    "critic.safetensors is missing": lambda folder: (folder / "critic.safetensors").unlink(),
    "critic.safetensors is damaged: its SHA-256 is not the recorded one": lambda folder: (
        folder / "critic.safetensors"
    ).write_bytes(b"x"),
    "state.json can't be read (": lambda folder: (folder / "state.json").unlink(),
    "state.json can't be read (Expecting": lambda folder: (folder / "state.json").write_text("{"),
    "state.json can't be read ('files')": lambda folder: (folder / "state.json").write_text("{}"),
}


@pytest.mark.parametrize("problem", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_an_older_one_is_taken(tmp_path, caplog, problem):
    older, newer = small(tmp_path, 16), small(tmp_path, 32)
    DAMAGE[problem](newer.folder)
    assert newer.problem().startswith(problem)
    assert checkpoint.newest_valid(tmp_path, 1) == older
    assert f"checkpoint '{newer.folder}' is passed over: {problem}" in caplog.text
    assert checkpoint.verified(older) is older
    message = f"Checkpoint '{newer.folder}' can't be used: {problem}"
    with pytest.raises(DataError, match=re.escape(message)) as error:
        checkpoint.verified(newer)
    assert str(error.value).endswith("Launch the run again to train stage 1 anew from the last good state.")


def test_without_any_valid_checkpoint_there_is_none(tmp_path):
    assert checkpoint.newest_valid(tmp_path, 0) is None
    DAMAGE["critic.safetensors is missing"](small(tmp_path).folder)
    assert checkpoint.newest_valid(tmp_path, 1) is None


def test_a_checkpoint_saved_again_replaces_the_one_that_was_there(tmp_path):
    small(tmp_path, value=1.0)
    again = small(tmp_path, value=2.0)
    assert again.problem() is None
    assert again.tensors("critic")["w"].tolist() == [2, 2, 2]
    assert [path.name for path in again.folder.parent.iterdir()] == ["000000016"]


def test_a_failed_write_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    kept = small(tmp_path, value=1.0)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        RunFailedError, match=r"The disk or quota is full: '.*000000016' could not be written"
    ):
        small(tmp_path, value=2.0)
    assert kept.tensors("critic")["w"].tolist() == [1, 1, 1]
    assert [path.name for path in kept.folder.parent.iterdir()] == ["000000016"]


def test_a_half_written_checkpoint_is_not_seen_and_is_swept_at_the_next_start(run, end):
    folder = RunFolder(run).stage(1)
    for name in (".000000096.77.tmp", ".000000064.77.old"):
        shutil.copytree(end.folder, folder / name)
    before = counts(run)
    assert sorted(before) == sorted(set(before))
    train_stage(run, Run.load(run), 1, lambda *told: None)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{images:09d}" for images in before)


def test_a_checkpoint_half_deleted_when_a_job_was_killed_does_not_stop_the_next(run, end):
    """While it went back: of what lies behind, a part is gone already."""
    rollback.note(run, 1, at=96, to=80)
    assert not end.folder.exists()
    for content in (None, "{", "{}"):
        end.folder.mkdir()
        if content:
            (end.folder / "state.json").write_text(content)
        rollback.forget(run, 1)
        assert not end.folder.exists()
    assert counts(run)[0] == 80


def test_the_last_two_and_those_to_be_scored_are_kept(tmp_path, trained):
    stage = stage_of(trained)
    assert stage.checkpoints() == (48, 64, 80, 96)
    for images in (8, 16, 24, 32, 40, 48, 56):
        small(tmp_path, images)
        Retention(tmp_path, 1).while_training(stage.checkpoints(), also=[16])
        recent = range(max(8, images - 8), images + 1, 8)
        assert set(counts(tmp_path)) == {
            *recent,
            *({16} if images >= 16 else ()),
            *({48} & {images, 48} if images >= 48 else ()),
        }


def test_of_an_ended_stage_the_best_and_its_end_are_kept(run):
    Retention(run, 1).once_scored(stage_of(run).images, [48])
    assert counts(run) == [96, 48]


def write_scores(run, swds, sd=0.01):
    for stage in schedule.plan(Run.load(run).method):
        for images, swd in zip(stage.checkpoints(), swds, strict=True):
            path = RunFolder(run).score(stage.index, images)
            path.parent.mkdir(parents=True, exist_ok=True)
            score(images, swd, sd, stage=stage.index).write(path)


@pytest.mark.parametrize(
    ("swds", "sd", "kept"),
    [
        ((3.0, 2.0, 5.0, 9.0), 0.01, [96, 64, 48]),  # the best two, and the end
        ((9.0, 8.0, 2.0, 1.0), 0.01, [96, 80]),  # of which one may be the end
        ((2.0, 2.1, 2.2, 9.0), 0.30, [96, 80, 64, 48]),  # 80 ties with the best, is later, and is chosen
    ],
)
def test_after_the_choice_the_best_the_end_and_the_chosen_are_kept_and_nothing_is_trained_anew(
    run, swds, sd, kept
):
    stages = schedule.plan(Run.load(run).method)
    assert [len(stage.checkpoints()) for stage in stages] == [4, 4]
    write_scores(run, swds, sd)
    steps.run(run, "select")
    chosen = json.loads((run / "selection.json").read_text())["images"]
    assert chosen in kept
    assert counts(run) == kept
    assert counts(run, 0)[0] == stages[0].images
    nodes = {node.name: node for node in graph(Run.load(run))}
    assert all(steps.is_done(run, nodes[name], 0) for name in ("train-0", "train-1", "select"))

    def written():
        return {path: path.stat().st_mtime_ns for path in (run / "stages").rglob("*.*")}

    before = written()
    for stage in (0, 1):  # even if it is asked to
        train_stage(run, Run.load(run), stage, lambda *told: None)
    assert written() == before
    # And the last stage could be grown again from what is left.
    shutil.rmtree(RunFolder(run).stage(1))
    assert checkpoint.verified(checkpoint.at(run, 0, stages[0].images))


# The model on its own.


@pytest.fixture
def model(run, end, tmp_path):
    export(end, Run.load(run).method, tmp_path / "model")
    return tmp_path / "model"


def test_an_exported_model_draws_the_same_images(run, end, model):
    method = Run.load(run).method
    mine, theirs = load(model), load_average(method, end, CPU)
    assert mine.method == method
    for view in (0, 1, None):
        for one, other in zip(
            mine.draw(7, range(3, 20), view), theirs.draw(7, range(3, 20), view), strict=True
        ):
            assert np.array_equal(one, other)
    assert np.array_equal(preview(mine), preview(theirs))
    assert not any(p.requires_grad for p in mine.generator.parameters())


def test_an_exported_model_needs_no_run(run, model):
    shutil.rmtree(run)
    (image,) = load(model).draw(0, range(1), 0)
    assert image.shape == (10, 8) and image.dtype == np.uint16 and image.std() > 0


def test_an_exported_model_is_no_pickle(model):
    assert sorted(path.suffix for path in model.iterdir()) == [".json", ".safetensors", ".safetensors"]


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["generator.safetensors", "labels.safetensors", "generator.json"])
@pytest.mark.parametrize("harm", [os.remove, cut, flipped, lambda path: path.write_text("[]")])
def test_a_damaged_model_is_told_so(model, name, harm):
    harm(model / name)
    with pytest.raises(DataError, match=f"^'{model}' holds no model that can be read: ") as error:
        load(model)
    assert str(error.value).endswith(". A finished run leaves one in its folder 'model'.")
    assert name in str(error.value) or name == "generator.json"


def test_a_folder_without_a_model_is_told_so(tmp_path):
    with pytest.raises(DataError, match=r"holds no model that can be read: .*generator\.json"):
        load(tmp_path)


def test_a_model_exported_before_its_files_were_hashed_is_read(model):
    facts = json.loads((model / "generator.json").read_text())
    del facts["files"]
    (model / "generator.json").write_text(json.dumps(facts))
    assert load(model).taught == {"view": ("CC", "MLO")}


def test_a_damaged_checkpoint_is_not_exported(run, end, tmp_path):
    flipped(end.folder / "average.safetensors")
    with pytest.raises(DataError, match=r"average\.safetensors is damaged"):
        export(end, Run.load(run).method, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("change", ["supervision.kind=auxiliary", "network.channels_max=4"])
@pytest.mark.parametrize("resumed", [True, False])
def test_a_checkpoint_of_other_settings_says_so(run, end, change, resumed):
    method = load_method("tour", (*TINY, *MORE, change))
    other = Run.load(run).model_copy(update={"method": method})
    with pytest.raises(DataError, match=r"other settings of \[network\] or \[ladder\]\. Start a new run"):
        networks(run, other, 1, end if resumed else None)


def test_what_is_not_yet_scored_outlives_the_choice(run):
    write_scores(run, (1.0, 2.0, 5.0, 9.0))
    for stage in schedule.plan(Run.load(run).method):
        RunFolder(run).score(stage.index, stage.checkpoints()[2]).unlink()
    steps.run(run, "select")
    assert counts(run) == [96, 80, 64, 48]  # 80 is not scored, 96 is the end, and the others are the best
