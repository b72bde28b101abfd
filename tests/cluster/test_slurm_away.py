"""What commands show while Slurm does not answer, and that `logs` does not ask it."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from mammogan.cli import log_follow
from mammogan.cli.retry_command import retry
from mammogan.cli.run_commands import cancel, logs
from mammogan.cli.status_command import status
from mammogan.cluster import run_state, slurm_commands, submission_ledger
from mammogan.errors import ClusterError

AWAY = re.compile(r"Slurm does not answer since \d\d:\d\d:\d\d")
app = typer.Typer()
for command in (status, logs, cancel, retry):
    app.command()(command)


def mammogan(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def logged(run, node, words):
    record = next(each for each in submission_ledger.read(run.folder) if each.node == node)
    path = submission_ledger.log(run.folder, record, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)
    return path


def test_status_shows_what_the_folder_says_and_since_when_slurm_is_away(run, slurm):
    run.submitted()
    run.done("shards")
    run.span("102", "finalise")
    slurm.change(silent=True)
    result = mammogan("status", run.folder)
    rows = {line.split()[0]: line.split()[1] for line in result.output.splitlines() if len(line.split()) > 1}
    assert (rows["shards"], rows["finalise"], rows["train-0"]) == ("done", "running", "unknown")
    assert AWAY.search(" ".join(result.output.split())) and result.exit_code == 0
    assert len(slurm.calls) == 1 and slurm.calls[0].startswith("squeue")  # asked once, and no more


def test_a_watch_says_that_slurm_is_away_and_that_it_is_back(run, slurm, monkeypatch):
    run.submitted()
    slurm.update("101", state="RUNNING")
    # Not the clock itself: whoever waits for a process sleeps by it, too.
    monkeypatch.setattr(run_state, "time", SimpleNamespace(sleep=lambda s: next(story, None)))

    def tell():
        slurm.change(silent=True)
        yield
        yield
        run.done("shards", "finalise", "train-0", "score-0", "select")
        yield
        slurm.change(silent=0)
        slurm.update(state="CANCELLED")
        yield

    story = tell()
    output = mammogan("status", run.folder, "--watch").output
    lines = output.splitlines()
    away = next(number for number, line in enumerate(lines) if AWAY.search(line))
    assert "shards     running" in output and lines[0].startswith("shards")
    assert lines.index("Slurm answers again.") > away > 0
    assert len(AWAY.findall(output)) == 1
    assert re.search(r"shards +done", output)


def test_logs_ask_slurm_nothing(run, slurm):
    run.submitted()
    assert "no log yet" in mammogan("logs", run.folder).output
    logged(run, "shards", "first\nlast\n")
    run.done("shards")
    logged(run, "train-0", "epoch 1\n")
    run.span("103", "train-0")
    assert "epoch 1" in mammogan("logs", run.folder).output
    assert "last" in mammogan("logs", run.folder, "shards", "-n", 1).output
    assert slurm.calls == []


def test_a_log_is_followed_while_slurm_is_away(run, slurm, monkeypatch):
    run.submitted()
    slurm.update("101", state="RUNNING")
    path = logged(run, "shards", "one\n")
    real, looks = time.sleep, iter(range(10_000))

    def sleep(seconds):
        real(0.002)
        number = next(looks)
        if number == 1:
            slurm.change(silent=True)
        if number == 20:
            path.write_text("one\ntwo\n")
        if number == 40:
            slurm.change(silent=0)
            slurm.update(state="CANCELLED")

    monkeypatch.setattr(log_follow, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    monkeypatch.setattr("mammogan.cli.log_follow.followed.__defaults__", (0.05,))
    result = mammogan("logs", run.folder, "shards", "--follow")
    assert "one\ntwo\n" in result.stdout
    assert AWAY.search(result.stderr) and "Slurm answers again." in result.stderr


def test_what_needs_certainty_is_refused_while_slurm_is_away(run, slurm, monkeypatch):
    run.submitted()
    slurm.change(hangs=["squeue"])
    monkeypatch.setattr(slurm_commands, "ANSWER_S", 0.2)
    for words in (("retry",), ("cancel",)):
        with pytest.raises(ClusterError, match=r"Slurm does not answer: `squeue .*` gave no answer within"):
            mammogan(*words, run.folder)
