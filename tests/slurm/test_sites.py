"""Drills of what sites do: comments rewritten, other users, hidden jobs, and a Slurm that is away.

As in the drill each run ends with the undisturbed one's weights, and with as many submissions as were meant.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from mammogan.cluster import slurm_commands, submission_ledger
from tests.patience import PATIENCE_S
from tests.slurm.test_drill import (
    STAGE,
    Drill,
    daemon_killed,
    done_well,
    drill,  # noqa: F401 - a fixture
    mammogan,
    shards,  # noqa: F401
    undisturbed,  # noqa: F401
    update,
)

pytestmark = pytest.mark.slow
AWAY = re.compile(r"Slurm does not answer since \d\d:\d\d:\d\d")
AWAY_S = 90
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Put a script in sbatch's place, which calls the real one as $real."""
    folder, real = tmp_path / "site", shutil.which("sbatch")

    def write(script):
        folder.mkdir(exist_ok=True)
        (folder / "sbatch").write_text(f"#!/bin/bash\nreal={real}\n{script}\n")
        (folder / "sbatch").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return write


@pytest.mark.parametrize("option", ["--comment=project:42", "--comment="])
def test_a_site_that_rewrites_comments(drill, undisturbed, sbatch, option):  # noqa: F811
    sbatch(f'exec $real {option} "$@"')
    drill.ready()
    drill.launch()
    (job,) = slurm_commands.by_id([drill.state().jobs[0]])
    assert job.comment in ("project:42", "", "(null)")
    drill.launch()
    job_id = drill.strike()
    drill.launch()
    assert {job.job_id for job in slurm_commands.queue(str(drill.folder))} <= {job_id}  # it may have ended
    drill.end()
    drill.assert_like(undisturbed)


def test_a_job_that_is_suspended(drill, undisturbed):  # noqa: F811
    drill.ready()
    drill.launch()
    job_id = drill.strike()
    subprocess.run(["scontrol", "suspend", job_id], check=True)
    assert "SUSPENDED" in done_well(mammogan("status", drill.folder))
    drill.launch()
    subprocess.run(["scontrol", "resume", job_id], check=True)
    drill.end()
    drill.assert_like(undisturbed)


def test_an_sbatch_whose_answer_is_lost(drill, undisturbed, sbatch, tmp_path):  # noqa: F811
    sbatch(
        f"""case "$*" in *--test-only*) exec $real "$@";; esac
mkdir {tmp_path}/lost 2>/dev/null || exec $real "$@"
$real "$@" >/dev/null
echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2
exit 1"""
    )
    drill.ready()
    assert f"Slurm gave no answer for '{STAGE}'" in drill.launch()
    assert len(slurm_commands.queue(str(drill.folder))) == 1
    drill.end()
    drill.assert_like(undisturbed)


