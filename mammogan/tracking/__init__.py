"""MLflow without waiting for it: jobs write journals, and `sync` tells the tracking server of them later."""

from mammogan.tracking.journal import Journal, read
from mammogan.tracking.server import Story, default_uri, sync

__all__ = ["Journal", "Story", "default_uri", "read", "sync"]
