"""Checkpoints of a stage: tensors without pickle, hashed, written whole or not at all, and found again.

A checkpoint is a folder ``<run>/stages/<stage>/<images>`` of safetensors files beside a ``state.json`` that
lists their SHA-256. It does not depend on the number of ranks or the ZeRO stage that wrote it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from safetensors.torch import save as encoded
from torch import Tensor

from mammogan.errors import DataError
from mammogan.files import replacing_folder, sha256
from mammogan.run_folder import RunFolder

log = logging.getLogger(__name__)
STATE = "state.json"
Tick = dict[str, float]
"""Metrics of a tick by name, and how many ``images`` of the stage it came after."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved state of stage `stage` after `images` real images of it."""

    folder: Path
    stage: int
    images: int

    def tensors(self, part: str) -> dict[str, Tensor]:
        """Read ``generator``, ``average``, ``critic``, ``generator_adam``, ``critic_adam`` or ``labels``."""
        tensors: dict[str, Tensor] = load_file(self.folder / f"{part}.safetensors")
        return tensors

    def problem(self) -> str | None:
        """Say what is wrong with the files, if anything."""
        try:
            files = json.loads((self.folder / STATE).read_text(encoding="utf-8"))["files"]
        except (OSError, ValueError, KeyError) as error:
            return f"{STATE} can't be read ({error})"
        for name, digest in files.items():
            path = self.folder / name
            if not path.is_file():
                return f"{name} is missing"
            if sha256(path) != digest:
                return f"{name} is damaged: its SHA-256 is not the recorded one"
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """What was noted beside the tensors: the ticks of the stage so far."""
        facts: dict[str, Any] = json.loads((self.folder / STATE).read_text(encoding="utf-8"))["facts"]
        return facts

    @property
    def digest(self) -> str:
        """SHA-256 of the averaged generator, which names what is scored and sampled."""
        files = json.loads((self.folder / STATE).read_text(encoding="utf-8"))["files"]
        return str(files["average.safetensors"])


def at(run: Path, stage: int, images: int) -> Checkpoint:
    """Name the checkpoint of `stage` after `images`, there or not."""
    return Checkpoint(RunFolder(run).checkpoint(stage, images), stage, images)


def saved(run: Path, stage: int) -> Iterator[Checkpoint]:
    """List the checkpoints of `stage`, the newest first, unverified."""
    folders = sorted(RunFolder(run).stage(stage).glob("[0-9]*"), reverse=True)
    return (Checkpoint(folder, stage, int(folder.name)) for folder in folders)


def newest_valid(run: Path, stage: int) -> Checkpoint | None:
    """Find the newest undamaged checkpoint of `stage`; damaged ones are reported and passed over."""
    for checkpoint in saved(run, stage):
        problem = checkpoint.problem()
        if problem is None:
            return checkpoint
        log.warning("checkpoint '%s' is passed over: %s", checkpoint.folder, problem)
    return None


def verified(checkpoint: Checkpoint) -> Checkpoint:
    """Give `checkpoint` back if its files are whole.

    Raises
    ------
    DataError
        Naming the file and the way out.
    """
    problem = checkpoint.problem()
    if problem:
        raise DataError(
            f"Checkpoint '{checkpoint.folder}' can't be used: {problem}. Launch the run again to train stage "
            f"{checkpoint.stage} anew from the last good state."
        )
    return checkpoint


def save(
    run: Path, stage: int, images: int, parts: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
) -> Checkpoint:
    """Write `parts` (name to tensors) and `facts` (plain values) as the stage's checkpoint after `images`."""
    checkpoint = at(run, stage, images)
    with replacing_folder(checkpoint.folder) as folder:
        files = {}
        for name, tensors in parts.items():
            path = folder / f"{name}.safetensors"
            plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
            path.write_bytes(encoded(plain))  # by Python, whose error of a full disk is understood
            files[path.name] = sha256(path)
        state = {"stage": stage, "images": images, "files": files, "facts": facts}
        (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    return checkpoint
