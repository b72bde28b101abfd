"""Runs whose steps take no time, with the real cluster code around them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mammogan.cluster import slurm_commands, submission_ledger, submit
from tests.cluster.fake_runs import Runs
from tests.cluster.fake_slurm import FakeSlurm

STUB = Path(__file__).parent / "stub"


@pytest.fixture
def stub(monkeypatch):
    """The module of stub steps, put in the place of the real ones here and in the jobs."""
    monkeypatch.syspath_prepend(str(STUB))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(STUB), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    import stub_job

    from mammogan import steps
    from mammogan.cluster import job

    monkeypatch.setattr(steps, "is_done", stub_job.is_done)
    monkeypatch.setattr(steps, "progress", lambda run, node: None)
    real = job.main
    monkeypatch.setattr(job, "main", stub_job.main)
    yield stub_job
    assert sys.modules["stub_job"].job.perform is not None
    monkeypatch.setattr(job, "main", real)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm on PATH, and an ordinary user, nobody, whose commands it answers."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    fake = FakeSlurm(tmp_path / "bin", submission_ledger.this_user())
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", "/dev/null")
    monkeypatch.setattr(submit, "SETTLE_S", 0.0)
    monkeypatch.setattr(submit, "preflight", lambda *_: None)
    monkeypatch.setattr(slurm_commands, "PAUSE_S", 0.01)
    return fake


@pytest.fixture
def run(slurm, stub, tmp_path):
    return Runs(stub, tmp_path / "r", slurm)
