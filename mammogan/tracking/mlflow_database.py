"""The database of a site without a server: MLflow's tables in a file of SQLite, whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

SCHEME = "sqlite:///"
LEFT_OVER_S = 3600.0
"""Age from which a half-made file is nobody's any more."""


def ensure(uri: str) -> None:
    """Make the database at `uri` unless it is there already; what is no file of SQLite is left alone.

    MLflow alters its tables in hundreds of steps, a minute's work on a busy machine. A job that ended amid
    them would leave a file that MLflow can neither use nor repair: they are made beside it, and linked there.
    """
    path = Path(uri.removeprefix(SCHEME).partition("?")[0])
    if not uri.startswith(SCHEME) or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(f".{path.name}.*.tmp*"):
        if time.time() - left_over.stat().st_mtime > LEFT_OVER_S:
            left_over.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        _make(temporary)
        try:
            os.link(temporary, path)  # unlike a rename, it never takes the place of what another has made
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make(path: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=f"{SCHEME}{path}").search_experiments(max_results=1)
