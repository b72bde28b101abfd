"""Finding a model by what people have: a run, a model's folder, an address of MLflow, a name on a hub."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import torch

from mammogan.api.model import Model
from mammogan.errors import DataError
from mammogan.steps.model_folder import model_folder, read_terms, run_of
from mammogan.train import accelerator
from mammogan.train.export_model import FACTS
from mammogan.train.export_model import load as load_folder

MLFLOW = re.compile(r"^(models|runs):/")
HUB = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?$")
"""``organisation/name``, and behind an @ a revision."""


def load(source: str | PathLike[str], device: str | None = None) -> Model:
    """Open a model.

    Parameters
    ----------
    source : str or path
        A run's folder; a model's folder, as a run exports it; an address of MLflow, as
        ``models:/NAME/VERSION`` or ``runs:/RUN/generator``; or a name on the Hugging Face Hub,
        ``organisation/name`` (needs ``huggingface_hub``).
    device : str, optional
        What computes, as torch names it; without it this machine's first GPU if it has one, else its CPU.

    Raises
    ------
    DataError
        If there is no such model, or it can't be read.
    """
    folder = _folder(source)
    chosen = accelerator.local_device() if device is None else torch.device(device)
    accelerator.prepare(chosen)
    model = load_folder(folder)
    model.generator.to(chosen)
    return Model(model, read_terms(folder), folder, run_of(Path(source)))


def _folder(source: str | PathLike[str]) -> Path:
    path, text = Path(source), str(source)
    if run_of(path):
        return model_folder(path)
    if path.exists():
        return _with_facts(path, text)
    if MLFLOW.match(text):
        from mammogan.tracking.mlflow_model import fetch

        return _with_facts(fetch(text), text)
    if HUB.match(text):
        return _with_facts(_from_hub(text), text)
    raise DataError(
        f"There is no model '{source}': give a run's folder, a model's folder, an address of MLflow "
        "(models:/NAME/VERSION), or a name on the Hugging Face Hub (organisation/name)."
    )


def _with_facts(folder: Path, source: str) -> Path:
    """Find the model's own files in what was fetched."""
    for found in (folder / FACTS, *sorted(folder.rglob(FACTS))):
        if found.is_file():
            return found.parent
    raise DataError(f"'{source}' holds no model of MammoGAN: there is no '{FACTS}' in it.")


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise DataError(
            f"There is no folder '{name}', and for a model of that name on the Hugging Face Hub you need "
            "a package: pip install huggingface_hub."
        ) from None
    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None))
    except Exception as error:  # noqa: BLE001 - the hub's library has some dozen kinds
        raise DataError(f"The model '{name}' can't be had from the Hugging Face Hub: {error}") from None
