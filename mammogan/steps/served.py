"""The chosen generator as an MLflow model: rows of view and number in, images out."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Served:
    """Draws images from the exported generator in `folder`."""

    def __init__(self, folder: Path) -> None:
        from mammogan.train.export import load

        self.model = load(folder)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[Any]:
        """Draw for each row of ``view`` (CC or MLO), ``seed`` and ``number`` an image (H, W), as lists."""
        from mammogan.config.labels import VIEWS

        images: list[Any] = []
        for row in rows.to_dict("records"):
            numbers = range(int(row["number"]), int(row["number"]) + 1)
            images += self.model.draw(int(row["seed"]), numbers, VIEWS.index(row["view"]))
        return [image.tolist() for image in images]


def _load_pyfunc(path: str) -> Served:
    """Load the model for MLflow."""
    return Served(Path(path))
