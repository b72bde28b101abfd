"""The real Slurm of slurm/devcluster, brought up once a session where it may be."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import pytest

from mammogan.cluster import slurm_commands
from mammogan.cluster.run_state import LIVE, Watcher
from mammogan.cluster.submit import submit
from mammogan.steps.job_graph import graph
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("cluster_conftest", ROOT / "tests/cluster/conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
stub = shared.stub


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("slurm")


@pytest.fixture(scope="session")
def devcluster():
    """Bring the devcluster up, and down again if it was down before; skip, saying why, where it can't be."""
    scripts = ROOT / "slurm" / "devcluster"
    state = Path(os.environ.get("MAMMOGAN_DEVCLUSTER", "/tmp/mammogan-devcluster"))
    was_up = state.exists()
    for name in ("install", "up"):
        done = subprocess.run(
            [scripts / name], check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
        if done.returncode:
            reason = f"no devcluster: {done.stderr.strip()}"
            (pytest.fail if os.environ.get("MAMMOGAN_REQUIRE_SLURM") else pytest.skip)(reason)
    os.environ["SLURM_CONF"] = str(state / "slurm.conf")
    yield
    if not was_up:
        subprocess.run([scripts / "down"], check=False, timeout=PATIENCE_S)


class Launcher:
    """A stub run on the devcluster."""

    def __init__(self, stub, folder, *overrides, **shape):
        self.stub, self.folder = stub, folder
        self.run = stub.make_run(folder, "devcluster", *overrides, **shape)
        self.nodes = graph(self.run)

    def submit(self, nodes=None):
        return submit(self.folder, self.nodes if nodes is None else nodes)

    def states(self):
        return {state.node.name: state for state in Watcher(self.folder).read()}

    def until(self, condition, timeout_s=PATIENCE_S):
        """Wait until `condition` holds of the nodes' states."""
        end = time.monotonic() + timeout_s
        while not condition(states := self.states()):
            assert time.monotonic() < end, {name: (s.state, s.reason) for name, s in states.items()}
            time.sleep(0.3)
        return states

    def finish(self, timeout_s=PATIENCE_S):
        """Wait until nothing of the run is queued or runs."""
        return self.until(lambda states: not any(s.among(*LIVE) for s in states.values()), timeout_s)


@pytest.fixture
def launcher(devcluster, stub, tmp_path):
    """Make stub runs; whatever they leave in the queue is cancelled at the end."""
    made = []

    def make(*overrides, **shape):
        made.append(Launcher(stub, tmp_path / f"run{len(made)}", *overrides, **shape))
        return made[-1]

    yield make
    for each in made:
        slurm_commands.cancel({job.job_id.split("_")[0] for job in slurm_commands.queue(str(each.folder))})
