"""A run with a journal, and a real MLflow on SQLite; importing MLflow takes seconds, so once."""

import re

import numpy as np
import pytest

from mammogan.tracking import Journal, RunSummary
from mammogan.tracking.mlflow_sync import MlflowTracker, default_uri

PICTURE = np.full((10, 8), 0x8000, dtype=np.uint16)


def sync(run, uri, given):
    """Bring MLflow up to date; return what it found changed there."""
    tracker = MlflowTracker(run, uri)
    tracker.sync(given)
    return tracker.notices


def summary(**more):
    return RunSummary(
        name="tour first",
        params={"optimiser.learning_rate": "0.002"} | {f"table.key{i}": "1" for i in range(120)},
        tags={"run_id": "0123456789ab"},
        stages={"train-0": "stage 0: 5x4", "train-1": "stage 1: 10x8"},
        **more,
    )


@pytest.fixture(scope="session")
def mlflow():
    import mlflow

    before = mlflow.get_tracking_uri()
    yield mlflow
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def empty_database(mlflow, tmp_path_factory):
    """An SQLite file with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def run(tmp_path, empty_database):
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    journal = Journal(folder, "train-0")
    for tick in (1, 2):
        journal.metrics({"critic/penalty": 1 / tick, "kimg": tick}, tick * 1000)
        journal.picture(PICTURE, "samples", tick * 1000)
    (folder / "run.json").write_text("{}")
    return folder


class Server:
    """What MLflow holds, asked through its own client."""

    def __init__(self, mlflow, run):
        self.client = mlflow.MlflowClient(default_uri(run))

    def runs(self):
        experiment = self.client.get_experiment_by_name("mammogan")
        found = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
        return {item.data.tags["mlflow.runName"]: item for item in found}

    def points(self, name, metric):
        history = self.client.get_metric_history(self.runs()[name].info.run_id, metric)
        return [(point.step, point.value) for point in history]

    def pictures(self, name):
        """Steps of the pictures that MLflow's page shows."""
        files = self.client.list_artifacts(self.runs()[name].info.run_id, "images")
        steps = [
            re.fullmatch(r"images/samples.step.(\d+).*\.png", re.sub("[+%]", ".", f.path)) for f in files
        ]
        return sorted(int(step[1]) for step in steps if step)


@pytest.fixture
def server(mlflow, run):
    return Server(mlflow, run)
