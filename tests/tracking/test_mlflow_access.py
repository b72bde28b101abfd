"""A server that refuses says what to set or whom to ask, before a run and in it; no secret is written."""

import base64
import json
import logging
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from mammogan.cli.sync_command import sync as cli_sync
from mammogan.cluster import tracking_credentials
from mammogan.cluster.doctor import Case, examine
from mammogan.config.run_config import Run
from mammogan.config.site import Tracking, load_site
from mammogan.errors import ConfigError, RunFailedError
from mammogan.run_records import TrackingState
from mammogan.steps import tracking_sync
from mammogan.tracking import mlflow_access
from mammogan.tracking.mlflow_access import HOW, PASSWORD, TOKEN, USERNAME, check_no_secrets
from tests.tracking.conftest import summary

WORD = "s3cr=t: #1"
UNKNOWN = "You are not authenticated. Please see https://mlflow.org/docs"
"""What MLflow's basic-auth answers, as text, to who it doesn't know; below, to who has no permission."""
DENIED = "Permission denied"
FILE = "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password: {}\n"


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Start without credentials, and with a home folder of one's own."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".mlflow").mkdir(parents=True)
    return tmp_path / "home" / ".mlflow" / "credentials"


@pytest.fixture
def uri():
    """Serve the experiment 'mammogan' to ada, who may write, and grace, who may read, as basic-auth does."""
    users = {f"{name}:{WORD}": name for name in ("ada", "grace")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            word = self.headers.get("Authorization", " ").partition(" ")[2]
            user = users.get(base64.b64decode(word).decode()) if word != "token" else "ada"
            if self.path == "/health":
                self.answer(200, "OK")
            elif user is None:
                self.answer(401, UNKNOWN)
            elif "get-by-name" in self.path and "experiment_name=mammogan" in self.path:
                found = {"experiment_id": "1", "name": "mammogan", "lifecycle_stage": "active"}
                self.answer(200, json.dumps({"experiment": found}))
            elif "get-by-name" in self.path:
                self.answer(404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}))
            elif user == "ada":
                self.answer(400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "no key"}))
            else:
                self.answer(403, DENIED)

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def answer(self, status, text):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def login(monkeypatch, user, word=WORD):
    monkeypatch.setenv(USERNAME, user)
    monkeypatch.setenv(PASSWORD, word)


def test_who_may_write_is_not_refused(uri, monkeypatch, nobody):
    nobody.write_text(FILE.format(WORD))
    assert mlflow_access.refusal(uri, "mammogan") is None
    assert mlflow_access.refusal(uri, "not-there-yet") is None
    nobody.unlink()
    monkeypatch.setenv(TOKEN, "token")
    assert mlflow_access.refusal(uri, "mammogan") is None


def test_doctor_finds_missing_and_wrong_credentials_and_missing_permission_beforehand(uri, monkeypatch):
    def told():
        site = load_site("local", (f"tracking.uri={uri}",))
        return [(f.level, f.found, f.remedy) for f in examine(Case(site, jobs=False), ["tracking"])][-1]

    level, found, remedy = told()
    assert (level, remedy) == ("problem", f"{HOW}.")
    assert found == f"The MLflow server '{uri}' (tracking.uri) wants to know who asks (401)"
    login(monkeypatch, "ada", "wrong")
    assert "refuses these credentials as user 'ada' (401)" in told()[1]
    login(monkeypatch, "grace")
    level, found, remedy = told()
    assert level == "problem" and "gives no permission to write to the experiment 'mammogan' (403)" in found
    assert remedy.startswith("Ask its owner or an administrator for the permission EDIT on it")
    login(monkeypatch, "ada")
    assert told()[:2] == ("ok", "is permitted")


