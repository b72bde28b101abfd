"""MLflow's page of a run's experiment: where it is, and a server of one's own for a database file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from mammogan.errors import ClusterError, ConfigError
from mammogan.run_folder import RunFolder
from mammogan.tracking import mlflow_access, mlflow_database
from mammogan.tracking.mlflow_server import PARENT, SYNCED, experiment_name
from mammogan.tracking.mlflow_sync import default_uri

LOOPBACK = "127.0.0.1"
START_S = 120.0
END_S = 10.0


@contextmanager
def page(run: Path, uri: str, experiment: str, port: int = 0) -> Iterator[str]:
    """Give the URL of the table of training runs of the experiment that holds the run of folder `run`.

    For a database file it is served on this machine, for itself alone, at `port` or a free one, while the
    block runs. MLflow's own start page is about language models.

    Raises
    ------
    ConfigError
        If nothing of the run was logged yet, or its server doesn't know the user.
    ClusterError
        If the server doesn't answer.
    """
    uri = uri or default_uri(run)
    known = _known(run, uri)
    if not uri.startswith(mlflow_database.SCHEME):
        if not uri.startswith("http"):
            raise ConfigError(f"tracking.uri '{mlflow_access.without_secrets(uri)}' has no page to open.")
        yield _url(uri, known, experiment)
        return
    path = Path(uri.removeprefix(mlflow_database.SCHEME).partition("?")[0])
    if not path.exists():
        raise ConfigError(
            f"'{path}' does not exist: nothing of the run '{run}' was logged yet. `mammogan sync {run}` "
            "does that."
        )
    with _served(uri, port) as address:
        yield _url(address, known, experiment)


def _known(run: Path, uri: str) -> str:
    """Return the id of the run's parent at a server, if it was noted."""
    with suppress(OSError, ValueError):
        noted = json.loads((RunFolder(run).tracking / SYNCED).read_text(encoding="utf-8"))
        return str(noted.get(uri, {}).get(f"run {PARENT}", ""))
    return ""


def _url(address: str, run_id: str, experiment: str) -> str:
    shown = mlflow_access.without_secrets(address).replace("***@", "").rstrip("/")
    try:
        if run_id:
            with suppress(urllib.error.HTTPError):  # deleted for good: the experiment may still be there
                found = mlflow_access.ask(address, "runs/get", run_id=run_id)
                return f"{shown}/#/experiments/{found['run']['info']['experiment_id']}/runs"
        name = experiment_name(experiment)
        found = mlflow_access.ask(address, "experiments/get-by-name", experiment_name=name)
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        if why := mlflow_access.explained(error.code, text, address, experiment_name(experiment)):
            raise why from None
        return f"{shown}/#/experiments"
    except OSError as error:
        raise ClusterError(f"The MLflow server '{shown}' (tracking.uri) does not answer: {error}.") from None
    return f"{shown}/#/experiments/{found['experiment']['experiment_id']}/runs"


@contextmanager
def _served(uri: str, port: int) -> Iterator[str]:
    """Run MLflow's server on a database file, and end it with all its workers."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigError(f"--port '{port}' can't be had ({error.strerror}): give another.") from None
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    address = f"http://{LOOPBACK}:{port}"
    with tempfile.TemporaryFile("w+") as log:
        # A session of its own: Ctrl-C reaches this process alone, which ends the server and its workers.
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _await(server, address, log)
            yield address
        finally:
            _end(server)


def _await(server: subprocess.Popen[bytes], address: str, log: TextIO) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if server.poll() is not None:
            log.seek(0)
            words = log.read().strip().splitlines()
            raise ClusterError(f"MLflow's server did not start: {words[-1] if words else server.returncode}")
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310
            return
        time.sleep(0.2)
    raise ClusterError(f"MLflow's server does not answer at {address} within {START_S:g} s.")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server with all its workers, which may need a moment more than itself."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + END_S
        try:
            os.killpg(server.pid, name)
            while time.monotonic() < end:
                server.poll()  # else it stays in its group
                os.killpg(server.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return
