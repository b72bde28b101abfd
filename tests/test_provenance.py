"""Commit and image of the running code."""

from __future__ import annotations

import json
import subprocess

import pytest

from mammogan import provenance as module
from mammogan.provenance import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own that the running code is taken for."""
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "checkout" / "mammogan")
    monkeypatch.setattr(module, "LABELS", tmp_path / "labels.json")
    for name in ("SLURM_JOB_ID", module.IMAGE):
        monkeypatch.delenv(name, raising=False)
    module.PACKAGE.mkdir(parents=True)
    (module.PACKAGE / "code.py").write_text("1\n")
    module._commit.cache_clear()
    yield module.PACKAGE
    module._commit.cache_clear()


def git(folder, *arguments):
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(package):
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "--quiet", "-m", "One")
    return package


def test_nothing_is_claimed_where_nothing_is_known(package):
    assert provenance() == {}


def test_a_checkout_tells_its_commit(checkout):
    (checkout.parent / "notes.txt").write_text("beside the package\n")
    assert provenance() == {"commit": git(checkout.parent, "rev-parse", "HEAD")}


def test_a_change_that_was_not_committed_is_told(checkout):
    (checkout / "code.py").write_text("2\n")
    assert provenance() == {"commit": git(checkout.parent, "rev-parse", "HEAD") + "-modified"}


def test_no_git_and_no_commit_are_no_failure(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance() == {}


@pytest.mark.parametrize(("bound", "commit"), [(False, "0123abc"), (True, "0123abc-modified")])
def test_an_image_tells_its_label_and_code_bound_over_it_is_told(package, monkeypatch, bound, commit):
    module.LABELS.write_text(json.dumps({module.REVISION: "0123abc"}))
    monkeypatch.setattr(module.os.path, "ismount", lambda path: bound)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv(module.IMAGE, "ff00")
    assert provenance() == {"job": "12", "commit": commit, "image": "ff00"}
