"""Trackers are a table: what a site names is brought up to date, whatever becomes of the others."""

import json
import logging
import math

import numpy as np
import pytest

from mammogan import tracking
from mammogan.cli.sync_command import sync as cli_sync
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import Tracking, load_site
from mammogan.errors import ConfigError, RunFailedError
from mammogan.provenance import IMAGE
from mammogan.steps import tracking_sync
from mammogan.tracking import TRACKERS, Journal, ModelPackage, RunSummary
from mammogan.tracking.jsonl_writer import JsonLinesWriter

PICTURE = np.full((10, 8), 0x8000, dtype=np.uint16)


PAGES = []


class Notebook:
    """A tracker that nobody has thought of: a class and its name in the table."""

    def __init__(self, run, uri):
        self.run, self.uri = run, uri

    @property
    def destination(self):
        return "the notebook"

    def last_sync(self):
        return 0.0

    def sync(self, summary):
        PAGES.append((self.run, self.uri, summary.name))


class Broken(Notebook):
    def sync(self, summary):
        raise ConnectionError("gone")


@pytest.fixture(autouse=True)
def table(monkeypatch):
    PAGES.clear()
    given = RunSummary("tour run", {}, {}, {})
    monkeypatch.setattr(tracking_sync, "summarize", lambda *_: given)
    monkeypatch.setitem(TRACKERS, "notebook", Notebook)
    monkeypatch.setitem(TRACKERS, "broken", Broken)


def launched(folder, *overrides):
    method, site = load_method("tour"), load_site("local", overrides)
    made = merge(method, (load_recipe("phantom"),), site, folder / "shards", "data", "0.1.0")
    claim(folder / "run", made)
    return folder / "run", made


def test_a_tracker_in_the_table_gets_what_a_run_logs_when_the_site_names_it(tmp_path):
    folder, made = launched(tmp_path, 'tracking.trackers=["notebook"]', "tracking.uri=shelf")
    tracking_sync.sync_trackers(folder, made)
    assert [(folder, "shelf", "tour run")] == PAGES
    cli_sync(folder)
    assert len(PAGES) == 2


def test_a_tracker_that_fails_is_a_warning_and_the_others_go_on(tmp_path, caplog):
    folder, made = launched(tmp_path, 'tracking.trackers=["broken", "nothing", "notebook"]')
    with caplog.at_level(logging.WARNING):
        tracking_sync.sync_trackers(folder, made)
    assert len(PAGES) == 1
    first, second = (record.message for record in caplog.records)
    assert (
        first
        == f"the tracker 'broken' was not brought up to date (gone); `mammogan sync {folder}` does it later"
    )
    assert "there is no tracker 'nothing'. Valid: mlflow, jsonl" in second


def test_the_command_brings_all_up_to_date_that_it_can_and_then_fails(tmp_path):
    folder, _ = launched(tmp_path, 'tracking.trackers=["broken", "notebook"]')
    with pytest.raises(RunFailedError, match=r"The tracker 'broken' at 'the notebook' could not be reached"):
        cli_sync(folder)
    assert len(PAGES) == 1


def test_the_command_refuses_a_tracker_that_is_not_there(tmp_path):
    folder, _ = launched(tmp_path, 'tracking.trackers=["nothing"]')
    with pytest.raises(ConfigError, match=r"tracking.trackers .* no tracker 'nothing'. Valid: mlflow, jsonl"):
        cli_sync(folder)


def test_tracking_that_is_off_is_left_alone_and_said_to_be_so(tmp_path):
    folder, made = launched(tmp_path, "tracking.uri=off", 'tracking.trackers=["notebook"]')
    tracking_sync.sync_trackers(folder, made)
    assert PAGES == []
    with pytest.raises(ConfigError, match=r"'local' of this run has tracking.uri 'off'.*--set tracking.uri="):
        cli_sync(folder)


def test_profiles_and_runs_from_before_there_was_a_choice_have_mlflow(tmp_path):
    assert load_site("example-a100").tracking.trackers == ("mlflow",)
    folder, _ = launched(tmp_path)
    tree = json.loads((folder / "run.json").read_text())
    del tree["site"]["tracking"]["trackers"]
    (folder / "run.json").write_text(json.dumps(tree))
    assert Run.load(folder).site.tracking == Tracking(uri="", trackers=("mlflow",))


def test_a_run_under_way_is_synced_now_and_then(tmp_path, monkeypatch):
    folder, made = launched(tmp_path, 'tracking.trackers=["notebook"]')
    tracking_sync.sync_if_due(folder, made)
    assert PAGES == []  # it was launched a moment ago
    monkeypatch.setattr(Notebook, "last_sync", lambda _: 1.0)
    tracking_sync.sync_if_due(folder, made)
    assert len(PAGES) == 1


