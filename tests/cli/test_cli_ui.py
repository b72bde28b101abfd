"""`mammogan ui` opens the page of training runs, on a server or on a database file that it serves itself."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from mammogan.cli.ui_command import ui
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import claim, merge
from mammogan.config.site import load_site
from mammogan.errors import ClusterError, ConfigError
from mammogan.tracking import Journal, RunSummary
from mammogan.tracking.mlflow_sync import MlflowTracker
from tests.patience import PATIENCE_S


@pytest.fixture
def launched(tmp_path):
    def make(*settings):
        site = load_site("local", settings)
        run = tmp_path / "run"
        claim(run, merge(load_method("tour"), (load_recipe("phantom"),), site, run / "s", "data", "0.1.0"))
        return run

    return make


@pytest.fixture
def server():
    """Answer as MLflow does of a run in experiment 7, and of an experiment of the name in experiment 8."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = "run_id=0123" in self.path
            tree = (
                {"run": {"info": {"experiment_id": "7"}}} if known else {"experiment": {"experiment_id": "8"}}
            )
            self.send_response(200 if known or "get-by-name" in self.path else 404)
            self.end_headers()
            self.wfile.write(json.dumps(tree).encode())

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def test_the_page_of_a_server_is_that_of_the_runs_experiment(launched, server, monkeypatch, capsys):
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "webbrowser", SimpleNamespace(open=opened.append))
    run = launched(f"tracking.uri={server}")
    ui(run)
    assert opened == [f"{server}/#/experiments/8/runs"]  # nothing was logged yet
    (run / "tracking").mkdir()
    (run / "tracking" / "told.json").write_text(json.dumps({server: {"run parent": "0123"}}))
    ui(run, browser=False)
    assert len(opened) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"{server}/#/experiments/7/runs"


def test_what_has_no_page_is_explained(launched, tmp_path):
    with pytest.raises(ConfigError, match=r"mlflow.db' does not exist: nothing of the run .* `mammogan sync"):
        ui(launched())
    with pytest.raises(
        ConfigError, match=r"'local' of this run has tracking.uri 'off', so that there is no page"
    ):
        ui(launched("tracking.uri=off"))
    with pytest.raises(ConfigError, match=r"has no 'mlflow' in tracking.trackers"):
        ui(launched('tracking.trackers=["jsonl"]'))
    with pytest.raises(ClusterError, match=r"server 'http://127.0.0.1:9' \(tracking.uri\) does not answer"):
        ui(launched("tracking.uri=http://127.0.0.1:9"))
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(ConfigError, match=r"tracking.uri 'postgresql://host/db' has no page"):
        ui(launched("tracking.uri=postgresql://host/db"))


@pytest.mark.slow
def test_a_database_file_is_served_to_this_machine_until_it_is_interrupted(launched):
    run = launched()
    Journal(run, "train-0").metrics({"loss": 1.0}, 1)
    MlflowTracker(run, "").sync(RunSummary("tour run", {}, {}, {"train-0": "stage 0"}))
    command = [sys.executable, "-m", "mammogan", "ui", str(run), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        address, experiment = re.fullmatch(
            r"(http://127\.0\.0\.1:\d+)/#/experiments/(\d+)/runs", url
        ).groups()
        body = json.dumps({"experiment_ids": [experiment]}).encode()
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/runs/search", body, {"Content-Type": "application/json"}
        )
        names = {r["info"]["run_name"] for r in json.load(urllib.request.urlopen(request))["runs"]}
        assert names == {"tour run", "stage 0"}
        workers = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
    assert process.returncode == 130
    for worker in workers.stdout.split():
        with pytest.raises(ProcessLookupError):
            os.killpg(int(worker), 0)
