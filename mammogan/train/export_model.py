"""The chosen generator on its own: weights as safetensors beside the method as JSON, no pickle."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as encoded

from mammogan.config.method import Method
from mammogan.config.settings import validate
from mammogan.errors import DataError
from mammogan.files import replacing_folder, sha256
from mammogan.train.build_networks import build_generator
from mammogan.train.checkpoint import Checkpoint, verified
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import LabelTable

WEIGHTS, LABELS, FACTS = "generator.safetensors", "labels.safetensors", "generator.json"
WEIGHTS_ELSEWHERE = "model.safetensors"
"""The weights' name on the Hugging Face Hub."""


def export(source: Checkpoint, method: Method, folder: Path) -> list[Path]:
    """Write the averaged generator of a checkpoint, all that drawing needs, into `folder`."""
    with replacing_folder(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(encoded(verified(source).tensors("average")))
        (temporary / LABELS).write_bytes(encoded(source.tensors("labels")))
        files = {name: sha256(temporary / name) for name in (WEIGHTS, LABELS)}
        facts = {"stage": source.stage, "images": source.images, "files": files}
        facts["method"] = method.model_dump(mode="json")
        (temporary / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return [folder / WEIGHTS, folder / LABELS, folder / FACTS]


def copy(source: Path, folder: Path) -> None:
    """Copy a model into `folder`, with its weights under the name that the Hugging Face Hub knows."""
    facts = json.loads((source / FACTS).read_text(encoding="utf-8"))
    (folder / WEIGHTS_ELSEWHERE).write_bytes(weights_of(source).read_bytes())
    (folder / LABELS).write_bytes((source / LABELS).read_bytes())
    facts["files"] = {name: sha256(folder / name) for name in (WEIGHTS_ELSEWHERE, LABELS)}
    (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def weights_of(folder: Path) -> Path:
    """Find the weights of a model in `folder`, under either name."""
    elsewhere = folder / WEIGHTS_ELSEWHERE
    return elsewhere if elsewhere.exists() else folder / WEIGHTS


def load(folder: Path) -> Model:
    """Read what `export` or `copy` wrote, ready to draw.

    Raises
    ------
    DataError
        If the folder holds no exported model.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        for name, digest in facts.get("files", {}).items():  # models of before have none
            if sha256(folder / name) != digest:
                raise ValueError(f"{name} is damaged: its SHA-256 is not the recorded one")
        method = validate(Method, facts["method"], str(folder / FACTS))
        generator = build_generator(method, facts["stage"])
        generator.load_state_dict(load_file(weights_of(folder)))
        table = LabelTable.load(load_file(folder / LABELS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"'{folder}' holds no model that can be read: {error}. A finished run leaves one in its folder "
            "'model'."
        ) from None
    return Model(generator.requires_grad_(False).eval(), method, table)
