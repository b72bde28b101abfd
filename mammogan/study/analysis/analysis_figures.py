"""The analysis in pictures, as SVG: the paper's figure 7, forests, the readers in order, ROC and times.

Shape suffixes: R readers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mammogan.pages.figure_style import COLOURS, INK, LINE, MUTED, style_axes, svg
from mammogan.study.analysis.equivalence import CHANCE
from mammogan.study.analysis.study_statistics import Analysis

BLUE, RED, GREEN = COLOURS[:3]
BAND = "#e6f0f3"


def histogram(found: Analysis) -> str:
    """Draw complete readers by success rate over what a coin gives, and the range of 95 % of fair studies."""
    shown, figure = found.histogram, Figure(figsize=(7.6, 3.7), layout="constrained")
    axes, x = figure.subplots(), np.arange(len(shown.counts_B))
    axes.bar(x, shown.counts_B, width=0.86, color=BLUE, alpha=0.85, label="readers", zorder=2)
    reach = shown.expected_B - shown.low_B, shown.high_B - shown.expected_B
    axes.errorbar(
        x,
        shown.expected_B,
        yerr=np.maximum(0, reach),
        color=RED,
        ecolor=RED,
        marker="o",
        markersize=4.5,
        linewidth=1.6,
        elinewidth=1,
        capsize=3,
        label=f"chance: Bin({len(x) - 1}, 0.5), and 95 % of fair studies",
        zorder=3,
    )
    top = max(shown.counts_B.max(), shown.high_B.max(), 1)
    axes.set_ylim(0, top * 1.18)
    ticks = x if len(x) <= 13 else x[:: max(1, len(x) // 10)]
    names = [f"{100 * k / (len(x) - 1):.0f} %\n{shown.counts_B[k]}" for k in ticks]
    axes.set_xticks(ticks, names, linespacing=1.5)
    style_axes(axes, x="success rate, and readers who had it", y="readers")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return svg(figure)


def shares(found: Analysis) -> str:
    """Draw every group's share of right answers with its interval, over the margin of equivalence."""
    rows = [(group.name, group.trials, group.share) for group in found.groups if group.share]
    axes, figure = _forest(len(rows))
    margin = found.design.margin
    axes.axvspan(CHANCE - margin, CHANCE + margin, color=BAND, linewidth=0, zorder=0)
    for row, (_, _, each) in enumerate(rows):
        _interval(axes, row, each.value, *each.interval(), colour=BLUE if row else INK)
    axes.axvline(CHANCE, color=MUTED, linewidth=0.9, linestyle="--", zorder=1)
    low = min(each.interval()[0] for _, _, each in rows)
    high = max(each.interval()[1] for _, _, each in rows)
    reach = max(CHANCE - low, high - CHANCE, margin) + 0.03
    axes.set_xlim(max(-0.01, CHANCE - reach), min(1.01, CHANCE + reach))
    names = [f"{name}  ({trials:,})" for name, trials, _ in rows]
    return _finished(figure, axes, names, "share of right answers, 95 % interval; shaded: the margin")


def differences(found: Analysis) -> str:
    """Draw the comparisons' differences with their intervals."""
    rows = [(each.name, each.difference) for each in found.comparisons if each.difference]
    if not rows:
        return ""
    axes, figure = _forest(len(rows))
    axes.axvline(0, color=MUTED, linewidth=0.9, linestyle="--", zorder=1)
    for row, (_, each) in enumerate(rows):
        _interval(axes, row, each.value, each.low, each.high, BLUE)
    reach = max(max(abs(each.low), abs(each.high)) for _, each in rows) * 1.08
    axes.set_xlim(-reach, reach)
    return _finished(figure, axes, [name for name, _ in rows], "difference, 95 % interval")


def readers(found: Analysis) -> str:
    """Draw each reader's share with its exact interval, from the fewest right to the most."""
    trials, tests = found.trials, found.readers
    rate_R = trials.right / trials.answered
    order_R = np.lexsort((tests.high_R, rate_R))
    above_R = tests.p_above_R[order_R] <= 0.05
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes, x = figure.subplots(), np.arange(len(order_R))
    for mask_R, colour, name in (
        (~above_R, MUTED, "exact 95 % interval"),
        (above_R, RED, "beats a coin at 5 %"),
    ):
        if mask_R.any():
            axes.vlines(
                x[mask_R],
                tests.low_R[order_R][mask_R],
                tests.high_R[order_R][mask_R],
                color=colour,
                linewidth=1.1,
                alpha=0.75,
            )
            axes.scatter(
                x[mask_R],
                rate_R[order_R][mask_R],
                s=14,
                color=INK if colour is MUTED else RED,
                zorder=3,
                label=name,
            )
    axes.axhline(CHANCE, color=MUTED, linewidth=0.9, linestyle="--")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(-1, len(x))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xticks([])
    style_axes(axes, x=f"{len(x)} readers, ordered by share of right answers")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return svg(figure)


def roc(found: Analysis) -> str:
    """Draw the ROC curve of confidence; nothing where none was given."""
    curve = found.roc
    if curve is None:
        return ""
    figure = Figure(figsize=(3.5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle="--")
    axes.plot(curve.false_T, curve.true_T, color=BLUE, marker="o", markersize=3.5, linewidth=1.6)
    axes.set_aspect("equal")
    style_axes(axes, x="called left, synthetic on the right", y="called left, synthetic on the left")
    return svg(figure)


def times(found: Analysis) -> str:
    """Draw times to the answer on a logarithmic axis, right and wrong; nothing where none is known."""
    trials = found.trials
    seconds_N = trials.rt_ms_N / 1000
    known_N = np.isfinite(seconds_N) & (seconds_N > 0)
    if not known_N.any():
        return ""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    axes = figure.subplots()
    low, high = seconds_N[known_N].min(), seconds_N[known_N].max()
    bins = np.geomspace(low, high * 1.001 if high > low else high * 2, 31).tolist()
    for right, colour, name in ((1, BLUE, "right"), (0, RED, "wrong")):
        values = seconds_N[known_N & (trials.correct == right)]
        if len(values):
            axes.hist(values, bins, histtype="step", color=colour, linewidth=1.5, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    axes.tick_params(which="minor", labelsize=8, colors=MUTED)
    style_axes(axes, x="seconds to the answer", y="pairs")
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def _forest(rows: int) -> tuple[Axes, Figure]:
    figure = Figure(figsize=(9.2, 0.75 + 0.3 * rows), layout="constrained")
    return figure.subplots(), figure


def _interval(axes: Axes, row: int, value: float, low: float, high: float, colour: str) -> None:
    axes.hlines(row, low, high, color=colour, linewidth=1.8, zorder=2)
    axes.plot(value, row, marker="s", markersize=5.5, color=colour, zorder=3)


def _finished(figure: Figure, axes: Axes, names: Sequence[str], what: str) -> str:
    axes.set_ylim(len(names) - 0.4, -0.6)
    style_axes(axes, x=what)
    axes.set_yticks(range(len(names)), names, fontsize=8.5, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=LINE, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return svg(figure)
