"""Signals end a command with one line and the exit code that shells expect, whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.patience import PATIENCE_S

CHILD = """
import sys, time
from mammogan import interruption
with interruption.quietly():
    {words}
    try:
        print("ready", flush=True)
        time.sleep({sleep})
        print("woke", flush=True)
    finally:
        time.sleep(0.5)
        print("cleaned up", flush=True)
"""


def started(words="pass", sleep=60, **options):
    code = CHILD.format(words=words, sleep=sleep)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes, **options)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_is_one_line_and_its_exit_code_also_if_it_is_sent_again(number, code, times):
    process = started('interruption.explain("The run goes on.")')
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (out, err, process.returncode) == ("cleaned up\n", "The run goes on.\n", code)


def test_without_words_of_its_own_a_command_says_what_holds_of_all():
    process = started()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert err.startswith("Stopped; no file was left half-written.") and err.count("\n") == 1


def test_what_the_shell_ignores_stays_ignored():
    process = started(
        sleep=1,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (out, err, process.returncode) == ("woke\ncleaned up\n", "", 0)


def test_children_do_not_hear_ctrl_c_and_their_parent_hears_it_after_they_have_started():
    process = started(
        "import os, signal, subprocess\n"
        "    with interruption.left_to_parent():\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        child = subprocess.Popen(['sh', '-c', 'kill -INT $$; sleep 0.2; echo ready'])\n"
        "        child.wait()"
    )
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err.count("\n")) == (130, 1)


def test_threads_that_fail_for_want_of_what_was_ended_say_nothing():
    process = started(
        "import threading\n"
        "    gone = threading.Event()\n"
        "    threading.Thread(target=lambda: gone.wait() and 1 / 0).start()\n"
        "    interruption.explain('Stopped.')",
        sleep="60)\n    except KeyboardInterrupt:\n        gone.set(",
    )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert err == "Stopped.\n"
