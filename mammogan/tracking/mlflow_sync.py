"""MLflow as a tracker: a run's journals as child runs, scores and files on the parent.

What each server has is noted in the run's folder, so that syncing again, after a resume, or after a server
was down, adds what is new and nothing twice.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from mammogan.files import sha256, write
from mammogan.run_folder import RunFolder
from mammogan.tracking import mlflow_database
from mammogan.tracking.mlflow_model import log_model
from mammogan.tracking.run_journal import read
from mammogan.tracking.tracker import ModelPackage, RunSummary, modified, one_at_a_time

EXPERIMENT, PARENT, SYNCED = "mammogan", "parent", "told.json"
TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the page then opens on training, not on GenAI
REQUEST_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
CHOSEN = "chosen"
PROVENANCE = {
    "job": ("slurm.job_ids",),
    "commit": ("commit", "mlflow.source.git.commit"),  # MLflow's own is found by a search, but not shown
    "image": ("image.sha256",),
}
"""Tags by the names of `mammogan.provenance`."""
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100  # as many as MLflow takes in one request


def default_uri(run: Path) -> str:
    """Return the tracking URI of a site that names none: SQLite beside the run's folder."""
    return f"sqlite:///{run.resolve().parent / 'mlflow.db'}"


class MlflowTracker:
    """Brings the MLflow server at `uri` up to date with the run in folder `run`."""

    def __init__(self, run: Path, uri: str) -> None:
        self._run, self._uri = run, uri or default_uri(run)

    @property
    def destination(self) -> str:
        """The server's URI."""
        return self._uri

    def last_sync(self) -> float:
        """Return when a server last took something of the run, 0 if never."""
        return modified(RunFolder(self._run).tracking / SYNCED)

    def sync(self, summary: RunSummary) -> None:
        """Log what is new: the run as a parent, each stage that has begun as its child."""
        for name, value in REQUEST_SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        run = self._run
        with one_at_a_time(run), mlflow_database.opened(self._uri) as address:
            server = _Server(MlflowClient(tracking_uri=address), run, self._uri, address)
            launched_ms = int(RunFolder(run).settings.stat().st_mtime * 1000)
            parent = server.run_of(PARENT, summary.name, summary.tags, launched_ms)
            server.log_params(parent, summary.params)
            entries_of_all: list[dict[str, Any]] = []
            for source, name in summary.stages.items():
                if entries := list(read(run, source)):
                    tags = {"mlflow.parentRunId": parent, "stage": source}
                    child = server.run_of(source, name, tags, entries[0]["time_ms"])
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


