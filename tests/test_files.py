"""Whoever looks sees the old file or the new one, whatever happens to the writer."""

import errno
import hashlib
import os
import signal
import subprocess
import sys

import pytest

from mammogan import files
from mammogan.errors import RunFailedError
from mammogan.files import replacing, replacing_folder, sha256, write


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("old")
    return path


@pytest.fixture
def old_folder(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "weights").write_text("old")
    return folder


def left_over(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_text_takes_the_place_of_the_old_one(old, tmp_path):
    write(old, "neü")
    assert old.read_text(encoding="utf-8") == "neü"
    assert not left_over(tmp_path)


def test_missing_folders_are_made(tmp_path):
    write(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_until_the_block_ends_the_old_file_is_seen(old):
    with replacing(old) as stream:
        stream.write(b"new")
        assert old.read_text() == "old"
    assert old.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_nothing_else(old, tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(old) as stream:  # noqa: PT012
        stream.write(b"half")
        raise ZeroDivisionError
    assert old.read_text() == "old"
    assert not left_over(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_path_and_the_way_out(old, tmp_path, monkeypatch, code):
    def full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        RunFailedError, match=r"disk or quota is full: '.*state\.json' could not.*run the same command again"
    ):
        write(old, "new")
    assert old.read_text() == "old"
    assert not left_over(tmp_path)


def test_another_error_of_the_system_stays_what_it_is(old):
    with pytest.raises(PermissionError), replacing(old):
        raise PermissionError(errno.EACCES, "no")


def test_a_folder_appears_whole(tmp_path):
    folder = tmp_path / "new"
    with replacing_folder(folder) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "weights").write_text("w")
        assert not folder.exists()
    assert (folder / "sub" / "weights").read_text() == "w"
    assert not left_over(tmp_path)


def test_a_folder_takes_the_place_of_the_old_one_with_nothing_of_it(old_folder, tmp_path):
    with replacing_folder(old_folder) as temporary:
        (temporary / "other").write_text("new")
    assert [path.name for path in old_folder.iterdir()] == ["other"]
    assert not left_over(tmp_path)


def test_a_full_disk_leaves_the_old_folder(old_folder, tmp_path):
    with pytest.raises(RunFailedError, match="disk or quota is full"), replacing_folder(old_folder) as new:  # noqa: PT012
        (new / "weights").write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert (old_folder / "weights").read_text() == "old"
    assert not left_over(tmp_path)


KILLED = """
import os, signal
from pathlib import Path
from mammogan.files import {writer} as writer
with writer(Path({target!r})) as temporary:
    {half}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("writer", "half"),
    [
        ("replacing", "temporary.write(b'half'); temporary.flush()"),
        ("replacing_folder", "(temporary / 'weights').write_text('half')"),
    ],
)
def test_a_writer_killed_in_the_middle_leaves_the_old_content_and_the_next_succeeds(
    old, old_folder, writer, half
):
    target, file = (old, old) if writer == "replacing" else (old_folder, old_folder / "weights")
    code = KILLED.format(writer=writer, target=str(target), half=half)
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert file.read_text() == "old"
    if writer == "replacing":
        write(target, "new")
    else:
        with replacing_folder(target) as temporary:
            (temporary / "weights").write_text("new")
    assert file.read_text() == "new"


def test_the_hash_is_sha256_of_the_content(old):
    assert sha256(old) == hashlib.sha256(b"old").hexdigest()
