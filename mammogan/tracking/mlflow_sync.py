"""What the tracking server is told of a run: its journals as child runs, scores and files on the parent.

What each server was told is noted in the run's folder, so that syncing again, after a resume, or after a
server was down, adds what is new and nothing twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from mammogan import __version__
from mammogan.files import sha256, write
from mammogan.tracking import mlflow_database
from mammogan.tracking.run_journal import FOLDER, read

EXPERIMENT, PARENT, TOLD = "mammogan", "parent", "told.json"
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


@dataclass
class Story:
    """What the tracking server is told of one run beside its journals.

    Attributes
    ----------
    name, params, tags, scores, files
        Of the parent run; scores are (name, value, step), files such as the report.
    stages
        Source of a journal to the name of its child run.
    finished, ended
        Sources of the journals that have ended, and whether the whole run has.
    model, loader, inputs
        Folder of the chosen generator, the module that loads it for MLflow, and the types of its inputs.
    registered
        Name under which MLflow's registry holds it, with the alias `CHOSEN`.
    """

    name: str
    params: dict[str, str]
    tags: dict[str, str]
    stages: dict[str, str]
    finished: set[str] = field(default_factory=set)
    ended: bool = False
    scores: list[tuple[str, float, int]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    model: Path | None = None
    loader: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    registered: str = ""


def default_uri(run: Path) -> str:
    """Give the tracking URI of a site that names none: SQLite beside the run's folder."""
    return f"sqlite:///{run.resolve().parent / 'mlflow.db'}"


def last_told(run: Path) -> float:
    """Give the time (seconds since the epoch) when a server was last told of the run; its start if never."""
    told, start = run / FOLDER / TOLD, run / "run.json"
    return (told if told.exists() else start).stat().st_mtime


def sync(run: Path, uri: str, story: Story) -> None:
    """Bring the tracking server at `uri` up to date with the run in folder `run`; adds nothing twice."""
    for name, value in REQUEST_SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.entities import Param

    uri = uri or default_uri(run)
    with _one_at_a_time(run):
        mlflow_database.ensure(uri)
        server = _Server(MlflowClient(tracking_uri=uri), run, uri)
        launched_ms = int((run / "run.json").stat().st_mtime * 1000)
        parent = server.run_of(PARENT, story.name, story.tags, launched_ms)
        if "params" not in server.told:
            params = [Param(key, value) for key, value in story.params.items()]
            for first in range(0, len(params), PARAMS_AT_ONCE):
                server.client.log_batch(parent, params=params[first : first + PARAMS_AT_ONCE])
            server.note("params", len(params))
        told: list[dict[str, Any]] = []
        for source, name in story.stages.items():
            if entries := list(read(run, source)):
                tags = {"mlflow.parentRunId": parent, "stage": source}
                child = server.run_of(source, name, tags, entries[0]["time_ms"])
                server.tell_journal(child, source, entries)
                server.tell_provenance(child, source, entries)
                told += entries
                if source in story.finished:
                    server.client.set_terminated(child, "FINISHED", entries[-1]["time_ms"])
        server.tell_provenance(parent, PARENT, told)
        server.tell_scores(parent, story.scores)
        for path in story.files:
            server.tell_file(parent, path)
        if story.model:
            server.tell_model(parent, story)
        if story.ended:
            server.client.set_terminated(parent, "FINISHED")


