"""Runs whose steps take no time, with the real cluster code around them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

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
