"""Moments plots: every pair of the first five moments, reals red, synthetics blue (Korkinof et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammogan.pages.figure_style import INK, REAL, SYNTHETIC, png, style_axes, svg

Values = NDArray[np.float64]
BINS = 40
SHOWN = (0.002, 0.998)
"""Axes reach from the first to the second quantile of all images: one odd image must not hide the others."""
MOST_POINTS = 4000
"""Of a source in a panel; more are a blot, and histograms count all of them anyway."""


def pairs(real_NM: Values, synthetic_NM: Values, names: Sequence[str]) -> bytes:
    """Draw the matrix of scatters of M moments, their histograms on its diagonal, as PNG.

    Points are drawn in shuffled order, so that neither colour hides the other; images without a moment (NaN)
    are left out. Both sources have the bins and the axes of all images together.
    """
    real_NM, synthetic_NM = (_finite(values) for values in (real_NM, synthetic_NM))
    figure = Figure(figsize=(10.4, 10.0))  # places are given: to find them takes matplotlib most of the time
    places = {"left": 0.075, "right": 0.99, "bottom": 0.06, "top": 0.99, "wspace": 0.05, "hspace": 0.05}
    grid = figure.subplots(len(names), len(names), squeeze=False, gridspec_kw=places)
    both_NM = np.concatenate([real_NM, synthetic_NM])
    if not len(both_NM):
        return png(figure)
    limits = [_range(both_NM[:, m]) for m in range(len(names))]
    few = [_some(values) for values in (real_NM, synthetic_NM)]
    points_NM = np.concatenate(few)
    colours_N = np.repeat([REAL, SYNTHETIC], [len(values) for values in few])
    order_N = np.random.default_rng(0).permutation(len(points_NM))
    for row, axes_row in enumerate(grid):
        for column, axes in enumerate(axes_row):
            style_axes(axes)
            axes.set_xlim(limits[column])
            if row == column:
                histogram(axes, real_NM[:, row], synthetic_NM[:, row], limits[row])
                axes.set_yticks([])
            else:
                x_N, y_N = points_NM[order_N, column], points_NM[order_N, row]
                axes.scatter(
                    x_N, y_N, s=_size(len(x_N)), c=colours_N[order_N], alpha=_alpha(len(x_N)), linewidths=0
                )
                axes.set_ylim(limits[row])
            axes.tick_params(labelsize=7, labelbottom=row == len(names) - 1, labelleft=column == 0)
            axes.locator_params(nbins=4)
            if row == len(names) - 1:
                axes.set_xlabel(names[column], fontsize=9, color=INK)
            if column == 0:
                axes.set_ylabel(names[row], fontsize=9, color=INK)
                axes.yaxis.set_label_coords(-0.3, 0.5)
    return png(figure)


def histograms(panels: Sequence[tuple[str, Values, Values]]) -> str:
    """Draw distributions of image quantities beside each other as SVG: (name, reals, synthetics) each."""
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, *sources) in zip(grid, panels, strict=True):
        real_N, synthetic_N = (values_N[np.isfinite(values_N)] for values_N in sources)
        both_N = np.concatenate([real_N, synthetic_N])
        if len(both_N):
            histogram(axes, real_N, synthetic_N, _range(both_N))
        style_axes(axes, x=name)
        axes.set_yticks([])
    return svg(figure)


def histogram(axes: Axes, real_N: Values, synthetic_N: Values, limits: tuple[float, float]) -> None:
    """Lay both sources' densities over each other, on the same bins."""
    edges = np.linspace(*limits, BINS + 1)
    for values_N, colour in ((real_N, REAL), (synthetic_N, SYNTHETIC)):
        if len(values_N):
            counts, _ = np.histogram(np.clip(values_N, *limits), edges)
            axes.stairs(counts / len(values_N), edges, color=colour, alpha=0.28, fill=True)
            axes.stairs(counts / len(values_N), edges, color=colour, linewidth=1.1)
    axes.set_xlim(limits)
    axes.spines["left"].set_visible(False)


def _finite(values_NM: Values) -> Values:
    return np.asarray(values_NM[np.isfinite(values_NM).all(axis=1)])


def _some(values_NM: Values) -> Values:
    """Take at most so many, evenly."""
    if len(values_NM) <= MOST_POINTS:
        return values_NM
    return np.asarray(values_NM[np.linspace(0, len(values_NM) - 1, MOST_POINTS).astype(int)])


def _alpha(count: int) -> float:
    """Let points shine through each other the more there are of them; 0.15 for thousands."""
    return float(np.clip(60 / np.sqrt(max(1, count)) / 6, 0.15, 0.7))


def _size(count: int) -> float:
    """Make points of a few images large enough to be seen, square points."""
    return float(np.clip(3000 / max(1, count), 5, 18))


def _range(values_N: Values) -> tuple[float, float]:
    low, high = np.quantile(values_N, SHOWN)
    margin = 0.04 * (high - low) or max(abs(float(low)), 1.0) * 1e-3
    return float(low - margin), float(high + margin)
