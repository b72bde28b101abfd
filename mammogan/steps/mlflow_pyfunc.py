"""The chosen generator as an MLflow model: rows of view and number in, images out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mammogan.errors import DataError


class GeneratorModel:
    """Draws images from the exported generator in `folder`."""

    def __init__(self, folder: Path) -> None:
        from mammogan.train.export_model import load

        self.model = load(folder)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[Any]:
        """Draw for each row of ``view`` (CC or MLO), ``seed`` and ``number`` an image (H, W), as lists.

        Raises
        ------
        DataError
            If a row names another view.
        """
        from mammogan.config.label_fields import VIEWS

        images: list[Any] = []
        for row in rows.to_dict("records"):
            numbers = range(int(row["number"]), int(row["number"]) + 1)
            if row["view"] not in VIEWS:
                raise DataError(f"There is no view '{row['view']}': give one of {', '.join(VIEWS)}.")
            images += self.model.draw(int(row["seed"]), numbers, VIEWS.index(row["view"]))
        return [image.tolist() for image in images]


def _load_pyfunc(path: str) -> GeneratorModel:
    """Load the model for MLflow."""
    return GeneratorModel(Path(path))