@pytest.mark.parametrize("name", ["mlflow", "jsonl"])
def test_what_was_never_synced_says_so(tmp_path, name):
    tracker = tracking.tracker(name)(tmp_path / "run", "")
    assert tracker.last_sync() == 0
    assert str(tmp_path) in tracker.destination


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    journal = Journal(folder, "train-0")
    for tick in (1, 2):
        journal.metrics({"critic/penalty": 1 / tick}, tick * 1000)
    journal.picture(PICTURE, "samples", 1000)
    (folder / "run.json").write_text("{}")
    return folder


def summary(**more):
    stages = {"train-0": "stage 0: 5x4", "train-1": "stage 1: 10x8"}
    return RunSummary("tour first", {"lr": "0.002"}, {"run_id": "0123"}, stages, **more)


def lines(run):
    return [json.loads(line) for line in (run / "tracking" / "log.jsonl").read_text().splitlines()]


def facts(run, kind, *keys):
    return [tuple(line[key] for key in keys) for line in lines(run) if line["kind"] == kind]


def test_without_a_server_the_log_is_a_file_of_lines(run):
    model = run / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"12345")
    given = summary(scores=[("swd/5x4/mean", 12.5, 8)], files=[run / "run.json"], finished={"train-0"})
    given.model, given.ended = ModelPackage(model, "loader"), True
    JsonLinesWriter(run, "https://elsewhere").sync(given)
    assert facts(run, "param", "run", "name", "value") == [("tour first", "lr", "0.002")]
    assert ("tour first", "run_id", "0123") in facts(run, "tag", "run", "name", "value")
    assert facts(run, "metric", "run", "name", "value", "step") == [
        ("stage 0: 5x4", "critic/penalty", 1.0, 1000),
        ("stage 0: 5x4", "critic/penalty", 0.5, 2000),
        ("tour first", "swd/5x4/mean", 12.5, 8),
    ]
    ((image, step),) = facts(run, "image", "path", "step")
    assert (run / image).exists() and step == 1000
    assert facts(run, "file", "path") == [("run.json",)]
    assert facts(run, "model", "path") == [("model",)]
    statuses = dict(facts(run, "status", "run", "value"))
    assert statuses == {"tour first": "finished", "stage 0: 5x4": "finished"}


def test_the_log_gets_what_is_new_and_nothing_twice(run, monkeypatch):
    writer = JsonLinesWriter(run, "")
    writer.sync(summary())
    before = (run / "tracking" / "log.jsonl").read_text()
    writer.sync(summary())
    assert (run / "tracking" / "log.jsonl").read_text() == before
    monkeypatch.setenv(IMAGE, "aa")
    Journal(run, "train-0").metrics({"critic/penalty": math.nan}, 3000)
    for _ in range(2):
        writer.sync(summary(ended=True))
    new = [
        json.loads(line) for line in (run / "tracking" / "log.jsonl").read_text()[len(before) :].splitlines()
    ]
    assert [(line["kind"], line["value"]) for line in new] == [
        ("status", "finished"),
        ("tag", "aa"),
        ("metric", None),
    ]
    assert writer.last_sync() > 0


def test_a_stage_that_was_rolled_back_keeps_both_points_of_a_step(run):
    Journal(run, "train-0").metrics({"critic/penalty": 9.0, "rolled_back": 1.0}, 2000)
    for _ in range(2):
        JsonLinesWriter(run, "").sync(summary())
    found = [value for name, value in facts(run, "metric", "name", "value") if name == "critic/penalty"]
    assert sorted(found) == [0.5, 1.0, 9.0]


def test_a_line_that_a_kill_has_torn_is_written_again(run):
    JsonLinesWriter(run, "").sync(summary())
    path = run / "tracking" / "log.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    JsonLinesWriter(run, "").sync(summary())
    written = path.read_bytes()
    assert written.startswith(whole[:-20] + b"\n")
    last = whole.splitlines()[-1]
    again = json.loads(written.splitlines()[-1])
    assert again == json.loads(last) | {"time_ms": again["time_ms"]}
    assert len(written.splitlines()) == len(whole.splitlines()) + 1


def test_a_tracker_is_found_by_name_or_refused():
    assert tracking.tracker("jsonl") is JsonLinesWriter
    with pytest.raises(ConfigError, match=r"there is no tracker 'wandb'\. Valid: mlflow, jsonl"):
        tracking.tracker("wandb")