@contextmanager
def slurmctld_away(how):
    """Stop the controller so that nobody answers, or kill it."""
    if how == "killed":
        with daemon_killed("slurmctld"):
            yield
        return
    pid = int((Path(os.environ["SLURM_CONF"]).parent / "run" / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_slurm_is_away_while_a_run_is_watched(drill, undisturbed, how):  # noqa: F811
    drill.ready()
    waiting = drill.launch("--wait", wait=False)
    drill.strike()
    watching = mammogan("status", drill.folder, "--watch")
    following = mammogan("logs", drill.folder, STAGE, "--follow")
    time.sleep(8)
    with slurmctld_away(how):
        end = time.monotonic() + AWAY_S
        began = time.monotonic()
        assert "train-1 task 0 starts" in done_well(mammogan("logs", drill.folder, STAGE, "-n", 0))
        assert time.monotonic() - began < AWAY_S / 2  # it does not wait for Slurm
        shown = done_well(mammogan("status", drill.folder))
        assert AWAY.search(shown)
        assert re.search(rf"^{STAGE} +(running|done)", shown, re.MULTILINE)
        time.sleep(max(0.0, end - time.monotonic()))
        assert [process.poll() for process in (waiting, watching)] == [None] * 2
        assert following.poll() is None or drill.state().state == "done"  # which the run's folder tells
    drill.end()
    assert AWAY.search(done_well(following))
    for output in map(done_well, (waiting, watching)):
        assert AWAY.search(output), output
        assert "Slurm answers again." in output, output
    drill.assert_like(undisturbed)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_slurm_is_away_when_a_run_is_launched(drill, undisturbed, how):  # noqa: F811
    drill.ready()
    with slurmctld_away(how):
        launching = drill.launch(wait=False)
        time.sleep(60)
        assert launching.poll() is None
    output = done_well(launching)
    assert AWAY.search(output) and "Slurm answers again." in output
    drill.end()
    drill.assert_like(undisturbed)


# Another user of this machine, who shares the run's folder


def colleague(*words):
    """Start the command line as the user nobody, by a Python that everybody may run."""
    path = os.pathsep.join([str(ROOT), *(place for place in sys.path if place.endswith("site-packages"))])
    environment = {"HOME": "/tmp", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    kept = {name: os.environ[name] for name in ("PATH", "SLURM_CONF")}
    return subprocess.run(
        [*NOBODY, "/usr/bin/python3", "-m", "mammogan", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment | kept,
        timeout=PATIENCE_S,
        cwd="/tmp",
    )  # fmt: skip


@pytest.fixture
def shared(undisturbed, shards):  # noqa: F811
    """Make a run in a folder that everybody may write to."""
    if os.getuid() or colleague("--version").returncode:
        pytest.skip("needs root, and a Python that other users can run")
    before = os.umask(0)
    folder = Path(tempfile.mkdtemp(prefix="mammogan-drill-", dir="/tmp"))
    folder.chmod(0o777)
    shutil.copytree(shards, folder / "shards")
    private = shards.with_name(f"{shards.name}.private")
    if private.exists():
        shutil.copytree(private, folder / "shards.private")
    opened(folder)
    made = Drill(folder / "run", folder / "shards")
    made.folder.mkdir(mode=0o777)
    for name in ("stages/0", "done/train-0", "done/shards", "done/finalise"):
        if (undisturbed.folder / name).exists():
            shutil.copytree(undisturbed.folder / name, made.folder / name)
    yield made
    made.abandon()
    os.umask(before)
    shutil.rmtree(folder, ignore_errors=True)


def opened(folder):
    """Let everybody write to all that is there."""
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)


def test_a_colleague_launches_a_run_that_another_user_has_in_the_queue(shared, undisturbed):  # noqa: F811
    shared.launch()
    job_id = shared.strike()
    opened(shared.folder)
    launched = colleague("launch", str(shared.folder), "--until", STAGE)
    assert launched.returncode == 0, launched.stderr
    assert "belongs to user 'root'" in colleague("status", str(shared.folder)).stdout
    cancelled = colleague("cancel", str(shared.folder))
    assert cancelled.returncode == 2
    assert f"Jobs {job_id} of the run" in cancelled.stderr and "belong to user 'root'" in cancelled.stderr
    shared.end()
    shared.assert_like(undisturbed)


@pytest.fixture
def private():
    """Let this Slurm show nobody else's jobs."""
    conf = Path(os.environ["SLURM_CONF"])
    before = conf.read_text()
    conf.write_text(f"{before}\nPrivateData=jobs\n")
    subprocess.run(["scontrol", "reconfigure"], check=True)
    yield
    conf.write_text(before)
    subprocess.run(["scontrol", "reconfigure"], check=True)


def test_where_others_jobs_are_hidden_a_colleague_submits_none_beside_them(shared, undisturbed, private):  # noqa: F811
    shared.launch()
    job_id = shared.strike()
    opened(shared.folder)
    alive = colleague("launch", str(shared.folder), "--until", STAGE)
    assert alive.returncode == 0, alive.stderr
    assert "by its signs of life" in colleague("status", str(shared.folder)).stdout
    os.kill(shared.ranks(job_id)[0], signal.SIGKILL)
    shared.until(lambda: slurm_commands.outcome(job_id).startswith("PENDING"))
    for span in (shared.folder / "spans").iterdir():  # as they are once the job has waited for a while
        span.unlink()
    refused = colleague("launch", str(shared.folder), "--until", STAGE)
    assert refused.returncode == 2
    assert f"Whether job {job_id} of '{STAGE}' still runs is not known" in refused.stderr
    assert [record.job_id for record in submission_ledger.read(shared.folder)] == [job_id]
    time.sleep(3)
    update(job_id, "StartTime=now")
    shared.end()
    shared.assert_like(undisturbed)
