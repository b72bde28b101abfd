"""Event files as TensorBoard itself reads them: each point once, whatever was killed in between."""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import pytest
from PIL import Image

from mammogan.cli.sync_command import sync as cli_sync
from mammogan.errors import RunFailedError
from mammogan.steps import tracking_sync
from mammogan.tracking import Journal, RunSummary, tracker
from mammogan.tracking.tensorboard_writer import WIDEST_PX
from tests.tracking.test_trackers import launched

STAGES = {"train-0": "stage 0: 5x4", "train-1": "stage 1: 10x8"}
SHEET = np.full((10, 8), 0x8000, dtype=np.uint16)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    journal = Journal(folder, "train-0")
    for tick in (1, 2):
        journal.metrics({"critic/penalty": 1 / tick, "kimg": tick}, tick * 1000)
    journal.picture(SHEET, "samples", 1000)
    return folder


def sync(run):
    tracker("tensorboard")(run, "").sync(RunSummary("tour", {}, {}, STAGES))


def events(run, stage="train-0"):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulators.EventAccumulator(str(run / "tensorboard" / stage))
    return found.Reload()


def points(run, name, stage="train-0"):
    return [(each.step, each.value) for each in events(run, stage).Scalars(name)]


def the_file(run):
    (path,) = (run / "tensorboard" / "train-0").iterdir()
    return path


def test_ticks_stand_at_their_images_and_times_with_their_sheets(run):
    sync(run)
    assert points(run, "critic/penalty") == [(1000, 1.0), (2000, 0.5)]
    found = events(run)
    journal = run / "tracking" / "train-0.jsonl"
    assert abs(found.Scalars("kimg")[0].wall_time - journal.stat().st_mtime) < 60
    (sheet,) = found.Images("samples")
    assert (sheet.step, sheet.width, sheet.height) == (1000, 8, 10)
    assert Image.open(io.BytesIO(sheet.encoded_image_string)).getpixel((0, 0)) == 0x80


def test_a_run_that_goes_on_gets_what_is_new_and_nothing_twice(run):
    sync(run)
    before = the_file(run).read_bytes()
    sync(run)
    assert the_file(run).read_bytes() == before
    resumed = Journal(run, "train-0")  # from the checkpoint before: it comes through a tick once more
    resumed.metrics({"critic/penalty": 7.0}, 2000)
    resumed.metrics({"critic/penalty": 0.25}, 3000)
    Journal(run, "train-1").metrics({"critic/penalty": 3.0}, 4000)
    for _ in range(2):
        sync(run)
    assert the_file(run).read_bytes().startswith(before)
    assert points(run, "critic/penalty") == [(1000, 1.0), (2000, 0.5), (3000, 0.25)]
    assert points(run, "critic/penalty", "train-1") == [(4000, 3.0)]


@pytest.mark.parametrize("left", ["nothing", "half a header", "half a record", "zeros"])
def test_what_a_kill_has_torn_is_written_again(run, left):
    sync(run)
    whole = the_file(run).read_bytes()
    journal = Journal(run, "train-0")
    journal.metrics({"critic/penalty": 0.25}, 3000)
    sync(run)
    new = the_file(run).read_bytes()[len(whole) :]
    torn = {"nothing": b"", "half a header": new[:7], "half a record": new[:-5], "zeros": bytes(64)}[left]
    the_file(run).write_bytes(whole + torn)
    sync(run)
    assert the_file(run).read_bytes() == whole + new
    assert points(run, "critic/penalty")[-1] == (3000, 0.25)


def test_after_a_rollback_the_points_that_were_left_behind_are_gone(run):
    journal = Journal(run, "train-0")
    journal.metrics({"critic/penalty": 9.0}, 3000)
    sync(run)
    for step in (2000, 3000):
        journal.metrics({"critic/penalty": 0.1, "rolled_back": 1.0}, step)
        sync(run)
    assert points(run, "critic/penalty") == [
        (1000, 1.0),
        (2000, pytest.approx(0.1)),
        (3000, pytest.approx(0.1)),
    ]


def test_only_the_owner_reads_them_and_wide_sheets_are_shrunk(run):
    Journal(run, "train-0").picture(np.zeros((20, 4096), np.uint16), "samples", 2000)
    sync(run)
    assert the_file(run).stat().st_mode & 0o777 == 0o600
    assert the_file(run).parent.stat().st_mode & 0o777 == 0o700
    assert [sheet.width for sheet in events(run).Images("samples")] == [8, WIDEST_PX]


def test_where_the_package_is_missing_training_goes_on_and_says_so_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr(tracking_sync, "summarize", lambda *_: RunSummary("tour", {}, {}, STAGES))
    folder, made = launched(tmp_path, 'tracking.trackers=["tensorboard"]')
    for _ in range(3):
        tracking_sync.sync_trackers(folder, made)
    words = "'tensorboardX' is not installed where the jobs run: install it there, or take 'tensorboard' out"
    assert [words in record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        True
    ]
    with pytest.raises(RunFailedError, match="'tensorboardX' is not installed"):
        cli_sync(folder)
