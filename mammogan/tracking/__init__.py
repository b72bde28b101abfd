"""Journals that jobs write without waiting, and trackers that are brought up to date from them."""

from __future__ import annotations

from typing import cast

from mammogan.config.references import is_reference, resolve
from mammogan.errors import ConfigError
from mammogan.tracking import mlflow_access
from mammogan.tracking.jsonl_writer import JsonLinesWriter
from mammogan.tracking.mlflow_sync import MlflowTracker
from mammogan.tracking.run_journal import Journal, read
from mammogan.tracking.tensorboard_writer import TensorBoardWriter
from mammogan.tracking.tracker import DataSheet, ModelPackage, RunSummary, Tracker

__all__ = [
    "TRACKERS",
    "DataSheet",
    "Journal",
    "ModelPackage",
    "RunSummary",
    "Tracker",
    "mlflow_access",
    "read",
    "tracker",
]

TRACKERS: dict[str, type[Tracker]] = {
    "mlflow": MlflowTracker,
    "jsonl": JsonLinesWriter,
    "tensorboard": TensorBoardWriter,
}
"""The trackers by the names that ``tracking.trackers`` of a site's profile gives."""


METHODS = ("last_sync", "sync")


def tracker(name: str) -> type[Tracker]:
    """Return the tracker of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if is_reference(name):
        found = resolve(name, "tracking.trackers")
        if missing := [each for each in METHODS if not callable(getattr(found, each, None))]:
            raise ConfigError(
                f"tracking.trackers '{name}' has no '{missing[0]}': a tracker follows "
                "mammogan.tracking.tracker.Tracker (docs/extending.md)."
            )
        return cast("type[Tracker]", found)
    if name not in TRACKERS:
        raise ConfigError(
            f"tracking.trackers of the site's profile: there is no tracker '{name}'. Valid: "
            f"{', '.join(TRACKERS)}. Correct the profile, or launch with --set "
            "'tracking.trackers=[\"mlflow\"]'."
        )
    return TRACKERS[name]
