"""The power spectra of tissue, real and synthetic, and by how much they differ at each frequency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammogan.pages.figure_style import MUTED, REAL, SYNTHETIC, style_axes, svg


def spectra(curves: Mapping[str, Any]) -> str:
    """Draw a view's curves (`spectra[view]` of ``measures.json``) as SVG: power, and the ratio of powers.

    The red band about the ratio is that of one half of the reals by the other, the blue one the bootstrap's;
    the grey stretch is where beta is fitted. Curves of earlier versions have no anisotropy to be shown.
    """
    per_mm = curves["cycles_mm"] is not None
    cycles_R = np.array(curves["cycles_mm"] if per_mm else curves["cycles_px"])
    scale = cycles_R[0] / curves["cycles_px"][0]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    power, ratio, *more = figure.subplots(1, 3 if "anisotropy" in curves else 2)
    for name, colour, style in (("real", REAL, "-"), ("synthetic", SYNTHETIC, "-"), ("train", MUTED, ":")):
        label = {"real": "held-out reals", "train": "training reals"}.get(name, name)
        power.plot(cycles_R, curves[name], color=colour, linestyle=style, linewidth=1.5, label=label)
    power.legend(frameon=False, fontsize=8)
    for low, high, colour in (("null_low", "null_high", REAL), ("ratio_low", "ratio_high", SYNTHETIC)):
        if curves[low]:
            ratio.fill_between(cycles_R, curves[low], curves[high], color=colour, alpha=0.2, linewidth=0)
    ratio.plot(cycles_R, curves["ratio"], color=SYNTHETIC, linewidth=1.5)
    ratio.axhline(0, color=MUTED, linewidth=0.8, linestyle="--")
    unit = "cycles a millimetre" if per_mm else "cycles a pixel"
    titles = ("log10 of power in the breast", "log10 of synthetic by real power")
    for axes, title in zip((power, ratio), titles, strict=True):
        axes.set_xscale("log")
        axes.axvspan(*(scale * edge for edge in curves["band_px"]), color=MUTED, alpha=0.12, linewidth=0)
        axes.set_xlim(cycles_R[0] * 0.95, cycles_R[-1] * 1.05)
        style_axes(axes, title, unit)
    if more:
        _anisotropy(more[0], curves)
    return svg(figure)


def _anisotropy(axes: Axes, curves: Mapping[str, Any]) -> None:
    """Draw power near the axes by power near the diagonals, the finest octave on the right."""
    octaves = curves["octaves"][::-1]
    for name, colour, label in (("real", REAL, "held-out reals"), ("synthetic", SYNTHETIC, "synthetic")):
        values = [math.nan if value is None else value for value in curves["anisotropy"][name][::-1]]
        axes.plot(range(len(octaves)), values, color=colour, marker="o", markersize=4, label=label)
    axes.axhline(1, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_xticks(range(len(octaves)), [name.removesuffix("px") for name in octaves])
    axes.legend(frameon=False, fontsize=8)
    style_axes(axes, "power near axes by near diagonals", "period in pixels")
