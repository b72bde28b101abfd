"""The database of a site without a server: MLflow's tables in a file of SQLite, whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from mammogan.file_lock import locked, missing_locks

SCHEME = "sqlite:///"
LEFT_OVER_S = 3600.0
"""Age from which a half-made file is nobody's any more."""


@contextmanager
def opened(uri: str) -> Iterator[str]:
    """Make sure that the database at `uri` is there, and give the URI to open it by during the block.

    On a file system without locks SQLite would find every file locked: there it is opened without them, and
    a lock of our own keeps it to one process. What is no file of SQLite is left alone.
    """
    path = Path(uri.removeprefix(SCHEME).partition("?")[0])
    if not uri.startswith(SCHEME) or "?" in uri:
        yield uri
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not missing_locks(path.parent):
        ensure(uri)
        yield uri
        return
    with locked(path.with_name(f".{path.name}.lock"), wait=True, take_silent=True):
        ensure(uri)
        yield without_locks(path)


def without_locks(path: Path) -> str:
    """Return the URI that opens a file of SQLite without locks; of another form, MLflow makes odd folders."""
    return f"sqlite+pysqlite:///file:{quote(str(path.absolute()))}?nolock=1&uri=true"


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

    uri = without_locks(path) if missing_locks(path.parent) else f"{SCHEME}{path}"
    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
