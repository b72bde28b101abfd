"""What trackers are given of a run, collected from the files that the steps have left."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import mammogan
from mammogan import schedule, tracking
from mammogan.config.run_config import Run
from mammogan.run_folder import RunFolder
from mammogan.run_records import TrackingState
from mammogan.steps import report_measures
from mammogan.steps.job_graph import graph
from mammogan.steps.select_checkpoint import read_choice, scores

log = logging.getLogger(__name__)


LOADER = "mammogan.steps.mlflow_pyfunc"
INPUTS = {"view": "string", "seed": "long", "number": "long"}
"""What `LOADER` takes, in MLflow's names of types."""
PACKAGES = ("torch", "numpy", "safetensors", "pydantic", "opencv-python-headless", "imagecodecs")
"""What loading and drawing import beside this package; the last two come with the reader of shards."""
INTERVAL_S = 120.0
"""Between two syncs of a run under way: MLflow takes seconds to start, as short stages do."""
KEPT_NOTICES = 3


def sync_if_due(run_dir: Path, run: Run, finished: str = "") -> None:
    """Bring those trackers up to date that have not been for a while; for a run under way."""
    sync_trackers(run_dir, run, finished, INTERVAL_S)


def sync_trackers(run_dir: Path, run: Run, finished: str = "", interval_s: float = 0.0) -> None:
    """Give all trackers of the site what is new; one that fails is a warning, and the others go on.

    Parameters
    ----------
    finished
        The node that asks for it, before it is marked as done.
    interval_s
        Trackers that were up to date so many seconds ago, or since the run's launch, are left for later.
    """
    if run.site.tracking.uri == "off":
        return
    for name in run.site.tracking.trackers:
        try:
            tracker = tracking.tracker(name)(run_dir, run.site.tracking.uri)
            last = tracker.last_sync() or (run_dir / "run.json").stat().st_mtime
            if not interval_s or time.time() - last > interval_s:
                tracker.sync(summarize(run_dir, run, finished))
                notices = getattr(tracker, "notices", ())
                for notice in notices:
                    log.warning("the tracker '%s': %s", name, notice)
                note(run_dir, name, notices=notices)
        except Exception as error:  # noqa: BLE001 - whatever a tracker does, the run goes on; its journal keeps all
            _warn_once(run_dir, name, str(error).rstrip("."))
            with suppress(OSError):
                note(run_dir, name, failure=str(error))


@cache
def _warn_once(run_dir: Path, name: str, why: str) -> None:
    """Warn of a tracker that fails; the same again, as a later tick tries it anew, is no news."""
    log.warning(
        "the tracker '%s' was not brought up to date (%s); `mammogan sync %s` does it later",
        name,
        why,
        run_dir,
    )


def note(run_dir: Path, name: str, failure: str = "", notices: Iterable[str] = ()) -> None:
    """Keep for `mammogan status` why a tracker is behind, and what it found changed on its side."""
    path = RunFolder(run_dir).tracking_state
    before = TrackingState.read_if_sound(path) or TrackingState()
    kept = [f"the tracker '{name}', on {time.strftime('%Y-%m-%d')}: {notice}" for notice in notices]
    failures = {other: why for other, why in before.failures.items() if other != name}
    state = TrackingState(
        failures=failures | ({name: failure} if failure else {}),
        notices=(*before.notices, *kept)[-KEPT_NOTICES:],
    )
    if state != before:
        state.write(path)


def summarize(run_dir: Path, run: Run, finished: str = "") -> tracking.RunSummary:
    """Collect what is known of the run; `finished` is a node that counts as done before it is marked."""
    from mammogan.steps import is_done

    stages, folder = schedule.plan(run.method), RunFolder(run_dir)
    ended = {node.name for node in graph(run) if node.name == finished or is_done(run_dir, node, 0)}
    result = tracking.RunSummary(
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
        experiment=run.site.tracking.experiment,
        description=_description(run, run_dir),
        source="mammogan launch",
        scheduled=run.site.site.scheduler != "local",
        dataset=tracking.DataSheet(Path(run.shards).name, run.data_identity, _recipes(run)),
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
        result.ended = True
        result.model = tracking.ModelPackage(
            folder.model,
            LOADER,
            INPUTS,
            registered=run.site.tracking.model or f"mammogan-{run.method.method.name}",
            code=code(),
            packages=PACKAGES,
        )
    return result


def _recipes(run: Run) -> tuple[str, ...]:
    return tuple(recipe.dataset.name for recipe in run.recipes)


def _description(run: Run, run_dir: Path) -> str:
    """Say in Markdown what the run is, for who opens its page."""
    method, site = run.method.method, run.site.site.name
    return (
        f"**{method.name}**: {method.summary}\n\nThe run '{run_dir.name}' at the site '{site}', on images of "
        f"{' and '.join(_recipes(run)) or 'one set'}. `mammogan status` tells where it stands."
    )


def code() -> tuple[Path, ...]:
    """Return what a model carries so that `LOADER` is found anywhere: this package, links followed."""
    return (Path(mammogan.__file__).parent,)


def _qualities(tree: Mapping[str, Any], kimg: float) -> Iterator[tuple[str, float, int]]:
    """Yield the report's summary, so that runs can be compared by it; the files have all measures."""
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