class _Server:
    """A tracking server, and what it has of a run: noted in the run's folder as soon as it took it."""

    def __init__(self, client: Any, run: Path, uri: str, address: str) -> None:
        self.client, self.run, self.uri, self.address = client, run, uri, address
        self.path = RunFolder(run).tracking / SYNCED
        self.all = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.synced: dict[str, Any] = self.all.setdefault(uri, {})
        if f"run {PARENT}" in self.synced and not self._knows(self.synced[f"run {PARENT}"]):
            self.synced.clear()

    def note(self, key: str, value: Any) -> None:
        """Keep in mind, through whatever comes, that the server knows `value`."""
        self.synced[key] = value
        write(self.path, json.dumps(self.all))

    def log_params(self, run_id: str, params: dict[str, str]) -> None:
        """Log the parameters, once: they are those that the run was launched with."""
        if "params" in self.synced:
            return
        from mlflow.entities import Param

        items = [Param(key, value) for key, value in params.items()]
        for first in range(0, len(items), PARAMS_AT_ONCE):
            self.client.log_batch(run_id, params=items[first : first + PARAMS_AT_ONCE])
        self.note("params", len(items))

    def run_of(self, source: str, name: str, tags: dict[str, str], start_ms: int | None = None) -> str:
        """Return the id of the server's run for `source`, and make it if there is none.

        By its token, noted before, a run is found that a job made and was killed before it noted that.
        """
        if f"run {source}" not in self.synced:
            experiment, key = self._experiment(), f"token {source}"
            if key in self.synced:
                found = self.client.search_runs([experiment], f"tags.token = '{self.synced[key]}'")
            else:
                found = []
                self.note(key, uuid4().hex)
            tags = tags | {"token": self.synced[key]}
            made = found[0] if found else self.client.create_run(experiment, start_ms, tags, run_name=name)
            self.note(f"run {source}", made.info.run_id)
        return str(self.synced[f"run {source}"])

    def log_journal(self, run_id: str, source: str, entries: Sequence[dict[str, Any]]) -> None:
        """Add the entries that are new; what a failure leaves half logged MLflow recognises the next time."""
        fresh = entries[self.synced.get(f"entries {source}", 0) :]
        self._log_metrics(
            run_id,
            [(name, x, e["time_ms"], e["step"]) for e in fresh for name, x in e.get("metrics", {}).items()],
        )
        pictures = [entry for entry in fresh if "picture" in entry]
        there = self.client.list_artifacts(run_id, "images") if pictures else []
        for entry in pictures:
            self._log_picture(run_id, entry, [Path(file.path).name for file in there])
        self.note(f"entries {source}", len(entries))

    def log_provenance(self, run_id: str, source: str, entries: Sequence[dict[str, Any]]) -> None:
        """Return in tags which jobs, which code and which image have made the entries."""
        for name, tags in PROVENANCE.items():
            values = ",".join(dict.fromkeys(entry[name] for entry in entries if name in entry))
            if values != self.synced.get(f"{name} {source}", ""):
                for tag in tags:
                    self.client.set_tag(run_id, tag, values)
                self.note(f"{name} {source}", values)

    def _log_picture(self, run_id: str, entry: dict[str, Any], there: Sequence[str]) -> None:
        """Log a picture, to be leafed through by step, unless the server has it; MLflow would keep both.

        One that is `there`, but was not noted, was logged by a job that was killed then.
        """
        from PIL import Image

        logged, when = self.synced.get("pictures", []), {"step": entry["step"], "timestamp": entry["time_ms"]}
        if entry["picture"] in logged:
            return
        mark = re.compile(rf"samples.step.{when['step']}.timestamp.{when['timestamp']}\b")
        if not any(mark.match(name) and name.endswith(".png") for name in there):
            with Image.open(RunFolder(self.run).tracking / entry["picture"]) as image:
                self.client.log_image(run_id, image, key="samples", synchronous=True, **when)
        self.note("pictures", [*logged, entry["picture"]])

    def log_scores(self, run_id: str, scores: Sequence[tuple[str, float, int]]) -> None:
        """Add the scores that are new."""
        noted = self.synced.get("scores", [])
        known = {(name, x, step) for name, x, _, step in noted}
        # MLflow knows a point by name, step and time, and two checkpoints of a short run can share a kimg.
        # Times are noted before they are sent, so that what a kill leaves half sent is sent the same again.
        now_ms = int(time.time() * 1000)
        fresh = [[name, x, now_ms + i, step] for i, (name, x, step) in enumerate(scores)]
        noted = noted + [point for point in fresh if (point[0], point[1], point[3]) not in known]
        self.note("scores", noted)
        self._log_metrics(run_id, [tuple(point) for point in noted[self.synced.get("scores told", 0) :]])
        self.note("scores told", len(noted))

    def log_file(self, run_id: str, path: Path) -> None:
        """Upload a file unless the server has it as it is."""
        digest = sha256(path)
        if self.synced.get(f"file {path.name}") != digest:
            self.client.log_artifact(run_id, str(path))
            self.note(f"file {path.name}", digest)

    def log_model(self, run_id: str, model: ModelPackage) -> None:
        """Log and register the model, as the one that is chosen, unless the server has it as it is."""
        digests = [sha256(path) for path in sorted(model.folder.iterdir())]
        if self.synced.get("model") == digests:
            return
        logged = log_model(model, run_id, self.address)
        if model.registered:
            version = str(logged.registered_model_version)
            self.client.set_registered_model_alias(model.registered, CHOSEN, version)
        self.note("model", digests)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found:
            return str(found.experiment_id)
        # A server keeps files in its own place; a mere database would have them wherever the job runs.
        beside = (self.run.resolve().parent / "mlartifacts").as_uri()
        location = beside if self.uri.startswith("sqlite:") else None
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=location, tags=TAGS))

    def _knows(self, run_id: str) -> bool:
        """Whether the server has this run; it has not when its database was replaced."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def _log_metrics(self, run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric

        for first in range(0, len(points), METRICS_AT_ONCE):
            part = [Metric(*point) for point in points[first : first + METRICS_AT_ONCE]]
            self.client.log_batch(run_id, metrics=part)