@pytest.mark.parametrize(
    ("user", "words"),
    [("", f"wants to know who asks (401). {HOW}"), ("grace", "no permission to write to the experiment")],
)
def test_a_run_goes_on_and_its_log_says_what_to_do(run, uri, monkeypatch, caplog, mlflow, user, words):
    if user:
        login(monkeypatch, user)
    site = SimpleNamespace(tracking=Tracking(uri=uri))
    monkeypatch.setattr(tracking_sync, "summarize", lambda *_: summary())
    with caplog.at_level(logging.WARNING):
        tracking_sync.sync_trackers(run, SimpleNamespace(site=site))
    assert words in caplog.text
    assert words in TrackingState.read(run / "tracking" / "state.json", "").failures["mlflow"]
    monkeypatch.setattr(Run, "load", lambda _: SimpleNamespace(site=site))
    with pytest.raises(RunFailedError) as refused:
        cli_sync(run)
    assert words in str(refused.value) and "could not be reached" not in str(refused.value)
    kept = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert WORD not in caplog.text and WORD.encode() not in kept


def test_a_password_in_a_profile_is_refused():
    with pytest.raises(ConfigError, match=r"tracking.uri 'https://\*\*\*@host' holds a password"):
        check_no_secrets("https://ada:word@host", {})
    with pytest.raises(
        ConfigError, match=rf"environment.variables.{PASSWORD} of the site's profile is a secret"
    ):
        check_no_secrets("https://host", {PASSWORD: "word"})
    check_no_secrets("https://host", {USERNAME: "ada", "MLFLOW_TRACKING_INSECURE_TLS": "true"})
    check_no_secrets("", {})


def test_doctor_finds_a_password_in_a_profile():
    site = load_site("local", ("tracking.uri=off", f"environment.variables.{TOKEN}=abc"))
    first, *_ = examine(Case(site, jobs=False), ["tracking"])
    assert (first.level, first.key) == ("problem", f"environment.variables.{TOKEN}")


IN_IMAGE = ("container.image=/m.sif", "tracking.uri=https://mlflow.example.org")


@pytest.mark.parametrize("word", [WORD, "plain", "ends=="])
def test_a_container_gets_the_credentials_of_the_file_and_nobody_else_sees_them(nobody, word):
    """By the shell of a batch script as by MLflow's own reader, and even if the shell writes a trace."""
    nobody.write_text(FILE.format(word))
    (lines,) = tracking_credentials.lines(load_site("local", IN_IMAGE))
    assert word not in lines
    script = f"set -ex\n{lines}\n{{ set +x; }} 2>/dev/null\nenv | grep MLFLOW_TRACKING"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert (
        found
        == {USERNAME: "ada", PASSWORD: word}
        == tracking_credentials.variables(load_site("local", IN_IMAGE))
    )
    assert word not in done.stderr


def test_variables_that_are_set_win_over_the_file(nobody, monkeypatch):
    nobody.write_text(FILE.format(WORD))
    (lines,) = tracking_credentials.lines(load_site("local", IN_IMAGE))
    for given, expected in (
        ({TOKEN: "t"}, {TOKEN: "t"}),
        ({USERNAME: "grace", PASSWORD: "w"}, {USERNAME: "grace", PASSWORD: "w"}),
    ):
        done = subprocess.run(
            ["bash", "-c", f"set -eu\n{lines}\nenv | grep MLFLOW_TRACKING"],
            env=os.environ | given,
            capture_output=True,
            text=True,
            check=True,
        )
        assert dict(line.split("=", 1) for line in done.stdout.splitlines()) == expected
        assert mlflow_access.credentials(given) == {}


@pytest.mark.parametrize("settings", [IN_IMAGE[:1], IN_IMAGE[1:], (*IN_IMAGE, 'tracking.trackers=["jsonl"]')])
def test_without_a_container_or_a_server_credentials_stay_where_they_are(nobody, settings):
    nobody.write_text(FILE.format(WORD))
    assert tracking_credentials.lines(load_site("local", settings)) == []
    assert tracking_credentials.variables(load_site("local", settings)) == {}


def test_a_file_of_credentials_that_is_missing_or_damaged_is_none(nobody):
    (lines,) = tracking_credentials.lines(load_site("local", IN_IMAGE))
    for text in (None, "rubbish", "[other]\na=b\n"):
        if text is not None:
            nobody.write_text(text)
        assert mlflow_access.credentials() == {}
        subprocess.run(["bash", "-c", f"set -eu\n{lines}"], check=True, capture_output=True)
