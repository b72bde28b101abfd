"""What an MLflow server has of a run: noted in the run's folder as soon as it took it.

Somebody may delete runs and experiments in the server's page meanwhile: what is only marked as deleted is
restored, and what is gone for good is logged anew.
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
from mammogan.tracking import mlflow_access
from mammogan.tracking.mlflow_model import log_model, register
from mammogan.tracking.mlflow_place import Place
from mammogan.tracking.tracker import DataSheet, ModelPackage

DEFAULT_EXPERIMENT, PARENT, SYNCED = "mammogan", "parent", "told.json"
CHOSEN = "chosen"
PROVENANCE = {
    "job": ("slurm.job_ids",),
    "commit": ("commit", "mlflow.source.git.commit"),  # MLflow's own is found by a search, but not shown
    "image": ("image.sha256",),
}
"""Tags by the names of `mammogan.provenance`."""
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100  # as many as MLflow takes in one request
SHEET_PX = 512
"""Sample sheets of small images are enlarged, each pixel to a square, to at least so many pixels a side."""
LONGEST_DIGEST = 36  # characters of a dataset's digest that MLflow takes


def experiment_name(wanted: str) -> str:
    """Return the name of the experiment: what a site says, else MLFLOW_EXPERIMENT_NAME, else our own."""
    return wanted or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


class Server:
    """A tracking server, and what it has of the run in folder `run`.

    Attributes
    ----------
    synced
        What was noted of it, by kind and source of a journal.
    place
        The run's experiment.
    address
        The URI that MLflow opens: another than `uri` where a file system has no locks.
    """

    def __init__(self, client: Any, run: Path, uri: str, experiment: str, address: str) -> None:
        self.client, self.run, self.uri, self.experiment = client, run, uri, experiment
        self.address = address
        self.path = RunFolder(run).tracking / SYNCED
        self.all = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.synced: dict[str, Any] = self.all.setdefault(uri, {})
        where = mlflow_access.without_secrets(uri)
        beside = (run.resolve().parent / "mlartifacts").as_uri()
        # A server keeps files in its own place; a mere database would have them where the job runs.
        self.place = Place(client, experiment, where, beside if uri.startswith("sqlite:") else None)

    def restore(self) -> None:
        """Bring back what was deleted of this run in the server's page; forget what has to be made anew.

        Raises
        ------
        ConfigError
            If the experiment was deleted, and this user may not restore it.
        """
        for key in [key for key in self.synced if key.startswith("run ")]:
            source = key.removeprefix("run ")
            found = self.place.find(self.synced[key], source)
            if found is None or not self.place.restore(source, found):
                self._forget(source)

    def _forget(self, source: str) -> None:
        """Forget what was logged to the run of `source`, so that it is logged again."""
        own = {f"{kind} {source}" for kind in ("run", "token", "entries", "parent", "sheets", *PROVENANCE)}
        if source == PARENT:
            own |= {"params", "scores told", "model", "model uri", "registered", "dataset"}
        for key in list(self.synced):
            if key in own or (source == PARENT and key.startswith("file ")):
                del self.synced[key]
        left = [name for name in self.synced.get("pictures", []) if Path(name).parent.name != source]
        self.note("pictures", left)

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
            from mlflow.entities import ViewType

            experiment, key = self.place.experiment_id(), f"token {source}"
            if key in self.synced:
                token = f"tags.token = '{self.synced[key]}'"
                found = self.client.search_runs([experiment], token, run_view_type=ViewType.ALL)
                found = [item for item in found if self.place.restore(source, item)]
            else:
                found = []
            if not found:
                self.note(key, uuid4().hex)
            tags = tags | {"token": self.synced[key]}
            made = found[0] if found else self.client.create_run(experiment, start_ms, tags, run_name=name)
            self.note(f"run {source}", made.info.run_id)
        return str(self.synced[f"run {source}"])

    def put_below(self, parent: str, run_id: str, source: str) -> None:
        """Make a run the child of `parent`, which may have been made anew."""
        if self.synced.get(f"parent {source}") != parent:
            self.client.set_tag(run_id, "mlflow.parentRunId", parent)
            self.note(f"parent {source}", parent)

    def log_dataset(self, run_id: str, sheet: DataSheet) -> None:
        """Log what the run learns from, once: by name and digest, and no path."""
        if self.synced.get("dataset") == sheet.digest:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"recipes": sheet.recipes, "identity": sheet.digest})
        used = Dataset(sheet.name, sheet.digest[:LONGEST_DIGEST], "mammogan-shards", source)
        self.client.log_inputs(run_id, [DatasetInput(used, [InputTag("mlflow.data.context", "training")])])
        self.note("dataset", sheet.digest)

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
            self._log_picture(run_id, source, entry, [Path(file.path).name for file in there])
        self.note(f"entries {source}", len(entries))

    def log_provenance(self, run_id: str, source: str, entries: Sequence[dict[str, Any]]) -> None:
        """Return in tags which jobs, which code and which image have made the entries."""
        for name, tags in PROVENANCE.items():
            values = ",".join(dict.fromkeys(entry[name] for entry in entries if name in entry))
            if values != self.synced.get(f"{name} {source}", ""):
                for tag in tags:
                    self.client.set_tag(run_id, tag, values)
                self.note(f"{name} {source}", values)

    def _log_picture(self, run_id: str, source: str, entry: dict[str, Any], there: Sequence[str]) -> None:
        """Log a picture, to be leafed through by step, unless the server has it; MLflow would keep both.

        Small ones are enlarged, and the run's tag ``sheets.enlarged`` says how far. One that is `there`, but
        was not noted, was logged by a job that was killed then.
        """
        from PIL import Image

        logged, when = self.synced.get("pictures", []), {"step": entry["step"], "timestamp": entry["time_ms"]}
        if entry["picture"] in logged:
            return
        mark = re.compile(rf"samples.step.{when['step']}.timestamp.{when['timestamp']}\b")
        if not any(mark.match(name) and name.endswith(".png") for name in there):
            with Image.open(RunFolder(self.run).tracking / entry["picture"]) as image:
                times = -(-SHEET_PX // max(image.size))
                size = (image.width * times, image.height * times)
                enlarged = image.resize(size, Image.Resampling.NEAREST) if times > 1 else image
                if times > 1 and self.synced.get(f"sheets {source}") != times:
                    self.client.set_tag(run_id, "sheets.enlarged", f"{times}-fold, a pixel to a square")
                    self.note(f"sheets {source}", times)
                self.client.log_image(run_id, enlarged, key="samples", synchronous=True, **when)
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
        """Log and register the model, as the one that is chosen, unless the server has it as it is.

        A registry that gives no permission keeps the run from nothing but being found there.
        """
        from mlflow.exceptions import MlflowException

        digests = [sha256(path) for path in sorted(model.folder.iterdir())]
        if self.synced.get("model") != digests:
            self.note("model uri", log_model(model, run_id, self.address))
            self.note("model", digests)
        elif "model uri" not in self.synced:
            return  # an earlier version has registered it, too
        if not model.registered or self.synced.get("registered") == [model.registered, *digests]:
            return
        try:
            version = register(self.synced["model uri"], model.registered, self.address)
            self.client.set_registered_model_alias(model.registered, CHOSEN, version)
        except MlflowException as error:
            status = mlflow_access.status_of(error)
            why = mlflow_access.explained(status, str(error), self.uri, self.experiment, model.registered)
            if why is None:
                raise
            self.place.notice(f"the model is logged, but not registered: {why}")
            return
        self.note("registered", [model.registered, *digests])

    def _log_metrics(self, run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric

        for first in range(0, len(points), METRICS_AT_ONCE):
            part = [Metric(*point) for point in points[first : first + METRICS_AT_ONCE]]
            self.client.log_batch(run_id, metrics=part)
