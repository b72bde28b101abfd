"""Locks of the file system, and the owner's file where there are none: who holds it, who follows the dead."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mammogan import file_lock
from mammogan.file_lock import LockedError, acquire, locked, owner_of, turn
from mammogan.lock_owner import Owner
from tests.fixtures.lockless import preloaded
from tests.patience import PATIENCE_S

HOLD = """
import sys, time
from pathlib import Path
from mammogan.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(scope="session")
def lockless(tmp_path_factory):
    """Environments in which no process finds locks."""
    folder = tmp_path_factory.mktemp("lockless")
    return lambda code=errno.ENOLCK: preloaded(folder, code)


@pytest.fixture
def without(request, monkeypatch):
    """This process finds no locks, by the error of the parameter."""
    code = getattr(request, "param", errno.ENOLCK)

    def refuse(descriptor, operation):
        raise OSError(code, "there are none")

    if code is None:
        monkeypatch.setattr(file_lock, "fcntl", None)
    else:
        monkeypatch.setattr(file_lock.fcntl, "flock", refuse)


def holder(path, environment=None):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline() == "held\n"
    return process


def left_by(path, **changes):
    """Leave an owner's file as another process would."""
    tree = json.loads(Owner.this_process().line) | changes
    path.with_name(path.name + ".owner").write_text(json.dumps(tree))
    return path.with_name(path.name + ".owner")


def test_one_at_a_time_and_the_other_reads_who(tmp_path):
    with locked(tmp_path / "x"):
        with pytest.raises(
            LockedError, match=rf"'.*x' is held by process {os.getpid()} on '.+', since 20"
        ) as e:
            acquire(tmp_path / "x")
        assert e.value.way_out == ""  # the kernel frees it
    acquire(tmp_path / "x")()
    assert owner_of(tmp_path / "x") is None


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(
    "without", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, 524, None], indirect=True
)
def test_where_there_are_no_locks_one_at_a_time_all_the_same(tmp_path, caplog):
    with locked(tmp_path / "x"):
        with pytest.raises(LockedError, match=rf"held by process {os.getpid()} .*delete '.*x.owner'"):
            acquire(tmp_path / "x")
    assert not (tmp_path / "x.owner").exists()
    acquire(tmp_path / "x")()
    assert caplog.text.count("has no locks") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_failing_disk_is_no_missing_lock(tmp_path, monkeypatch):
    def fail(descriptor, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(file_lock.fcntl, "flock", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*x'"):
        acquire(tmp_path / "x")


@pytest.mark.parametrize("code", [None, errno.ENOLCK, errno.ENOSYS])
def test_what_a_killed_process_held_is_free_at_once(tmp_path, code, lockless):
    process = holder(tmp_path / "x", lockless(code) if code else None)
    again = [sys.executable, "-c", HOLD.replace("3600", "0"), tmp_path / "x"]
    environment = lockless(code) if code else None
    refused = subprocess.run(again, check=False, capture_output=True, text=True, env=environment)
    assert f"is held by process {process.pid} on" in refused.stderr
    process.kill()
    process.wait()
    assert (
        subprocess.run(again, check=True, capture_output=True, text=True, env=environment).stdout == "held\n"
    )


@pytest.mark.usefixtures("without")
def test_a_stopped_process_still_holds_its_lock(tmp_path, lockless):
    process = holder(tmp_path / "x", lockless())
    os.kill(process.pid, signal.SIGSTOP)
    os.utime(tmp_path / "x.owner", (0, 0))
    try:
        with pytest.raises(LockedError, match=f"process {process.pid} on"):
            acquire(tmp_path / "x", take_silent=True)
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("without")
def test_another_process_of_the_same_number_is_not_the_owner(tmp_path):
    left_by(tmp_path / "x", started="1")
    acquire(tmp_path / "x")()


@pytest.mark.usefixtures("without")
def test_an_owner_on_another_machine_is_respected_and_its_file_named(tmp_path):
    owner = left_by(tmp_path / "x", host="n7", machine="other", pid=4711, since="2026-01-02 03:04:05")
    with pytest.raises(
        LockedError,
        match=r"process 4711 on 'n7', since 2026-01-02 03:04:05\. If no such .* delete '.*x.owner'",
    ):
        acquire(tmp_path / "x")
    os.utime(owner, (time.time() - 3600,) * 2)
    with pytest.raises(LockedError, match=r"has shown no life for 60 min. If no such"):
        acquire(tmp_path / "x")
    acquire(tmp_path / "x", take_silent=True)()


@pytest.mark.usefixtures("without")
def test_what_this_machine_held_before_it_was_started_anew_is_free_after_a_silence(tmp_path):
    owner = left_by(tmp_path / "x", machine="before")
    os.utime(owner, (time.time() - file_lock.STALE_S - 1,) * 2)
    acquire(tmp_path / "x")()


@pytest.mark.usefixtures("without")
def test_an_owner_elsewhere_that_beats_is_told_from_one_that_died_just_now(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "LOOK_S", 0.01)
    monkeypatch.setattr(file_lock, "STALE_S", 0.5)
    owner = left_by(tmp_path / "x", machine="other", host="n7")
    threading.Timer(0.2, os.utime, (owner,)).start()
    with pytest.raises(LockedError, match="on 'n7'"):
        with locked(tmp_path / "x", take_silent=True):
            pass
    with locked(tmp_path / "x", take_silent=True):  # no beat follows
        assert owner_of(tmp_path / "x").pid == os.getpid()


@pytest.mark.usefixtures("without")
def test_of_many_that_follow_a_dead_owner_one_holds_it_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "LOOK_S", 0.001)
    left_by(tmp_path / "x", started="1")
    at_once, most = [], []

    def work():
        with locked(tmp_path / "x", wait=True):
            at_once.append(1)
            most.append(len(at_once))
            time.sleep(0.01)
            at_once.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert most == [1] * 8


def test_the_lock_of_an_earlier_version_names_its_process(tmp_path):
    (tmp_path / "x").write_text(str(os.getpid()))
    assert owner_of(tmp_path / "x").is_running
    assert str(owner_of(tmp_path / "x")) == f"process {os.getpid()}"


def test_the_turn_of_an_owner_that_died_is_taken_and_of_one_that_lives_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "LOOK_S", 0.01)
    lock, made = tmp_path / "x.lock", tmp_path / "x"
    lock.touch()
    os.utime(lock, (time.time() - file_lock.STALE_S - 60,) * 2)
    with turn(lock, made) as mine:
        assert mine
        assert lock.exists()
    assert not lock.exists()
    lock.touch()
    threading.Timer(0.1, made.mkdir).start()
    with turn(lock, made) as mine:
        assert not mine  # it was waited for until it was made
    assert lock.exists()


def test_an_owner_shows_that_it_lives_and_leaves_no_lock_when_it_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "BEAT_S", 0.01)
    lock = tmp_path / "x.lock"

    def seen_alive():
        with turn(lock, tmp_path / "x"):
            os.utime(lock, (0, 0))
            end = time.monotonic() + PATIENCE_S
            while lock.stat().st_mtime == 0 and time.monotonic() < end:
                time.sleep(0.01)
            assert lock.stat().st_mtime > 0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        seen_alive()
    assert not lock.exists()
