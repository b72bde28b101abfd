"""What the figures of every page share: colours, axes, and SVG that is the same for the same numbers."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, LINE = "#1b2a3a", "#8a97a5", "#cfd6dd"
COLOURS = ("#0b6e8f", "#c8553d", "#5b8e3e", "#8e5ba6", "#d4a017", "#4a4a8a", "#7a5c3e")
REAL, SYNTHETIC = "#c0392b", "#1f5fa8"
"""Red and blue, as in the papers' moments plots; they differ in lightness as well."""


def style_axes(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Style axes as all pages have them, with title and labels."""
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=8, color=MUTED)
    axes.set_ylabel(y, fontsize=8, color=MUTED)
    axes.tick_params(which="both", labelsize=8, colors=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)


def svg(figure: Figure) -> str:
    """Write a figure as an element of a page, which scales on any screen and in print."""
    stream = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": "mammogan"}):  # so that the same numbers give the same bytes
        figure.savefig(stream, format="svg", transparent=True, metadata=metadata)
    text = stream.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, dots_per_inch: int = 110) -> bytes:
    """Write a figure of many points as PNG, where SVG would be megabytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return stream.getvalue()


def inlined(picture: bytes) -> str:
    """Encode a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()