class _Server:
    """A tracking server, and what it was told of a run: noted in the run's folder as soon as it is told."""

    def __init__(self, client: Any, run: Path, uri: str) -> None:
        self.client, self.run, self.uri = client, run, uri
        self.path = run / FOLDER / TOLD
        self.all = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.told: dict[str, Any] = self.all.setdefault(uri, {})
        if f"run {PARENT}" in self.told and not self._knows(self.told[f"run {PARENT}"]):
            self.told.clear()

    def note(self, key: str, value: Any) -> None:
        """Keep in mind, through whatever comes, that the server knows `value`."""
        self.told[key] = value
        write(self.path, json.dumps(self.all))

    def run_of(self, source: str, name: str, tags: dict[str, str], start_ms: int | None = None) -> str:
        """Give the id of the server's run for `source`, and make it if there is none.

        By its token, noted before, a run is found that a job made and was killed before it noted that.
        """
        if f"run {source}" not in self.told:
            experiment, key = self._experiment(), f"token {source}"
            if key in self.told:
                found = self.client.search_runs([experiment], f"tags.token = '{self.told[key]}'")
            else:
                found = []
                self.note(key, uuid4().hex)
            tags = tags | {"token": self.told[key]}
            made = found[0] if found else self.client.create_run(experiment, start_ms, tags, run_name=name)
            self.note(f"run {source}", made.info.run_id)
        return str(self.told[f"run {source}"])

    def tell_journal(self, run_id: str, source: str, entries: Sequence[dict[str, Any]]) -> None:
        """Add the entries that are new; what a failure leaves half told MLflow recognises the next time."""
        fresh = entries[self.told.get(f"entries {source}", 0) :]
        self._log_metrics(
            run_id,
            [(name, x, e["time_ms"], e["step"]) for e in fresh for name, x in e.get("metrics", {}).items()],
        )
        pictures = [entry for entry in fresh if "picture" in entry]
        there = self.client.list_artifacts(run_id, "images") if pictures else []
        for entry in pictures:
            self._tell_picture(run_id, entry, [Path(file.path).name for file in there])
        self.note(f"entries {source}", len(entries))

    def tell_provenance(self, run_id: str, source: str, entries: Sequence[dict[str, Any]]) -> None:
        """Say in tags which jobs, which code and which image have made the entries."""
        for name, tags in PROVENANCE.items():
            values = ",".join(dict.fromkeys(entry[name] for entry in entries if name in entry))
            if values != self.told.get(f"{name} {source}", ""):
                for tag in tags:
                    self.client.set_tag(run_id, tag, values)
                self.note(f"{name} {source}", values)

    def _tell_picture(self, run_id: str, entry: dict[str, Any], there: Sequence[str]) -> None:
        """Log a picture, to be leafed through by step, unless the server has it; MLflow would keep both.

        One that is `there`, but was not noted, was told by a job that was killed then.
        """
        from PIL import Image

        told, when = self.told.get("pictures", []), {"step": entry["step"], "timestamp": entry["time_ms"]}
        if entry["picture"] in told:
            return
        mark = re.compile(rf"samples.step.{when['step']}.timestamp.{when['timestamp']}\b")
        if not any(mark.match(name) and name.endswith(".png") for name in there):
            with Image.open(self.run / FOLDER / entry["picture"]) as image:
                self.client.log_image(run_id, image, key="samples", synchronous=True, **when)
        self.note("pictures", [*told, entry["picture"]])

    def tell_scores(self, run_id: str, scores: Sequence[tuple[str, float, int]]) -> None:
        """Add the scores that are new."""
        said = self.told.get("scores", [])
        known = {(name, x, step) for name, x, _, step in said}
        # MLflow knows a point by name, step and time, and two checkpoints of a short run can share a kimg.
        # Times are noted before they are told, so that what a kill leaves half told is told the same again.
        now_ms = int(time.time() * 1000)
        fresh = [[name, x, now_ms + i, step] for i, (name, x, step) in enumerate(scores)]
        said = said + [point for point in fresh if (point[0], point[1], point[3]) not in known]
        self.note("scores", said)
        self._log_metrics(run_id, [tuple(point) for point in said[self.told.get("scores told", 0) :]])
        self.note("scores told", len(said))

    def tell_file(self, run_id: str, path: Path) -> None:
        """Upload a file unless the server has it as it is."""
        digest = sha256(path)
        if self.told.get(f"file {path.name}") != digest:
            self.client.log_artifact(run_id, str(path))
            self.note(f"file {path.name}", digest)

    def tell_model(self, run_id: str, story: Story) -> None:
        """Log and register the model, as the one that is chosen, unless the server has it as it is."""
        assert story.model is not None
        digests = [sha256(path) for path in sorted(story.model.iterdir())]
        if self.told.get("model") == digests:
            return
        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = Schema([ColSpec(kind, name) for name, kind in story.inputs.items()])
        mlflow.set_tracking_uri(self.uri)  # the only way to log a model
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="generator",
                loader_module=story.loader,
                data_path=str(story.model),
                pip_requirements=[f"mammogan[train]=={__version__}"],
                signature=ModelSignature(inputs=inputs) if story.inputs else None,
                registered_model_name=story.registered or None,
            )
        if story.registered:
            version = str(logged.registered_model_version)
            self.client.set_registered_model_alias(story.registered, CHOSEN, version)
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


@contextmanager
def _one_at_a_time(run: Path) -> Iterator[None]:
    """Let one job of a run sync at a time."""
    (run / FOLDER).mkdir(parents=True, exist_ok=True)
    with (run / FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
