"""MLflow as a tracker: a run's journals as child runs, scores and files on the parent.

What each server has is noted in the run's folder, so that syncing again, after a resume, or after a server
was down, adds what is new and nothing twice.
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

from mammogan.run_folder import RunFolder
from mammogan.tracking import mlflow_access, mlflow_database
from mammogan.tracking.mlflow_server import PARENT, SYNCED, Server, experiment_name
from mammogan.tracking.run_journal import read
from mammogan.tracking.tracker import RunSummary, modified, one_at_a_time

REQUEST_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def default_uri(run: Path) -> str:
    """Return the tracking URI of a site that names none: SQLite beside the run's folder."""
    return f"sqlite:///{run.resolve().parent / 'mlflow.db'}"


class MlflowTracker:
    """Brings the MLflow server at `uri` up to date with the run in folder `run`."""

    def __init__(self, run: Path, uri: str) -> None:
        self._run, self._uri = run, uri or default_uri(run)
        self.notices: list[str] = []

    @property
    def destination(self) -> str:
        """The server's URI."""
        return mlflow_access.without_secrets(self._uri)

    def last_sync(self) -> float:
        """Return when a server last took something of the run, 0 if never."""
        return modified(RunFolder(self._run).tracking / SYNCED)

    def sync(self, summary: RunSummary) -> None:
        """Log what is new: the run as a parent, each stage that has begun as its child.

        Raises
        ------
        ConfigError
            If the server doesn't know the user, or gives no permission.
        """
        for name, value in REQUEST_SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        run, experiment = self._run, experiment_name(summary.experiment)
        with one_at_a_time(run), mlflow_database.opened(self._uri) as address:
            server = Server(MlflowClient(tracking_uri=address), run, self._uri, experiment, address)
            self.notices = server.place.notices
            try:
                _log(server, summary)
            except Exception as error:
                status = mlflow_access.status_of(error)
                if why := mlflow_access.explained(status, str(error), self._uri, experiment):
                    raise why from error
                raise


def _log(server: Server, summary: RunSummary) -> None:
    server.restore()
    launched_ms = int(RunFolder(server.run).settings.stat().st_mtime * 1000)
    parent = server.run_of(PARENT, summary.name, summary.tags | _shown(summary), launched_ms)
    server.log_params(parent, summary.params)
    if summary.dataset:
        server.log_dataset(parent, summary.dataset)
    entries_of_all: list[dict[str, Any]] = []
    for source, name in summary.stages.items():
        if entries := list(read(server.run, source)):
            tags = {"mlflow.parentRunId": parent, "stage": source} | _origin(summary)
            child = server.run_of(source, name, tags, entries[0]["time_ms"])
            server.put_below(parent, child, source)
            server.log_journal(child, source, entries)
            server.log_provenance(child, source, entries)
            entries_of_all += entries
            if source in summary.finished:
                server.client.set_terminated(child, "FINISHED", entries[-1]["time_ms"])
    server.log_provenance(parent, PARENT, entries_of_all)
    server.log_scores(parent, summary.scores)
    for path in summary.files:
        server.log_file(parent, path)
    if summary.model:
        server.log_model(parent, summary.model)
    if summary.ended:
        server.client.set_terminated(parent, "FINISHED")


def _shown(summary: RunSummary) -> dict[str, str]:
    """Tags that MLflow's page shows in places of their own."""
    description = {"mlflow.note.content": summary.description} if summary.description else {}
    return _origin(summary) | description


def _origin(summary: RunSummary) -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may not know who it is run by
        user = ""
    tags = {
        "mlflow.user": os.environ.get(mlflow_access.USERNAME) or user,
        "mlflow.source.name": summary.source,
        "mlflow.source.type": ("JOB" if summary.scheduled else "LOCAL") if summary.source else "",
    }
    return {name: value for name, value in tags.items() if value}
