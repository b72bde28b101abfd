"""Whether this installation can do a job's work: versions, imports, arithmetic; needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, resources

import mammogan
from mammogan.cluster.doctor.finding import Finding, ok, problem, warning

PACKAGES = {
    "torch": "torch",
    "deepspeed": "deepspeed",
    "submitit": "submitit",
    "webdataset": "webdataset",
    "pydicom": "pydicom",
    "mlflow": "mlflow",
    "imagecodecs": "imagecodecs",
    "opencv-python-headless": "cv2",
}
"""Distributions that jobs need and that break in ways of their own, with the modules that they bring."""

LOCK = resources.files("mammogan") / "requirements.lock"
REMEDY = "pip install 'mammogan[launch,train]'; a login node needs only [launch]: check its site with --site."
MULTIPLY = """
import torch
told = float((torch.ones(64, 64) @ torch.ones(64, 64)).sum())
print(told == 64.0 ** 3, torch.cuda.device_count(), torch.version.cuda)
"""


def examine() -> Iterator[Finding]:
    """Check the packages of this Python, each in a process of its own: a broken one may take it along."""
    yield ok("MammoGAN", f"{mammogan.__version__} on Python {sys.version.split()[0]}")
    pinned = _pinned()
    for name, module in PACKAGES.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield problem(name, "is not installed", "", REMEDY)
            continue
        finished = run(f"import {module}")
        if finished.returncode:
            yield problem(name, f"{version} can't be imported: {_last_line(finished)}", "", REMEDY)
        elif pinned.get(name, version) != version.split("+")[0]:
            found = f"{version}, and {pinned[name]} is pinned and tested"
            yield warning(name, found, "", f"pip install {name}=={pinned[name]}")
        else:
            yield ok(name, f"{version}{', as pinned' if name in pinned else ''}")
    yield _arithmetic()


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a fresh Python."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", "no answer within 300 s")


def _arithmetic() -> Finding:
    finished = run(MULTIPLY)
    right, count, cuda = (finished.stdout.split() + [""] * 3)[:3]
    if finished.returncode or right != "True":
        found = _last_line(finished) or f"it gives '{finished.stdout.strip()}'"
        return problem("PyTorch multiplies matrices", found, "", REMEDY)
    built = "built without CUDA" if cuda == "None" else f"built for CUDA {cuda}"
    return ok("PyTorch multiplies matrices", f"{built}; {count or 0} GPUs here")


def _pinned() -> dict[str, str]:
    """Give the versions that are tested: those of ``containers/requirements.lock``, which comes along."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return dict((found[1], found[2]) for line in lines if (found := re.match(r"([\w.-]+)==([\w.]+)", line)))


def _last_line(finished: subprocess.CompletedProcess[str]) -> str:
    return (finished.stderr.strip().splitlines() or [""])[-1]
