"""What is carried to a machine without a network: wheels that fit its Python; and what is missing."""

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.gpu import needed

MINE = f"cp3{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("name", "distribution", "expected"),
    [
        ("pydantic-2.14.3-py3-none-any.whl", "pydantic", True),
        ("py_cpuinfo-9.0.0-py3-none-any.whl", "py-cpuinfo", True),
        ("braceexpand-0.1.7-py2.py3-none-any.whl", "braceexpand", True),
        ("pydantic-2.14.3-py3-none-any.whl", "pydantic_core", False),
        ("psutil-7.2.2-cp36-abi3-manylinux2010_x86_64.whl", "psutil", True),
        ("safetensors-0.8.0-cp310-abi3-manylinux_2_17_x86_64.whl", "safetensors", True),
        ("newer-1.0-cp399-abi3-manylinux_2_17_x86_64.whl", "newer", False),
        ("msgpack-1.2.4-cp399-cp399-manylinux_2_28_x86_64.whl", "msgpack", False),
        (f"msgpack-1.2.4-{MINE}-{MINE}-manylinux_2_28_x86_64.whl", "msgpack", True),
    ],
)  # fmt: skip
def test_a_wheel_fits_by_name_and_python(name, distribution, expected):
    assert needed.fits(Path(name), distribution) is expected


def wheel(folder, name, module):
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"{module}.py", "CARRIED = True\n")


def test_only_what_is_missing_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(
        needed, "CARRIED", {"typer": "typer", "not_there_yet": "not-there-yet", "nowhere": "nowhere"}
    )
    wheel(tmp_path, "typer-9.9-py3-none-any.whl", "typer")
    wheel(tmp_path, "not_there_yet-1.0-py3-none-any.whl", "not_there_yet")
    into = tmp_path / "site"
    assert needed.unpacked(tmp_path, into) == ["nowhere"]
    assert [path.name for path in into.iterdir()] == ["not_there_yet.py"]


def test_what_is_missing_is_named_with_both_ways_to_come_by_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        needed, "missing", lambda names: [name for name in names if name in ("hjson", "cpuinfo")]
    )
    with pytest.raises(SystemExit) as stopped:
        needed.find(tmp_path)
    words = str(stopped.value)
    assert re.search(r"lacks cpuinfo, hjson, and '.*' has no wheels of them for it", words)
    assert "make gpu-wheels" in words
    assert re.search(r"pip install py-cpuinfo==[\d.]+ hjson==[\d.]+$", words)


def test_a_python_without_torch_is_refused_with_what_to_give(tmp_path, monkeypatch):
    monkeypatch.setattr(needed, "missing", lambda names: [name for name in names if name == "torch"])
    with pytest.raises(
        SystemExit, match=r"has no torch, which can't be carried: .* make gpu GPU_PYTHON=/opt"
    ):
        needed.find(tmp_path)


def test_every_package_that_is_carried_is_pinned_and_importable():
    pinned = needed.versions()
    for name, distribution in (needed.CARRIED | needed.BESIDE).items():
        assert needed.canonical(distribution) in pinned, distribution
        assert importlib.util.find_spec(name) is not None, name


def test_the_checks_import_nothing_that_is_not_carried():
    """In a process of its own, with what else the package needs hidden."""
    code = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

HIDDEN = {"cv2", "imagecodecs", "scipy", "sklearn", "matplotlib", "PIL", "mlflow", "pynvml", "pebble",
          "jinja2", "webdataset", "pydicom", "submitit", "pylibjpeg", "fastapi", "imageio_ffmpeg"}
sys.meta_path.insert(0, Hidden())
from mammogan.cli import gpu_command
from mammogan.cost import device_tables
from mammogan.train.device_checks import check_cases, supervise
print("imported")
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stdout == "imported\n", found.stderr
