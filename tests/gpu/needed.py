"""What the checks of a GPU import, and what of it can be carried as wheels. Needs nothing but Python."""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LOCK = REPOSITORY / "containers" / "requirements.lock"
WHEELS = REPOSITORY / "build" / "gpu-wheels"
PYTHONS = ("311", "312", "313")

THERE = {"torch": "torch", "numpy": "numpy"}
"""Import name to distribution: too large to be carried, or bound to the machine."""
CARRIED = {
    "pydantic": "pydantic",
    "pydantic_core": "pydantic_core",
    "annotated_types": "annotated-types",
    "typing_inspection": "typing-inspection",
    "typing_extensions": "typing_extensions",
    "safetensors": "safetensors",
    "deepspeed": "deepspeed",
    "hjson": "hjson",
    "cpuinfo": "py-cpuinfo",
    "psutil": "psutil",
    "msgpack": "msgpack",
    "einops": "einops",
    "tqdm": "tqdm",
    "packaging": "packaging",
    "typer": "typer",
    "click": "click",
    "rich": "rich",
    "markdown_it": "markdown-it-py",
    "mdurl": "mdurl",
    "pygments": "Pygments",
    "shellingham": "shellingham",
    "annotated_doc": "annotated-doc",
}
BESIDE = {
    "submitit": "submitit",
    "cloudpickle": "cloudpickle",
    "webdataset": "webdataset",
    "braceexpand": "braceexpand",
    "pydicom": "pydicom",
}
"""Not imported by the checks; for whoever tries more there."""
TOGETHER = (
    ("pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "annotated_types"),
    ("typer", "click"),
)
"""One wants a certain version of the others: if one is missing, all are carried."""


def versions() -> dict[str, str]:
    """Read which versions are carried: those that everything is tested with."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in pinned}


def canonical(name: str) -> str:
    """Spell a distribution as wheels and indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(names: dict[str, str]) -> list[str]:
    """List those of the import names that this Python does not find."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def unpacked(wheels: Path, into: Path) -> list[str]:
    """Unpack the wheels of what is missing `into` a folder; return the import names that no wheel has."""
    wanted = set(missing(CARRIED))
    for group in TOGETHER:
        if wanted & set(group):
            wanted |= set(group)
    left = []
    for name in sorted(wanted):
        found = [path for path in sorted(wheels.glob("*.whl")) if fits(path, CARRIED[name])]
        if not found:
            left.append(name)
            continue
        with zipfile.ZipFile(found[0]) as wheel:
            wheel.extractall(into)
    return left


def fits(wheel: Path, distribution: str) -> bool:
    """Whether a wheel is of this distribution, and for this Python."""
    name, _, *_, python, abi, _ = wheel.stem.split("-")
    if canonical(name) != canonical(distribution):
        return False
    mine = f"cp3{sys.version_info[1]}"
    if abi == "abi3":
        return int(python.removeprefix("cp3").split(".")[0]) <= sys.version_info[1]
    return abi == "none" or mine in python.split(".")


def find(wheels: Path = WHEELS) -> Path:
    """Make all that is needed importable, and return the folder that was unpacked into.

    Raises
    ------
    SystemExit
        With what is missing, and how to come by it.
    """
    if bare := missing(THERE):
        raise SystemExit(
            f"'{sys.executable}' has no {' and no '.join(bare)}, which can't be carried: name a Python that "
            "has, as in make gpu GPU_PYTHON=/opt/torch/bin/python3"
        )
    folder = Path(tempfile.mkdtemp(prefix="mammogan-gpu-"))
    left = unpacked(wheels, folder)
    if left:
        of_lock = versions()
        names = " ".join(f"{CARRIED[name]}=={of_lock[canonical(CARRIED[name])]}" for name in left)
        raise SystemExit(
            f"'{sys.executable}' (Python {sys.version.split()[0]}) lacks {', '.join(left)}, and '{wheels}' "
            "has no wheels of them for it. Where there is a network: make gpu-wheels, or\n"
            f"pip install {names}"
        )
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return folder
