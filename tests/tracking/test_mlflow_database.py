"""The tracking database is there whole or not at all, whenever a job that makes it dies."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from mammogan.tracking import mlflow_database

ENSURE = "import sys; from mammogan.tracking import mlflow_database; mlflow_database.ensure(sys.argv[1])"


def begin(uri):
    return subprocess.Popen([sys.executable, "-c", ENSURE, uri], stderr=subprocess.DEVNULL)


def tables(path):
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.slow  # eight seconds
def test_a_job_killed_amid_the_tables_leaves_no_database_and_the_next_makes_it(tmp_path):
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    job = begin(uri)
    while not (left := [p for p in tmp_path.glob(".mlflow.db.*.tmp") if p.stat().st_size]):
        assert job.poll() is None
        time.sleep(0.005)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert left[0].exists() and not path.exists()
    hour_ago = time.time() - 2 * mlflow_database.LEFT_OVER_S
    for each in tmp_path.iterdir():
        os.utime(each, (hour_ago, hour_ago))
    assert begin(uri).wait() == 0
    assert {"experiments", "runs", "metrics", "registered_models", "alembic_version"} <= tables(path)
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_database_that_is_there_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_database, "_make", lambda path: pytest.fail("nothing was to be made"))
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"somebody's")
    mlflow_database.ensure(f"sqlite:///{path}")
    assert path.read_bytes() == b"somebody's"
    for uri in ("https://mlflow.example.org", "postgresql://host/mlflow"):
        mlflow_database.ensure(uri)


def test_of_two_that_make_it_at_once_the_first_stays(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"

    def make(temporary):
        temporary.write_bytes(b"second")
        path.write_bytes(b"first")

    monkeypatch.setattr(mlflow_database, "_make", make)
    mlflow_database.ensure(f"sqlite:///{path}")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_file_system_without_links_gets_it_by_a_rename(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(mlflow_database, "_make", lambda temporary: temporary.write_bytes(b"made"))
    monkeypatch.setattr(os, "link", refuse)
    mlflow_database.ensure(f"sqlite:///{tmp_path / 'deep' / 'mlflow.db'}?timeout=5")
    assert (tmp_path / "deep" / "mlflow.db").read_bytes() == b"made"
