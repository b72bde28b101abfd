"""Real commands under a real Ctrl-C, which reaches all processes of a terminal at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow


def interrupted(words, folder, number, after_s, times=2):
    """Run a command and signal its process group, as a terminal does; return its end, and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mammogan", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        start_new_session=True,
    )
    time.sleep(after_s)
    for _ in range(times):
        os.killpg(process.pid, number)
        time.sleep(0.2)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    end = time.monotonic() + 10
    while (
        left := living(process.pid)
    ) and time.monotonic() < end:  # the resource tracker goes a moment later
        time.sleep(0.2)
    assert left == []
    return process.returncode, printed


def living(session):
    """List the processes of a session that have not ended."""
    command = ["ps", "-o", "stat=,args=", "-s", str(session)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.startswith("Z")]


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    command = [
        sys.executable,
        "-m",
        "mammogan",
        "phantom",
        "dicoms",
        "--patients",
        "8",
        "--frame-scale",
        "0.1",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


COMMANDS = (
    ("phantom", "new", "--patients", "60"),
    ("shards", "plan", "planned", "--from", "phantom=dicoms"),
    ("shards", "build", "built", "--from", "phantom=dicoms"),
    ("quickstart", "dicoms", "--out", "quick", "--yes"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("after_s", [1.0, 2.5])
def test_a_command_ends_quietly_leaves_no_process_and_goes_on(phantoms, words, number, code, after_s):
    ended, printed = interrupted(words, phantoms, number, after_s)
    assert "Traceback" not in printed
    if ended != 0:  # it may have been done by then
        assert ended == code and "Stopped" in printed.splitlines()[-1]


def test_what_was_interrupted_is_finished_by_the_same_command(phantoms):
    command = [sys.executable, "-m", "mammogan", *COMMANDS[2]]
    done = subprocess.run(command, cwd=phantoms, check=True, capture_output=True, text=True)
    assert "images in every rung" in done.stdout
    assert not list(phantoms.rglob("*.tmp"))
