"""Pictures for the eye: contact sheets side by side, and mean power spectra."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammogan.files import write
from tests.bench.quality import spectra

Images = NDArray[Any]
COLUMNS, ROWS = 14, 2


def contact_sheet(path: Path, sets: Mapping[str, Images]) -> None:
    """Draw two rows of every set below each other: the first images, greys from 0 to 255 as they are."""
    height, width = next(iter(sets.values())).shape[1:]
    figure = Figure(
        figsize=(COLUMNS * width / 64 * 0.85 + 1.6, len(sets) * ROWS * height / 64 * 0.85), dpi=110
    )
    for number, (name, images_NHW) in enumerate(sets.items(), start=1):
        axes = figure.add_subplot(len(sets), 1, number)
        axes.imshow(strip(images_NHW), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    _save(figure, path)


def strip(images_NHW: Images) -> Images:
    """Lay the first images out in two rows; where there are fewer, black is left."""
    height, width = images_NHW.shape[1:]
    canvas = np.zeros((ROWS * COLUMNS, height, width), images_NHW.dtype)
    chosen = images_NHW[: ROWS * COLUMNS]
    canvas[: len(chosen)] = chosen
    return canvas.reshape(ROWS, COLUMNS, height, width).transpose(0, 2, 1, 3).reshape(ROWS * height, -1)


def spectra_figure(path: Path, power: Mapping[str, NDArray[np.float64]]) -> None:
    """Draw every set's mean power over the spatial frequency; octaves of the measures are marked."""
    figure = Figure(figsize=(7, 4.5), dpi=110)
    axes = figure.add_subplot()
    for name, power_HW in power.items():
        radii, mean = spectra.radial(power_HW)
        thick = 2.5 if name.startswith("reals") else 1.2
        axes.loglog(radii, mean, label=name, linewidth=thick)
    for low, _ in spectra.BANDS:
        axes.axvline(low, color="grey", linewidth=0.5)
    axes.set(xlabel="cycles per pixel", ylabel="mean power")
    axes.legend(fontsize=7)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight")
    write(path, stream.getvalue())
