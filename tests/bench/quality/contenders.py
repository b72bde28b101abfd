"""Who is compared: commands that learn from the same images for the same CPU time, each in its own process.

A contender is a command that reads DATA.npz (`train`: uint8 N x H x W) and leaves in its folder ``fakes.npy``
(uint8, as many images as asked for) and, if it likes, ``fakes-NAME.npy`` of the same training, and
``facts.json`` with what it knows of itself (`cpu_s`, `kimg`, `stages`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mammogan.config.method import load_method
from mammogan.config.settings import canonical_json
from mammogan.errors import ConfigError
from mammogan.files import write
from mammogan.provenance import provenance

ROOT = Path(__file__).parents[3]
OURS, PRO_GAN = "tests.bench.quality.train_ours", "tests.bench.quality.train_pro_gan"
PLACES = ("{data}", "{out}", "--seconds", "{seconds}", "--seed", "{seed}", "--count", "{count}")
RESULT = "result.json"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Contender:
    """A name and a command, in whose words {data}, {out}, {seconds}, {seed} and {count} are filled in.

    It gets `share` of the CPU time that others get. `settings` is what the command's words stand for, so that
    a method of the same name with other settings is trained anew.
    """

    name: str
    command: tuple[str, ...]
    share: float = 1.0
    settings: str = ""


@dataclass(frozen=True)
class Job:
    """What all contenders get: the data's file and name, CPU seconds, and how many fakes are wanted."""

    data: Path
    digest: str
    seconds: float
    count: int
    folder: Path
    path: str


def ours(text: str) -> Contender:
    """Understand ``method``, or ``name=method,key=value;key=value``; a method is a name or a TOML file.

    A method's ``@0.25`` gives it a quarter of the CPU time.

    Raises
    ------
    ValueError
        If it can't be understood.
    argparse.ArgumentTypeError
        If there is no such method or setting.
    """
    name, _, rest = text.partition("=") if "=" in text else (text, "", text)
    method, _, settings = rest.partition(",")
    method, _, share = method.partition("@")
    pairs = [pair for pair in settings.split(";") if pair]
    if not name or not method or any("=" not in pair for pair in pairs):
        raise ValueError(f"'{text}' is neither 'method' nor 'name=method,key=value;key=value'.")
    sets = tuple(word for pair in pairs for word in ("--set", pair.strip()))
    command = sys.executable, "-m", OURS, *PLACES, "--method", method, *sets
    try:
        settings = load_method(method, pairs).model_dump(mode="json")
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Contender(_safe(name), command, float(share or 1), canonical_json(settings))


def other(text: str) -> Contender:
    """Understand ``name=command`` with {data} and {out} in it.

    Raises
    ------
    ValueError
        If it can't be understood.
    """
    name, _, command = text.partition("=")
    if not name or "{data}" not in command or "{out}" not in command:
        raise ValueError(f"'{text}' is not 'name=command ... {{data}} ... {{out}} ...'.")
    return Contender(_safe(name), tuple(shlex.split(command)))


def pro_gan(size_px: tuple[int, int], peers: Path | None) -> tuple[Contender | None, str]:
    """Give pro-gan-pth, or None and the reason why it is absent."""
    if size_px[0] != size_px[1]:
        return None, "pro-gan-pth was not run: it knows square images only."
    if not ((peers / "pro_gan_pytorch").is_dir() if peers else find_spec("pro_gan_pytorch")):
        return None, (
            "pro-gan-pth was not run: it is not installed (pip install --no-deps --target FOLDER -r "
            "containers/requirements-peers.lock, and --peers FOLDER)."
        )
    return Contender("pro-gan-pth", (sys.executable, "-m", PRO_GAN, *PLACES)), ""


def run(contender: Contender, seed: int, job: Job) -> dict[str, Any]:
    """Train one contender with one seed, or take what an earlier call has left of the same.

    Raises
    ------
    RuntimeError
        If the command failed; its log is named.
    """
    folder = job.folder / contender.name / str(seed)
    command = _filled(contender, seed, job, folder)
    told = [contender.command, contender.settings, seed, job.digest, job.seconds * contender.share, job.count]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    if (folder / RESULT).exists():
        found: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if found["key"] == key:
            return found
    shutil.rmtree(folder, ignore_errors=True)  # half of a training can't be charged for its CPU time
    folder.mkdir(parents=True)
    begin = time.monotonic()
    process_cpu_s = _spend(command, folder, job.path)
    facts = folder / "facts.json"
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}
    found = {
        "key": key,
        "name": contender.name,
        "seed": seed,
        "budget_s": job.seconds * contender.share,
        "process_cpu_s": process_cpu_s,
        "wall_s": time.monotonic() - begin,
        "commit": provenance().get("commit", "unknown"),
        "cpu_s": process_cpu_s,  # of who does not know better: imports are then counted too
        **known,
    }
    shutil.rmtree(folder / "shards", ignore_errors=True)
    write(folder / RESULT, json.dumps(found, indent=1) + "\n")
    return found


def fakes(contender: Contender, seed: int, job: Job) -> dict[str, Path]:
    """Find the files of fakes that a training has left, by the name in the table."""
    folder = job.folder / contender.name / str(seed)
    plain = {contender.name: folder / "fakes.npy"}
    more = sorted(folder.glob("fakes-*.npy"))
    return plain | {f"{contender.name}, {path.stem.removeprefix('fakes-')}": path for path in more}


def _filled(contender: Contender, seed: int, job: Job, folder: Path) -> list[str]:
    places = {
        "{data}": str(job.data),
        "{out}": str(folder),
        "{seconds}": f"{job.seconds * contender.share:g}",
        "{seed}": str(seed),
        "{count}": str(job.count),
    }
    # A word may hold braces of its own, as a list of tables in TOML does: no str.format.
    pattern = re.compile("|".join(map(re.escape, places)))
    return [pattern.sub(lambda found: places[found[0]], word) for word in contender.command]


def _spend(command: Sequence[str], folder: Path, path: str) -> float:
    """Run a command with one thread and return the CPU seconds of it and of all that it waited for."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    old = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (str(ROOT), path, old) if part)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not (folder / "fakes.npy").exists():
        tail = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"it ended with {process.returncode}: {' '.join(tail)} (see {folder / 'log'})")
    return usage.ru_utime + usage.ru_stime


def _safe(name: str) -> str:
    if any(letter in name for letter in "/|\\") or name.startswith("."):
        raise ValueError(f"'{name}' can't name a contender: it becomes a folder and a row of a table.")
    return name.strip()
