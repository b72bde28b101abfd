"""What MLflow's page shows of a run beside its curves: whose it is, from what, and sheets to be read."""

import numpy as np
import pytest
from PIL import Image

from mammogan import steps
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import claim, merge
from mammogan.config.site import load_site
from mammogan.run_records import TrackingState
from mammogan.steps import tracking_sync
from mammogan.tracking import DataSheet, Journal
from tests.tracking.conftest import summary, sync


def test_the_run_is_where_the_site_says_or_else_the_environment(run, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "breast-lab")
    sync(run, "", summary())
    assert (
        len(server.client.search_runs([server.client.get_experiment_by_name("breast-lab").experiment_id]))
        == 2
    )
    assert server.client.get_experiment_by_name("mammogan") is None
    (run / "tracking" / "told.json").unlink()
    sync(run, "", summary(experiment="screening"))
    assert (
        len(server.client.search_runs([server.client.get_experiment_by_name("screening").experiment_id])) == 2
    )


def test_the_page_says_whose_the_run_is_where_it_came_from_what_it_is_and_what_it_learns_from(
    run, server, monkeypatch
):
    monkeypatch.setenv("LOGNAME", "ada")
    sheet = DataSheet("shards", "0123456789" * 6, ("phantom",))
    sync(run, "", summary(description="**tour**", source="mammogan launch", scheduled=True, dataset=sheet))
    sync(run, "", summary(dataset=sheet))  # once
    item = server.runs()["tour first"]
    tags = {name: value for name, value in item.data.tags.items() if name.startswith("mlflow.")}
    assert tags["mlflow.user"] == "ada"
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("mammogan launch", "JOB")
    assert tags["mlflow.note.content"] == "**tour**"
    (used,) = item.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("shards", sheet.digest[:36])
    assert "/" not in used.dataset.source and '"phantom"' in used.dataset.source
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]


def test_what_a_run_says_of_itself_has_no_path(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "is_done", lambda *_: False)
    site = load_site("local", ("tracking.experiment=screening", "tracking.model=breast-generator"))
    secret = tmp_path / "jane-doe" / "shards"
    made = merge(load_method("tour"), (load_recipe("phantom"),), site, secret, "data", "0.1.0")
    claim(tmp_path / "run", made)
    given = tracking_sync.summarize(tmp_path / "run", made, "report")
    assert (given.experiment, given.model.registered) == ("screening", "breast-generator")
    assert given.dataset == DataSheet("shards", "data", ("phantom",))
    assert "jane-doe" not in repr((given.dataset, given.description, given.tags, given.params))
    assert "at the site 'local', on images of phantom" in given.description
    assert (given.source, given.scheduled) == ("mammogan launch", False)


@pytest.mark.parametrize(("shape", "times"), [((10, 32), 16), ((20, 300), 2), ((64, 512), 1)])
def test_sheets_of_small_images_are_enlarged_in_the_page_pixel_by_pixel(run, server, shape, times):
    sheet = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape) % 256 << 8
    Journal(run, "train-1").picture(sheet, "samples", 9000)
    sync(run, "", summary())
    item = server.runs()["stage 1: 10x8"]
    files = server.client.list_artifacts(item.info.run_id, "images")
    (path,) = [file.path for file in files if file.path.endswith(".png")]
    with Image.open(server.client.download_artifacts(item.info.run_id, path)) as image:
        assert max(image.size) >= 512
        shown = np.asarray(image.convert("L"))
    words = f"{times}-fold, a pixel to a square" if times > 1 else None
    assert item.data.tags.get("sheets.enlarged") == words
    with Image.open(run / "tracking" / "pictures" / "train-1" / "samples-000009000.png") as image:
        assert image.size == shape[::-1]  # in the run's folder they stay as they are
        kept = np.asarray(image.convert("L"))
    assert (shown == np.kron(kept, np.ones((times, times), np.uint8))).all()


def test_what_a_tracker_found_and_why_it_is_behind_is_kept_for_status(tmp_path):
    for day in range(5):
        tracking_sync.note(tmp_path, "mlflow", notices=(f"restored {day}",))
    tracking_sync.note(tmp_path, "mlflow", failure="gone")
    path = tmp_path / "tracking" / "state.json"
    state = TrackingState.read(path, "")
    assert state.failures == {"mlflow": "gone"}
    assert [notice.split(": ")[1] for notice in state.notices] == ["restored 2", "restored 3", "restored 4"]
    tracking_sync.note(tmp_path, "mlflow")
    assert TrackingState.read(path, "").failures == {}
