"""An installed MammoGAN is whole: built once, installed three ways, and run beside folders named as ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mammogan.data.phantom import make_cohort

ROOT = Path(__file__).parents[2]
VERSION = "9.8.7"
LIBRARIES = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
"""Where all is that MammoGAN needs; on another Python's path, an editable installation there is not seen."""
BASE = getattr(sys, "_base_executable", sys.executable)  # a virtual environment has no user's packages
STRAY = ("profiles/local.toml", "slurm/profiles/example-a100.toml", "shards/phantom/recipe.toml")
WATCH = """
import os, sys
def note(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith({root!r} + os.sep) and not path.startswith({libraries!r}):
            raise SystemExit(f"{{event}} reads the checkout: {{path}}")
sys.addaudithook(note)
"""
STUBS = ("torch", "deepspeed", "mlflow", "cv2", "imagecodecs", "webdataset")
"""Stand-ins for what the doctor imports, each in a process of its own: the real ones cost seconds of CPU."""

pytest.importorskip("setuptools_scm", reason="this environment is not what requirements.lock pins")


def pip(*words, python=sys.executable, **environment):
    flags = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, words[0], *flags, *map(str, words[1:])],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore"} | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of the files that git knows, as they are now, out of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=False, capture_output=True)
    if listed.returncode:
        pytest.skip("this is no checkout of git's")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "source" / name, follow_symlinks=False)
    words = ("--no-build-isolation", "--wheel-dir", folder, folder / "source")
    pip("wheel", *words, SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MAMMOGAN=VERSION)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A working directory with phantoms, and with folders that are called as ours are and hold nonsense."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in STRAY:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("not = [ours")
    make_cohort(folder / "dicoms", 3, 0, workers=1, frame_scale=0.1)
    for name in ("watch", "stubs"):
        (folder / name).mkdir()
    watch = WATCH.format(root=str(ROOT), libraries=tuple(LIBRARIES))
    (folder / "watch" / "sitecustomize.py").write_text(watch)
    for name in STUBS:
        (folder / "stubs" / f"{name}.py").write_text("")
    return folder


def in_venv(wheel, folder):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip("install", wheel, python=python)
    return python, python.with_name("mammogan"), {}, []


def for_a_user(wheel, folder):
    home = {"PYTHONUSERBASE": str(folder)}
    pip("install", "--user", "--ignore-installed", wheel, python=BASE, **home)
    return BASE, folder / "bin" / "mammogan", home, []


def into_a_target(wheel, folder):
    pip("install", "--target", folder, wheel, python=BASE)
    return BASE, folder / "bin" / "mammogan", {"PYTHONNOUSERSITE": "1"}, [folder]


class Installed:
    """One installation of the wheel, and how its commands are run."""

    def __init__(self, way, wheel, folder, elsewhere):
        self.python, self.script, self.environment, self.path = way(wheel, folder / "installed")
        self.folder, self.elsewhere = folder, elsewhere

    def run(self, *words, code=0, script=False, stubs=False):
        path = [self.elsewhere / "stubs"] * stubs + [self.elsewhere / "watch", *self.path, *LIBRARIES]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [*([self.script] if script else [self.python, "-m", "mammogan"]), *map(str, words)],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.elsewhere,
            env=kept | self.environment | {"PYTHONPATH": os.pathsep.join(map(str, path)), "COLUMNS": "200"},
        )
        assert done.returncode == code, done.stdout
        return done.stdout


@pytest.fixture(scope="module", params=[in_venv, for_a_user, into_a_target], ids=lambda way: way.__name__)
def installed(request, wheel, elsewhere, tmp_path_factory):
    return Installed(request.param, wheel, tmp_path_factory.mktemp("way"), elsewhere)


def test_the_wheel_holds_the_files_that_the_package_links_to(wheel):
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        for link in (path for path in (ROOT / "mammogan").iterdir() if path.is_symlink()):
            for path in [link] if link.is_file() else [path for path in link.rglob("*") if path.is_file()]:
                name = path.relative_to(ROOT).as_posix()
                assert files.read(name) == path.read_bytes()
    assert {"mammogan/py.typed", "mammogan/__main__.py", "mammogan/_version.py"} <= names
    assert not [
        name for name in names if name.split("/")[0] not in ("mammogan", f"mammogan-{VERSION}.dist-info")
    ]


def test_a_file_that_is_read_from_the_checkout_would_be_noticed(elsewhere):
    for path, code in ((ROOT / "README.md", 1), (elsewhere / STRAY[0], 0)):
        reading = [sys.executable, "-c", f"open({str(path)!r})"]
        environment = os.environ | {"PYTHONPATH": str(elsewhere / "watch")}
        assert subprocess.run(reading, check=False, env=environment, capture_output=True).returncode == code


def test_an_installation_knows_its_version(installed):
    assert installed.run("--version").strip() == VERSION
    assert installed.run("--version", script=True).strip() == VERSION


def test_an_installation_plans_shards_and_launches_at_a_site_without_its_checkout(installed):
    shards = installed.folder / "shards"
    said = installed.run(
        "shards", "plan", shards, "--from", "phantom=dicoms", "--set", "packing.top_px=[40,32]"
    )
    assert re.search(r"Planned at most \d+ images", said)
    words = ("launch", "--method", "tour", "--data", shards, installed.folder / "run", "--dry-run")
    assert "nothing was submitted" in installed.run(*words, "--site", "local")
    few_ranks = ("--set", "resources.gpu_nodes.nodes=1")
    installed.run(*words, "--site", "example-a100", *few_ranks)
    scripts = sorted((installed.folder / "run.dry-run").iterdir())
    assert scripts and all("#SBATCH" in path.read_text() for path in scripts)


def test_an_installation_has_the_lock_that_the_doctor_compares_with(installed):
    said = installed.run("doctor", stubs=True, code=2)  # the stub of torch can't multiply
    assert f"MammoGAN: {VERSION}" in said
    assert len(re.findall("as pinned", said)) + len(re.findall("is pinned and tested", said)) == 8
