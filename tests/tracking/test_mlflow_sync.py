"""Journals, and what a real MLflow on SQLite holds after syncing; importing MLflow takes seconds, so once."""

import contextlib
import json
import logging
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammogan.config.site import Tracking
from mammogan.errors import RunFailedError
from mammogan.provenance import IMAGE, provenance
from mammogan.steps import tracking_sync
from mammogan.tracking import Journal, ModelPackage, read
from mammogan.tracking.mlflow_sync import default_uri
from tests.tracking.conftest import PICTURE, summary, sync


def test_a_journal_is_read_as_it_was_written(tmp_path):
    journal = Journal(tmp_path, "train-0")
    journal.metrics({"critic/penalty": 0.5}, step=100)
    journal.picture(PICTURE, "samples", step=100)
    journal.metrics({"critic/penalty": float("nan")}, step=200)
    first, picture, second = read(tmp_path, "train-0")
    assert (first["metrics"], first["step"]) == ({"critic/penalty": 0.5}, 100)
    assert (tmp_path / "tracking" / picture["picture"]).read_bytes().startswith(b"\x89PNG")
    assert np.isnan(second["metrics"]["critic/penalty"])
    assert first["time_ms"] == pytest.approx(time.time() * 1000, abs=60_000)


def test_a_journal_that_nobody_wrote_is_empty(tmp_path):
    assert list(read(tmp_path, "train-0")) == []


