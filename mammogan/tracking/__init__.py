"""MLflow without waiting for it: jobs write journals, and `sync` tells the tracking server of them later."""

from mammogan.tracking.journal import Journal, read
from mammogan.tracking.server import Story, default_uri, last_told, sync

__all__ = ["Journal", "Story", "default_uri", "last_told", "read", "sync"]
