"""MLflow without waiting for it: jobs write a journal, and `sync` copies it to the tracking server afterwards.

A journal is a file of JSON lines that one job appends to. Points keep the time at which they were written, and
MLflow ignores a point that it has; so syncing twice, or after a resume, adds nothing twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mammogan.files import replacing, write_text

FOLDER = "tracking"
REQUEST_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
BATCH = 1000  # of metrics, MLflow's limit for one request


class Journal:
    """What one job of a run has to say, appended to ``<run>/tracking/<source>.jsonl``; silent if not `writes`."""

    def __init__(self, run: Path, source: str, *, writes: bool = True) -> None:
        self.folder, self.source, self.writes = run / FOLDER, source, writes

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Note numbers by name at `step`."""
        self._append({"metrics": dict(values), "step": step})

    def picture(self, image: np.ndarray, name: str, step: int) -> None:
        """Keep a uint16 greyscale (H, W) as an 8-bit PNG."""
        if not self.writes:
            return
        from matplotlib.image import imsave

        path = self.folder / "pictures" / self.source / f"{name}-{step:09d}.png"
        with replacing(path) as temporary:
            imsave(temporary, image >> 8, cmap="gray", vmin=0, vmax=255, format="png")
        self._append({"picture": str(path.relative_to(self.folder)), "step": step})

    def _append(self, entry: dict[str, Any]) -> None:
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time_ms": int(time.time() * 1000), **entry}) + "\n"
        with (self.folder / f"{self.source}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())


def read(run: Path, source: str) -> Iterator[dict[str, Any]]:
    """Give a journal's entries in order; a torn last line is left out, and of a step said twice the first stays."""
    path, seen = run / FOLDER / f"{source}.jsonl", set()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        key = (entry["step"], "picture" in entry)
        if key not in seen:
            seen.add(key)
            yield entry


@dataclass
class Story:
    """What the tracking server is told of one run beside its journals.

    Attributes
    ----------
    name : str
        Name of the parent run.
    params, tags : dict
        Of the parent run.
    stages : dict
        Source of a journal to the name of its child run.
    finished : set
        Sources of the journals, and names of nodes, that have ended.
    scores : list
        (name, value, step) on the parent run.
    files : list
        Files kept with the parent run, such as the report.
    model : Path or None
        Folder of the chosen generator.
    """

    name: str
    params: dict[str, str]
    tags: dict[str, str]
    stages: dict[str, str]
    finished: set[str] = field(default_factory=set)
    scores: list[tuple[str, float, int]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    model: Path | None = None


def default_uri(run: Path) -> str:
    """Give the tracking URI of a site that names none: SQLite beside the run's folder."""
    return f"sqlite:///{run.resolve().parent / 'mlflow.db'}"


def sync(run: Path, uri: str, story: Story) -> None:
    """Bring the tracking server at `uri` up to date with the run in folder `run`; adds nothing twice."""
    os.environ.update({key: os.environ.get(key, value) for key, value in REQUEST_SETTINGS.items()})
    import mlflow
    from mlflow import MlflowClient

    uri = uri or default_uri(run)
    with _one_at_a_time(run) as state:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("mammogan")
        if experiment:
            experiment_id = experiment.experiment_id
        else:
            place = None if "://" in uri and not uri.startswith("sqlite") else (run.parent / "mlartifacts")
            location = place.resolve().as_uri() if place else None
            experiment_id = client.create_experiment("mammogan", artifact_location=location)
        runs = state.setdefault("runs", {})
        if "parent" not in runs:
            parent = client.create_run(experiment_id, run_name=story.name, tags=story.tags).info.run_id
            runs["parent"] = parent
            _log(client, parent, params=story.params)
        for source, name in story.stages.items():
            _sync_stage(client, experiment_id, run, source, name, state, source in story.finished)
        now = int(time.time() * 1000)
        fresh = [
            score for score in story.scores if [score[0], score[2]] not in state.setdefault("scores", [])
        ]
        _log(client, runs["parent"], metrics=[(name, value, now, step) for name, value, step in fresh])
        state["scores"] += [[name, step] for name, _, step in fresh]
        for path in story.files:
            client.log_artifact(runs["parent"], str(path))
        if story.model and "model" not in state:
            mlflow.set_tracking_uri(uri)
            with mlflow.start_run(run_id=runs["parent"]):
                mlflow.pyfunc.log_model(
                    name="generator", loader_module="mammogan.steps.served", data_path=str(story.model)
                )
            state["model"] = True
        if "report" in story.finished:
            client.set_terminated(runs["parent"], "FINISHED")


def _sync_stage(
    client: Any, experiment_id: str, run: Path, source: str, name: str, state: dict[str, Any], ended: bool
) -> None:
    entries = list(read(run, source))
    if not entries:
        return
    runs, pictures = state["runs"], state.setdefault("pictures", [])
    if source not in runs:
        tags = {"mlflow.parentRunId": runs["parent"], "stage": source}
        start = entries[0]["time_ms"]
        runs[source] = client.create_run(experiment_id, start, tags, run_name=name).info.run_id
    points = [
        (key, value, entry["time_ms"], entry["step"])
        for entry in entries
        for key, value in entry.get("metrics", {}).items()
    ]
    _log(client, runs[source], metrics=points)
    for entry in entries:
        if "picture" in entry and entry["picture"] not in pictures:
            client.log_artifact(runs[source], str(run / FOLDER / entry["picture"]), "samples")
            pictures.append(entry["picture"])
    if ended:
        client.set_terminated(runs[source], "FINISHED", entries[-1]["time_ms"])


def _log(
    client: Any,
    run_id: str,
    metrics: list[tuple[str, float, int, int]] = [],
    params: dict[str, str] | None = None,  # noqa: B006
) -> None:
    from mlflow.entities import Metric, Param

    for first in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=[Metric(*point) for point in metrics[first : first + BATCH]])
    items = [Param(key, value) for key, value in (params or {}).items()]
    for first in range(0, len(items), 100):
        client.log_batch(run_id, params=items[first : first + 100])


@contextmanager
def _one_at_a_time(run: Path) -> Iterator[dict[str, Any]]:
    """Lock the run's tracking folder and give what was synced so far, written back at the end whatever happens."""
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "synced.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        try:
            yield state
        finally:
            write_text(path, json.dumps(state))