def test_only_the_leading_rank_writes(tmp_path):
    journal = Journal(tmp_path, "train-0", writes=False)
    journal.metrics({"a": 1.0}, 1)
    journal.picture(PICTURE, "samples", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_line_torn_by_a_kill_is_left_out_and_spoils_no_later_one(tmp_path):
    journal = Journal(tmp_path, "train-0")
    journal.metrics({"a": 1.0}, 1)
    with (tmp_path / "tracking" / "train-0.jsonl").open("a") as stream:
        stream.write('{"time_ms": 17, "metrics": {"a"')
    journal.metrics({"a": 3.0}, 3)
    assert [entry["step"] for entry in read(tmp_path, "train-0")] == [1, 3]


def test_of_two_entries_for_a_step_the_first_stays(tmp_path):
    journal = Journal(tmp_path, "train-0")
    for value in (1.0, 2.0):
        journal.metrics({"a": value}, 1)
        journal.picture(PICTURE, "samples", 1)
    journal.picture(PICTURE, "reals", 1)
    entries = list(read(tmp_path, "train-0"))
    assert [entry["metrics"]["a"] for entry in entries if "metrics" in entry] == [1.0]
    assert len(entries) == 3


def test_a_full_disk_is_reported_as_such(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailedError, match=r"disk or quota is full: '.*train-0\.jsonl'"):
        Journal(tmp_path, "train-0").metrics({"a": 1.0}, 1)


@pytest.fixture
def uploads(mlflow, monkeypatch):
    """Names of the files that are uploaded."""
    names, real = [], mlflow.MlflowClient.log_artifact

    def log_artifact(self, run_id, local_path, artifact_path=None):
        if artifact_path is None:  # pictures go to a folder of their own
            names.append(Path(local_path).name)
        return real(self, run_id, local_path, artifact_path)

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", log_artifact)
    return names


def test_a_run_is_a_parent_with_a_child_for_each_stage_that_has_begun(run, server):
    sync(run, "", summary(finished={"train-0"}))
    runs = server.runs()
    assert set(runs) == {"tour first", "stage 0: 5x4"}
    parent, child = runs["tour first"], runs["stage 0: 5x4"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.tags["run_id"] == "0123456789ab"
    assert parent.data.params["optimiser.learning_rate"] == "0.002"
    assert len(parent.data.params) == 121
    assert (parent.info.status, child.info.status) == ("RUNNING", "FINISHED")
    assert parent.info.start_time == int((run / "run.json").stat().st_mtime * 1000)
    assert server.points("stage 0: 5x4", "critic/penalty") == [(1000, 1.0), (2000, 0.5)]
    assert server.pictures("stage 0: 5x4") == [1000, 2000]


def test_syncing_twice_adds_nothing_and_later_what_is_new(run, server, uploads):
    given = summary(scores=[("swd/5x4/mean", 12.5, 8)], files=[run / "run.json"])
    for _ in range(2):
        sync(run, "", given)
    assert uploads == ["run.json"]
    assert server.pictures("stage 0: 5x4") == [1000, 2000]
    assert server.points("tour first", "swd/5x4/mean") == [(8, 12.5)]
    assert len(server.points("stage 0: 5x4", "critic/penalty")) == 2

    Journal(run, "train-0").metrics({"critic/penalty": 0.25}, 3000)
    (run / "run.json").write_text("{} ")
    given.scores.append(("swd/5x4/mean", 11.0, 10))
    sync(run, "", given)
    assert uploads[1:] == ["run.json"]
    assert server.points("tour first", "swd/5x4/mean") == [(8, 12.5), (10, 11.0)]
    assert [step for step, _ in server.points("stage 0: 5x4", "critic/penalty")] == [1000, 2000, 3000]
    assert len(server.runs()) == 2


def test_a_sync_that_failed_half_way_is_completed_by_the_next(run, server, mlflow, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_image", refuse)
        with pytest.raises(ConnectionError):
            sync(run, "", summary())
    sync(run, "", summary(ended=True))
    assert len(server.runs()) == 2
    assert len(server.points("stage 0: 5x4", "critic/penalty")) == 2
    assert server.pictures("stage 0: 5x4") == [1000, 2000]
    assert server.runs()["tour first"].info.status == "FINISHED"


@pytest.mark.parametrize("after", ["create_run", "log_image", "log_batch"])
def test_a_sync_that_is_killed_before_it_notes_what_it_logged_logs_nothing_twice(
    run, server, mlflow, monkeypatch, after
):
    real, kills, dice = getattr(mlflow.MlflowClient, after), [], random.Random(1)

    def killed(*arguments, **more):
        made = real(*arguments, **more)
        if dice.random() < 0.5:
            kills.append(after)
            raise KeyboardInterrupt
        return made

    given = summary(scores=[("swd/5x4/mean", 12.5, 8)])
    monkeypatch.setattr(mlflow.MlflowClient, after, killed)
    for _ in range(20):
        with contextlib.suppress(KeyboardInterrupt):
            sync(run, "", given)
    assert kills
    assert set(server.runs()) == {"tour first", "stage 0: 5x4"}
    experiment = server.client.get_experiment_by_name("mammogan").experiment_id
    assert len(server.client.search_runs([experiment])) == 2
    assert server.points("stage 0: 5x4", "critic/penalty") == [(1000, 1.0), (2000, 0.5)]
    assert server.pictures("stage 0: 5x4") == [1000, 2000]
    assert server.points("tour first", "swd/5x4/mean") == [(8, 12.5)]


def test_jobs_commit_and_image_stand_in_tags_of_the_stage_and_of_the_run(run, server, monkeypatch):
    sync(run, "", summary())
    tags = server.runs()["stage 0: 5x4"].data.tags
    assert "slurm.job_ids" not in tags and "image.sha256" not in tags
    for job, image in (("12", "aa"), ("15", "bb"), ("15", "bb")):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        monkeypatch.setenv(IMAGE, image)
        Journal(run, "train-0").metrics({"critic/penalty": 0.1}, 3000 + len(list(read(run, "train-0"))))
    sync(run, "", summary())
    for name in ("stage 0: 5x4", "tour first"):
        tags = server.runs()[name].data.tags
        assert (tags["slurm.job_ids"], tags["image.sha256"]) == ("12,15", "aa,bb")
        for tag in ("commit", "mlflow.source.git.commit"):
            assert tags.get(tag, "") == provenance().get("commit", "")


def test_a_new_database_gets_everything_again(run, server, empty_database):
    sync(run, "", summary())
    (run.parent / "mlflow.db").write_bytes(empty_database.read_bytes())
    sync(run, "", summary())
    assert set(server.runs()) == {"tour first", "stage 0: 5x4"}
    assert len(server.points("stage 0: 5x4", "critic/penalty")) == 2


def test_the_files_of_an_sqlite_server_lie_beside_the_run(run, server):
    sync(run, "", summary(files=[run / "run.json"]))
    kept = [path.name for path in (run.parent / "mlartifacts").rglob("*") if path.is_file()]
    assert "run.json" in kept
    assert sum(name.endswith(".png") for name in kept) == 2


def test_the_chosen_model_is_logged_once_and_loads_by_its_alias(run, server, mlflow, monkeypatch, tmp_path):
    loader = tmp_path / "loaders"
    loader.mkdir()
    (loader / "sized.py").write_text(
        "from pathlib import Path\n"
        "class Model:\n"
        "    def __init__(self, path): self.size = Path(path, 'weights').stat().st_size\n"
        "    def predict(self, rows, params=None): return [self.size] * len(rows)\n"
        "_load_pyfunc = Model\n"
    )
    monkeypatch.syspath_prepend(str(loader))
    model = run / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"12345")
    for _ in range(2):
        chosen = ModelPackage(model, "sized", {"view": "string"}, "mammogan-tour")
        sync(run, "", summary(ended=True, model=chosen))
    experiment = server.client.get_experiment_by_name("mammogan").experiment_id
    (logged,) = server.client.search_logged_models([experiment])
    assert logged.name == "generator"
    assert logged.source_run_id == server.runs()["tour first"].info.run_id
    assert server.runs()["tour first"].info.status == "FINISHED"
    mlflow.set_tracking_uri(default_uri(run))
    loaded = mlflow.pyfunc.load_model("models:/mammogan-tour@chosen")
    assert loaded.metadata.get_input_schema().input_names() == ["view"]
    assert loaded.predict(pd.DataFrame({"view": ["CC", "MLO"]})) == [5, 5]
    assert len(server.client.search_model_versions("name='mammogan-tour'")) == 1


def test_a_dead_server_is_a_warning_that_names_the_way_out_and_takes_no_time(
    run, mlflow, monkeypatch, caplog
):
    site = SimpleNamespace(tracking=Tracking(uri="http://127.0.0.1:9"))
    monkeypatch.setattr(tracking_sync, "summarize", lambda *_: summary())
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        tracking_sync.sync_trackers(run, SimpleNamespace(site=site))
    assert time.monotonic() - start < 10
    assert "the tracker 'mlflow' was not brought up to date" in caplog.text
    assert f"mammogan sync {run}" in caplog.text
    synced = run / "tracking" / "told.json"
    assert not synced.exists() or not json.loads(synced.read_text()).get("http://127.0.0.1:9")
