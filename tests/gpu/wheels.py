"""What `make gpu-wheels` runs: fetch, where there is a network, what a machine with a GPU may lack.

Wheels for three Pythons on x86-64 where they are bound to one, DeepSpeed's built from its source without any
operation of its own. They go to build/gpu-wheels, 50 MB at most.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

from tests.gpu.needed import BESIDE, CARRIED, PYTHONS, WHEELS, canonical, versions

BUILT = "deepspeed"
"""Comes as source only."""
MOST_MB = 50
PLATFORMS = *(f"manylinux_2_{n}_x86_64" for n in (28, 27, 17, 12, 5)), "manylinux2014_x86_64"


def pip(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, env={**os.environ, **environment})


def tell(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> None:
    pinned = versions()
    names = {canonical(name) for name in (CARRIED | BESIDE).values()} - {BUILT}
    wanted = [f"{name}=={pinned[name]}" for name in sorted(names)]
    with tempfile.TemporaryDirectory() as folder:
        for python in PYTHONS:
            tell(f"fetching {len(wanted)} wheels for Python 3.{python[1:]}")
            where = [f"--platform={platform}" for platform in PLATFORMS]
            which = ("--no-deps", "--only-binary=:all:", f"--python-version={python}", "--implementation=cp")
            pip("download", *which, *where, f"--dest={folder}", *wanted)
        tell(f"building {BUILT}=={pinned[BUILT]}")
        how = ("--no-deps", "--no-build-isolation", f"--wheel-dir={folder}")
        pip("wheel", *how, f"{BUILT}=={pinned[BUILT]}", DS_BUILD_OPS="0")
        shutil.rmtree(WHEELS, ignore_errors=True)
        shutil.copytree(folder, WHEELS)
    size = sum(path.stat().st_size for path in WHEELS.iterdir()) / 1e6
    tell(f"{len(list(WHEELS.iterdir()))} wheels, {size:.1f} MB, in {WHEELS}")
    if size > MOST_MB:
        raise SystemExit(f"{size:.0f} MB are more than {MOST_MB}: carry less (tests/gpu/needed.py).")


if __name__ == "__main__":
    main()
