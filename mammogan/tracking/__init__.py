"""MLflow without waiting for it: jobs write journals, and `sync` tells the tracking server of them later."""

from mammogan.tracking.mlflow_sync import Story, default_uri, last_told, sync
from mammogan.tracking.run_journal import Journal, read

__all__ = ["Journal", "Story", "default_uri", "last_told", "read", "sync"]
