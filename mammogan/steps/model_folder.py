"""Where a run's model lies, and the terms that go with it."""

from __future__ import annotations

from pathlib import Path

from mammogan.errors import DataError
from mammogan.run_folder import RunFolder
from mammogan.steps.licence_notice import TERMS


def run_of(source: Path) -> Path | None:
    """Return `source` if it is a run, and None if it is a model's folder or nothing."""
    return source if RunFolder(source).settings.exists() else None


def model_folder(source: Path) -> Path:
    """Return the folder of a run's model; whatever is no run is taken for one itself.

    Raises
    ------
    DataError
        If the run has no model yet.
    """
    if run_of(source) is None:
        return source
    folder = RunFolder(source).model
    if not folder.exists():
        raise DataError(
            f"The run '{source}' has no model yet: it exports one once it has chosen a checkpoint. "
            f"`mammogan status {source}` tells how far it is, `mammogan video --training` shows it."
        )
    return folder


def read_terms(folder: Path) -> str:
    """Read on what terms the images came that the model in `folder` learned from.

    Raises
    ------
    DataError
        If they are missing.
    """
    try:
        return (folder / TERMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(
            f"'{folder / TERMS}' is missing: it tells on what terms the images came that this model learned "
            "from, and goes with what is drawn. Copy it from where the run left the model."
        ) from None
