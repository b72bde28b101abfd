import errno
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mammogan import files
from mammogan.data.shards import build_shards as shard_building
from mammogan.data.shards.build_set import build, find_built
from mammogan.data.shards.build_shards import build_shards
from mammogan.data.store import private_folder
from mammogan.data.store.image_encoding import SUFFIX
from mammogan.data.store.manifest import load_plan
from mammogan.errors import DataError, RunFailedError
from tests.data.conftest import digests

KILLED = """
import os, pathlib, signal, sys
from mammogan.data.shards.build_set import build
shardset, images, renames = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rename = pathlib.Path.replace
def counting(self, target):
    global renames
    renames -= 1
    if renames == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
def on_progress(done, total):
    if done == images:
        os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = counting
build(shardset, workers=0, on_progress=on_progress)
"""


@pytest.mark.parametrize(("images", "renames"), [(7, 0), (0, 5), (0, 30)])
def test_a_build_killed_at_any_moment_ends_with_the_same_bytes(planned, built, images, renames):
    command = [sys.executable, "-c", KILLED, str(planned), str(images), str(renames)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert find_built(planned) is None
    build(planned, workers=0)
    assert digests(planned) == digests(built)


def test_workers_do_not_change_the_bytes(planned, built):
    done = []
    build(planned, workers=2, on_progress=lambda *progress: done.append(progress))
    assert digests(planned) == digests(built)
    total = done[-1][1]
    assert done == [(number, total) for number in range(total + 1)]


def test_a_complete_set_is_left_alone(built):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    assert build(built, workers=0) == find_built(built)
    assert before == {path: path.stat().st_mtime_ns for path in built.rglob("*")}


def test_a_lost_shard_is_made_again(planned, built):
    build(planned, workers=0)
    (planned / "20x16" / "train-00001.tar").unlink()
    assert find_built(planned) is None
    build(planned, workers=0)
    assert digests(planned) == digests(built)


def test_samples_are_tarred_without_time_or_owner_and_keys_have_no_dot(built):
    for path in built.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            members = tar.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        stems = [member.name.partition(".") for member in members]
        packed = path.parent.name in ("5x4", "10x8", "20x16", "40x32", "80x64")
        assert packed == members[0].name.endswith(".npy")
        assert [s for _, _, s in stems] == ["npy" if packed else SUFFIX, "json"] * (len(members) // 2)
        assert sorted(stem for stem, _, _ in stems) == [stem for stem, _, _ in stems]


def test_nothing_identifying_stays_in_the_set(planned, cohort, capfd, caplog):
    build(planned, workers=0)
    canaries = {b"Castellune", b"Ravensholt", b"Harbour", b"M1234567", b"A3703701", b"SN1007V", b"20191101"}
    canaries |= {b"2.25.300095290962426259035963126897493021", b"19610327", str(cohort).encode()}
    sources = b"".join(path.read_bytes() for path in cohort.rglob("*") if path.is_file())
    assert all(canary in sources for canary in canaries - {str(cohort).encode()})
    said = b"".join(text.encode() for text in (*capfd.readouterr(), caplog.text))
    for path in planned.rglob("*"):
        said += str(path.relative_to(planned)).encode() + (path.read_bytes() if path.is_file() else b"")
    assert [canary for canary in canaries if canary in said] == []


def test_a_full_disk_is_told_and_leaves_no_temporary_files(planned, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunFailedError, match="disk or quota is full"):
        build(planned, workers=0)
    assert not list(planned.rglob("*.tmp"))
    monkeypatch.undo()
    assert build(planned, workers=0).images > 0


def test_a_source_that_is_gone_stops_the_build_and_rejects_nothing(planned, cohort, monkeypatch):
    first = next(shard_building.planned_lines(planned, load_plan(planned).shards[0]))
    lost = Path(first["path"])
    kept = lost.rename(lost.with_suffix(".kept"))
    try:
        with pytest.raises(DataError, match="can't be read any more"):
            build(planned, workers=0)
    finally:
        kept.rename(lost)
    assert build(planned, workers=0).images > 0


def test_without_the_private_folder_nothing_is_built(planned):
    private_folder.folder(planned).rename(planned.with_name("elsewhere"))
    with pytest.raises(DataError, match=r"jsonl' is missing: only it knows which files"):
        build(planned, workers=0)


def test_two_builds_at_once_do_not_meet(planned):
    def meet(done, total):
        with pytest.raises(DataError, match="Another build is writing these shards"):
            build(planned, workers=0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(planned, workers=0, on_progress=meet)


def test_a_set_of_which_no_image_passes_is_refused(planned, monkeypatch):
    monkeypatch.setattr(shard_building, "make", lambda task: shard_building._lost(task, "decoder-crashed"))
    with pytest.raises(DataError, match=r"None of the \d+ planned images passed: \d+ decoder-crashed.*--rej"):
        build(planned, workers=0)
    assert not (planned / "manifest.json").exists()


@pytest.mark.parametrize("tasks", [2, 5])
def test_any_number_of_tasks_in_any_order_makes_the_same_bytes(planned, built, tasks):
    for task in reversed(range(tasks)):
        build_shards(planned, task, tasks, workers=0)
    build(planned, workers=0)
    assert digests(planned) == digests(built)
