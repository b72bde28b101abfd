"""MammoGAN: synthesis of full-field digital mammograms with a progressively grown GAN on an HPC cluster.

`load` opens a model; `mammogan.datasets` has real, synthetic and mixed images for training, and
`mammogan.metrics` a function a metric on arrays. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from mammogan._version import __version__
except ModuleNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0+unknown"

if TYPE_CHECKING:
    from mammogan import datasets, metrics
    from mammogan.api.load_model import load
    from mammogan.api.model import Model, Projection

__all__ = ["Model", "Projection", "__version__", "datasets", "load", "metrics"]

_PLACES = {"load": "api.load_model", "Model": "api.model", "Projection": "api.model"}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "metrics"):
        return import_module(f"mammogan.{name}")
    if name in _PLACES:
        return getattr(import_module(f"mammogan.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'mammogan' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
