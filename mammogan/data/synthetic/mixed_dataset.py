"""The place of `Mixed` in earlier versions: it is `mammogan.datasets.Mixed` now."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name not in ("Mixed", "REAL", "SYNTHETIC"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    message = "mammogan.data.synthetic.mixed_dataset is now mammogan.datasets; the old name still works."
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(import_module("mammogan.datasets.mixed"), name)
