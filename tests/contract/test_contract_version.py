"""Versions come from git's tags, and reach an archive without git; what has neither says so."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", ".git_archival.txt", ".gitattributes", ".gitignore")

pytest.importorskip("setuptools_scm", reason="this environment is not what requirements.lock pins")


def version(folder):
    """Ask setuptools-scm as a build would."""
    asked = [sys.executable, "-W", "ignore", "-m", "setuptools_scm", "--root", folder]
    return subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def git(tmp_path):
    """A repository of one commit that builds its version as this one does."""
    folder = tmp_path / "checkout"
    (folder / "mammogan").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)

    def run(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", "-C", folder, *who, *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    run("init", "-q")
    run("add", ".")
    run("commit", "-q", "--no-verify", "-m", "One")
    run.folder = folder
    return run


def archived(git, folder):
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=git("archive", "HEAD"), check=True)
    return folder


def test_a_tag_is_the_version_with_git_and_without(git, tmp_path):
    git("tag", "v1.2.3")
    assert version(git.folder) == version(archived(git, tmp_path / "one")) == "1.2.3"
    git("commit", "-q", "--no-verify", "--allow-empty", "-m", "Two")
    later = version(git.folder)
    assert re.fullmatch(r"1\.2\.3\.post1\+g[0-9a-f]{7,}", later)
    assert re.match(r"1\.2\.3\.post1\+g[0-9a-f]{7,}", version(archived(git, tmp_path / "two")))


def test_a_clone_without_tags_is_built_under_its_commit(git):
    commit = git("rev-parse", "HEAD").decode()
    assert version(git.folder).startswith(f"0.post1+unknown.g{commit[:7]}")


def test_what_has_neither_git_nor_tag_is_of_unknown_version(git, tmp_path):
    assert version(archived(git, tmp_path / "archive")) == "0+unknown"
    shutil.rmtree(git.folder / ".git")
    assert version(git.folder) == "0+unknown"  # as in an image that is built by hand from a checkout


def test_a_checkout_that_was_never_installed_runs_and_says_that_it_does_not_know(tmp_path):
    (tmp_path / "mammogan").mkdir()
    shutil.copy(ROOT / "mammogan" / "__init__.py", tmp_path / "mammogan")
    asked = [sys.executable, "-S", "-c", "import mammogan; print(mammogan.__version__)"]
    told = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert told.strip() == "0+unknown"
