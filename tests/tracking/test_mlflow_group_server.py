"""Two users of a real MLflow server with passwords, on PostgreSQL; skipped where these are not installed."""

import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from mammogan.config.site import Tracking
from mammogan.errors import ConfigError
from mammogan.steps import tracking_sync
from mammogan.tracking import Journal, ModelPackage, mlflow_access
from mammogan.tracking.mlflow_access import PASSWORD, USERNAME
from mammogan.tracking.mlflow_page import page
from tests.patience import PATIENCE_S
from tests.tracking.conftest import PICTURE, summary, sync

pytestmark = pytest.mark.slow
ADMIN = ("admin", "a-long-password")
WORD = "another-long-password"
AUTH = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = {admin}
admin_password = {word}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture(scope="module")
def databases():
    """Run PostgreSQL in a folder of its own, with its socket; give the URI of a database by name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    missing = [name for name in ("flask_wtf", "psycopg2") if importlib.util.find_spec(name) is None]
    if not found or missing:
        pytest.skip(f"not installed: {', '.join(missing) or 'postgresql'}")
    folder = Path(tempfile.mkdtemp(prefix="mgpg"))  # short, as the path of a socket must be
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")

    def run(*words):
        done = subprocess.run(
            [*as_user, *map(str, words)], cwd="/tmp", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data, server = folder / "data", found[-1] / "pg_ctl"
    run(found[-1] / "initdb", "-D", data, "-U", "mlflow", "-A", "trust")
    run(server, "-D", data, "-w", "-l", folder / "log", "-o", f"-c listen_addresses='' -k {folder}", "start")
    try:
        for name in ("runs", "users"):
            run(found[-1] / "createdb", "-h", folder, "-U", "mlflow", name)
        yield lambda name: f"postgresql+psycopg2://mlflow@/{name}?host={folder}"
    finally:
        run(server, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def uri(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "auth.ini").write_text(AUTH.format(database=databases("users"), admin=ADMIN[0], word=ADMIN[1]))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--backend-store-uri", databases("runs"), "--artifacts-destination", str(folder / "files")]
    environ = os.environ | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE_S
        while True:
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2):
                break
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(PATIENCE_S)


@pytest.fixture
def login(monkeypatch):
    def as_user(name, word=WORD):
        monkeypatch.setenv(USERNAME, name)
        monkeypatch.setenv(PASSWORD, word)

    return as_user


def new_run(folder):
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    Journal(folder, "train-0").metrics({"loss": 1.0}, 1000)
    Journal(folder, "train-0").picture(PICTURE, "samples", 1000)
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"12345")
    return folder


def test_two_users_log_their_runs_and_who_lacks_a_permission_reads_whom_to_ask(
    uri, login, mlflow, tmp_path, caplog, monkeypatch
):
    from mlflow.server.auth.client import AuthServiceClient

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(PATIENCE_S))  # it shares this machine with others
    login(*ADMIN)
    users = AuthServiceClient(uri)
    for name in ("ada", "grace"):
        users.create_user(name, WORD)
    first, second = new_run(tmp_path / "first"), new_run(tmp_path / "second")

    def given(run):
        inputs = {"view": "string"}
        model = ModelPackage(run / "model", "mammogan.steps.mlflow_pyfunc", inputs, "mammogan-tour")
        return summary(source="mammogan launch", model=model, files=[run / "run.json"], ended=True)

    login("nobody")
    with pytest.raises(ConfigError, match=r"refuses these credentials as user 'nobody' \(401\)"):
        sync(first, uri, given(first))
    login("ada")
    assert sync(first, uri, given(first)) == []
    assert mlflow_access.refusal(uri, "mammogan") is None

    login("grace")
    denied = r"as user 'grace' gives no permission to write to the experiment 'mammogan' \(403\)"
    with pytest.raises(ConfigError, match=denied):
        sync(second, uri, given(second))
    assert "EDIT" in str(mlflow_access.refusal(uri, "mammogan"))
    with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking_sync, "summarize", lambda *_: given(second))
        tracking_sync.sync_trackers(second, SimpleNamespace(site=SimpleNamespace(tracking=Tracking(uri=uri))))
    assert "Ask its owner or an administrator for the permission EDIT on it" in caplog.text

    login(*ADMIN)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("mammogan").experiment_id
    users.grant_user_permission("grace", "experiment", experiment, "EDIT")
    login("grace")
    assert mlflow_access.refusal(uri, "mammogan") is None
    (notice,) = sync(second, uri, given(second))  # the registered model is still ada's
    assert "the model is logged, but not registered" in notice
    assert "to the registered model 'mammogan-tour' (403)" in notice and "tracking.model" in notice
    login(*ADMIN)
    users.grant_user_permission("grace", "registered_model", "mammogan-tour", "EDIT")
    login("grace")
    assert sync(second, uri, given(second)) == []
    with page(second, uri, "") as url:
        assert url == f"{uri}/#/experiments/{experiment}/runs"

    parents = [item for item in client.search_runs([experiment]) if "stage" not in item.data.tags]
    assert {item.data.tags["mlflow.user"] for item in parents} == {"ada", "grace"}
    assert {item.info.status for item in parents} == {"FINISHED"}
    assert len(client.search_model_versions("name='mammogan-tour'")) == 2

    login(*ADMIN)
    client.delete_experiment(experiment)
    login("grace")
    Journal(second, "train-0").metrics({"loss": 0.5}, 2000)
    with pytest.raises(ConfigError, match=r"was deleted in the page .* you may not restore it \(403\)"):
        sync(second, uri, given(second))
    login(*ADMIN)
    (notice,) = sync(first, uri, given(first))
    assert notice.endswith("and is restored with its runs")
    login("grace")
    assert sync(second, uri, given(second)) == []
