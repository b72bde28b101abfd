"""What the tracking server is told of a run, put together from the files that the steps have left."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mammogan import schedule, tracking
from mammogan.config.run_config import Run
from mammogan.run_folder import RunFolder
from mammogan.steps import report_measures
from mammogan.steps.job_graph import graph
from mammogan.steps.select_checkpoint import read_choice, scores

log = logging.getLogger(__name__)


INPUTS = {"view": "string", "seed": "long", "number": "long"}
"""What `mammogan.steps.mlflow_pyfunc` takes, in MLflow's names of types."""
SELDOM_S = 120.0
"""Between two times that a run under way is told of: MLflow takes seconds to start, as short stages do."""


def tell_now_and_then(run_dir: Path, run: Run, finished: str = "") -> None:
    """Tell the tracking server of a run under way, if it was not told a moment ago."""
    if time.time() - tracking.last_told(run_dir) > SELDOM_S:
        tell_tracking(run_dir, run, finished)


def tell_tracking(run_dir: Path, run: Run, finished: str = "") -> None:
    """Sync the run's journals, scores, choice and report; a server that fails is a warning, no failure."""
    if run.site.tracking.uri == "off":
        return
    try:
        tracking.sync(run_dir, run.site.tracking.uri, story(run_dir, run, finished))
    except Exception as error:  # noqa: BLE001 - whatever tracking does, the run goes on; its journal keeps all
        log.warning("tracking was not told (%s); `mammogan sync %s` does it later", error, run_dir)


def story(run_dir: Path, run: Run, finished: str = "") -> tracking.Story:
    """Put together what is known of the run; `finished` is the node that says so before it is marked."""
    from mammogan.steps import is_done

    stages, folder = schedule.plan(run.method), RunFolder(run_dir)
    ended = {node.name for node in graph(run) if node.name == finished or is_done(run_dir, node, 0)}
    result = tracking.Story(
        name=f"{run.method.method.name} {run_dir.name}",
        params=_flat(run.method.model_dump(mode="json")),
        tags={
            "run_id": run.run_id,
            "mammogan": run.mammogan,
            "data": run.data_identity,
            "recipes": hashlib.sha256(repr(run.recipes).encode()).hexdigest()[:12],
            **({"image": run.site.container.image} if run.site.container.image else {}),
            "site": run.site.site.name,
        },
        stages={f"train-{s.index}": f"stage {s.index}: {s.height_px}x{s.width_px}" for s in stages},
        finished=ended,
    )
    for stage in stages:
        for score in scores(run_dir, stage):
            name, step = f"swd/{stage.height_px}x{stage.width_px}", round(score.kimg)
            result.scores += [(f"{name}/{key}", value, step) for key, value in score.points()]
    report = folder.report
    if (report / report_measures.JSON).exists():
        result.scores += list(_qualities(report_measures.read(report), read_choice(run_dir).kimg))
    files = (
        *(folder.settings, folder.choice, folder.scores_table),
        *(
            report / name
            for name in ("index.html", report_measures.JSON, report_measures.TABLE, report_measures.IMAGES)
        ),
    )
    result.files += [path for path in files if path.exists()]
    if "report" in ended:
        result.ended, result.model, result.loader = (
            True,
            folder.model,
            "mammogan.steps.mlflow_pyfunc",
        )
        result.inputs, result.registered = INPUTS, f"mammogan-{run.method.method.name}"
    return result


def _qualities(tree: Mapping[str, Any], kimg: float) -> Iterator[tuple[str, float, int]]:
    """Give the report's summary, so that runs can be compared by it; the files have all measures."""
    from mammogan.report.measure_labels import headlines

    for measure in headlines(tree["measures"]):
        name = "/".join(filter(None, ("quality", measure["view"].lower(), measure["name"], measure["of"])))
        values = {name: measure["value"], f"{name}/as_few": measure["matched"]}
        yield from ((key, value, round(kimg)) for key, value in values.items() if value is not None)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat
