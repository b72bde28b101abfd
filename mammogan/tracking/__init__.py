"""Journals that jobs write without waiting, and trackers that are brought up to date from them."""

from __future__ import annotations

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


def tracker(name: str) -> type[Tracker]:
    """Return the tracker of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in TRACKERS:
        raise ConfigError(
            f"tracking.trackers of the site's profile: there is no tracker '{name}'. Valid: "
            f"{', '.join(TRACKERS)}. Correct the profile, or launch with --set "
            "'tracking.trackers=[\"mlflow\"]'."
        )
    return TRACKERS[name]
