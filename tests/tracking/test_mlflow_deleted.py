"""What somebody deletes in MLflow's page comes back with the next sync, or is logged anew, and is said."""

import json
import os
import subprocess
import sys

import pytest

from mammogan.errors import ConfigError
from mammogan.tracking import Journal
from mammogan.tracking.mlflow_sync import default_uri
from tests.tracking.conftest import summary, sync


@pytest.fixture
def logged(run, server):
    """Log a run, and give the ids that were noted, by source."""
    assert sync(run, "", summary(scores=[("swd/5x4/mean", 12.5, 8)])) == []
    noted = json.loads((run / "tracking" / "told.json").read_text())[default_uri(run)]
    return {source: noted[f"run {source}"] for source in ("parent", "train-0")}


def go_on(run):
    """Train on for a tick, and sync; return the notices."""
    Journal(run, "train-0").metrics({"critic/penalty": 0.25}, 3000)
    return sync(run, "", summary(scores=[("swd/5x4/mean", 12.5, 8)]))


def whole(server):
    assert set(server.runs()) == {"tour first", "stage 0: 5x4"}
    assert [step for step, _ in server.points("stage 0: 5x4", "critic/penalty")] == [1000, 2000, 3000]
    assert server.pictures("stage 0: 5x4") == [1000, 2000]
    assert server.points("tour first", "swd/5x4/mean") == [(8, 12.5)]
    runs = server.runs()
    parent = runs["tour first"].info.run_id
    assert runs["stage 0: 5x4"].data.tags["mlflow.parentRunId"] == parent
    return runs


@pytest.mark.parametrize("source", ["parent", "train-0"])
def test_a_run_that_was_deleted_in_the_page_is_restored(run, server, logged, source):
    server.client.delete_run(logged[source])
    (notice,) = go_on(run)
    assert notice.startswith(f"the MLflow run of '{source}' was deleted in the page (sqlite:///")
    assert notice.endswith("and is restored")
    assert {item.info.run_id for item in whole(server).values()} == set(logged.values())
    assert sync(run, "", summary()) == []  # said once


def test_an_experiment_that_was_deleted_is_restored_for_a_run_of_its_own(run, server, logged):
    experiment = server.client.get_experiment_by_name("mammogan").experiment_id
    server.client.delete_experiment(experiment)
    (notice,) = go_on(run)
    assert "the MLflow experiment 'mammogan' was deleted in the page" in notice
    assert {item.info.run_id for item in whole(server).values()} == set(logged.values())


def test_an_experiment_that_was_deleted_is_restored_for_a_new_run(run, server):
    beside = (run.parent / "mlartifacts").as_uri()
    made = server.client.create_experiment("mammogan", artifact_location=beside)
    server.client.delete_experiment(made)
    (notice,) = go_on(run)
    assert "is restored with its runs" in notice
    whole(server)


@pytest.mark.parametrize("sources", [("parent",), ("train-0",), ("parent", "train-0")])
def test_a_run_that_is_gone_for_good_is_logged_anew(run, server, logged, sources):
    for source in sources:
        server.client.delete_run(logged[source])
    # What `mlflow gc` does to each of them; the command itself is tried below.
    store = server.client._tracking_client.store
    for source in sources:
        store._hard_delete_run(logged[source])
    notices = go_on(run)
    assert sorted(notice.split("'")[1] for notice in notices) == sorted(sources)
    assert all(notice.endswith("logged anew") for notice in notices)
    ids = {item.info.run_id for item in whole(server).values()}
    assert ids & set(logged.values()) == {logged[name] for name in logged if name not in sources}


@pytest.mark.slow
def test_what_mlflow_gc_has_removed_is_logged_anew(run, server, logged):
    server.client.delete_experiment(server.client.get_experiment_by_name("mammogan").experiment_id)
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", default_uri(run)]
    done = subprocess.run(
        command,
        cwd=run.parent,  # where it would make a folder
        env=os.environ | {"MLFLOW_TRACKING_URI": default_uri(run)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(go_on(run)) == 2
    assert not {item.info.run_id for item in whole(server).values()} & set(logged.values())


def test_a_run_that_was_made_but_not_noted_and_then_deleted_is_found_again(run, server, logged):
    path = run / "tracking" / "told.json"
    noted = json.loads(path.read_text())
    del noted[default_uri(run)]["run train-0"]  # as after a kill: its token stands there
    path.write_text(json.dumps(noted))
    server.client.delete_run(logged["train-0"])
    assert len(go_on(run)) == 1
    assert whole(server)["stage 0: 5x4"].info.run_id == logged["train-0"]


def test_an_experiment_that_was_renamed_in_the_page_keeps_the_run_and_its_new_stages(run, server, logged):
    experiment = server.client.get_experiment_by_name("mammogan").experiment_id
    server.client.rename_experiment(experiment, "screening")
    Journal(run, "train-1").metrics({"critic/penalty": 0.25}, 4000)
    assert sync(run, "", summary()) == []
    assert server.client.get_experiment_by_name("mammogan") is None
    assert len(server.client.search_runs([experiment])) == 3


def deny(mlflow, monkeypatch, name):
    """Let the server be one that permits this to owners alone."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    def refuse(*_):
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(mlflow.MlflowClient, name, refuse)


@pytest.mark.parametrize("source", ["parent", "train-0"])
def test_a_run_that_only_its_owner_may_restore_is_logged_anew(
    run, server, logged, mlflow, monkeypatch, source
):
    server.client.delete_run(logged[source])
    deny(mlflow, monkeypatch, "restore_run")
    (notice,) = go_on(run)
    assert notice.endswith("which only its owner may undo: logged anew")
    ids = {item.info.run_id for item in whole(server).values()}
    assert ids & set(logged.values()) == {logged[name] for name in logged if name != source}


def test_an_experiment_that_only_its_owner_may_restore_is_explained_and_another_one_serves(
    run, server, logged, mlflow, monkeypatch
):
    server.client.delete_experiment(server.client.get_experiment_by_name("mammogan").experiment_id)
    deny(mlflow, monkeypatch, "restore_experiment")
    with pytest.raises(ConfigError, match=r"'mammogan' was deleted .* you may not restore it \(403\)"):
        go_on(run)
    (notice,) = sync(run, "", summary(experiment="screening"))
    assert notice.endswith("the run is logged anew in 'screening'")
    other = server.client.get_experiment_by_name("screening").experiment_id
    assert len(server.client.search_runs([other])) == 2
