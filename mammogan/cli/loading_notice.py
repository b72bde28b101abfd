"""A word at a terminal while a command loads a large package, which takes seconds where disks are slow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, TextIO

NAMES = {
    "cv2": "OpenCV",
    "deepspeed": "DeepSpeed",
    "fastapi": "FastAPI",
    "imagecodecs": "imagecodecs",
    "matplotlib": "Matplotlib",
    "mlflow": "MLflow",
    "numpy": "NumPy",
    "pydicom": "pydicom",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "submitit": "submitit",
    "torch": "PyTorch",
}
"""Packages that take a tenth of a second or more to load, and what people call them."""
ERASE_LINE = "\r\x1b[K"


def install(stream: TextIO) -> None:
    """Say on `stream`, if it is a terminal, what is being loaded from now on, and take it back afterwards."""
    if stream.isatty():
        sys.meta_path.insert(0, _Finder(stream))


class _Finder(MetaPathFinder):
    """Finds large packages where they are found anyway, and has them loaded by one that says so."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.loading = stream, False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in NAMES or self.loading:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Announcing(spec.loader, self)
        return spec


class _Announcing(Loader):
    """Loads by another loader, whose place it takes only meanwhile."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        stream, self._finder.loading = self._finder.stream, True
        try:
            stream.write(f"{ERASE_LINE}Loading {NAMES[module.__name__]} ...")
            stream.flush()
            self._loader.exec_module(module)
        finally:
            self._finder.loading = False
            stream.write(ERASE_LINE)
            stream.flush()
