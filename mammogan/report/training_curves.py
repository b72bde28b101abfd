"""The report's curves: training, and the score of each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mammogan.pages.figure_style import COLOURS, INK, MUTED, style_axes, svg
from mammogan.run_records import Score

SHOWN = "thousand real images shown"


def loss_curves(stages: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> str:
    """Draw Wasserstein estimate, penalty and label losses over kimg; `stages` are (name, journal metrics)."""
    panels = (
        ("Critic: Wasserstein estimate", {"estimate": ("critic/wasserstein", -1)}),
        ("Gradient penalty", {"penalty": ("critic/penalty", 1)}),
        (
            "Classification of the view (cross-entropy)",
            {"real": ("critic/label_real", 1), "synthetic": ("generator/label", 1)},
        ),
    )
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for colour, (label, (key, sign)) in zip(COLOURS, lines.items(), strict=False):
            x = [point["kimg"] for _, points in stages for point in points]
            y = [sign * point[key] for _, points in stages for point in points]
            axes.plot(x, y, color=colour, linewidth=1.4, label=label)
        for _, points in stages[1:]:
            if points:
                axes.axvline(points[0]["kimg"], color=MUTED, linewidth=0.6, linestyle=":")
        style_axes(axes, title, SHOWN)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def swd_curves(scores: Sequence[Score]) -> str:
    """Draw SWD by level over kimg for the checkpoints of a stage, each with its floor dashed, and by view."""
    figure = Figure(figsize=(11, 3.3), layout="constrained")
    axes = figure.subplots()
    x = [score.kimg for score in scores]
    for level, colour in zip(range(len(scores[0].levels)), COLOURS, strict=False):
        facts = [score.levels[level] for score in scores]
        name = f"{facts[0].height_px}x{facts[0].width_px}"
        axes.plot(x, [f.swd for f in facts], color=colour, marker="o", markersize=4, label=name)
        axes.axhline(facts[0].floor, color=colour, linewidth=0.8, linestyle="--")
    axes.errorbar(
        x,
        [score.swd for score in scores],
        yerr=[score.sd if score.above_floor_error is None else score.above_floor_error for score in scores],
        color=INK,
        marker="s",
        linewidth=2,
        capsize=3,
        label="mean of levels",
    )
    for view, style in zip(scores[0].views, ("-.", ":"), strict=False):
        means = [score.views[view].swd for score in scores]
        axes.plot(x, means, color=INK, linewidth=1.2, linestyle=style, label=view)
    axes.set_ylim(bottom=0)
    style_axes(axes, "Sliced Wasserstein distance x 1000 (dashed: real against real)", SHOWN)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return svg(figure)
