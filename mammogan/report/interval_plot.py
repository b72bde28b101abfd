"""A measure as a plot of one line: its value, its interval, and the range of reals beside reals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammogan.pages.figure_style import INK, LINE, MUTED, SYNTHETIC

WIDTH_PX, HEIGHT_PX, MARGIN_PX = 180, 22, 8
NULL = "#e3b7b1"


def interval_plot(measure: Mapping[str, Any]) -> str:
    """Draw a measure as an SVG of one line.

    The red band is what halves of the reals give, the blue line the value's interval, the diamond the value,
    the ring the value of as few images as a half has (which is what to compare with the band), and the tick
    what equal distributions have.
    """
    null, interval = measure["null"], measure["ci"]
    matched = measure["matched"]
    known = [measure["value"], matched, measure["ideal"]]
    known += [bound[end] for bound in (null, interval) if bound for end in ("low", "high")]
    numbers = [number for number in known if number is not None]
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    scale = (WIDTH_PX - 2 * MARGIN_PX) / ((high - low) or 1)
    middle = HEIGHT_PX / 2

    def x(number: float) -> float:
        return float(round(MARGIN_PX + (number - low) * scale, 1))

    marks = [_line(x(low), x(high) if high > low else WIDTH_PX - MARGIN_PX, middle, LINE, 1)]
    if null and null["low"] is not None:
        width = max(2.0, x(null["high"]) - x(null["low"]))
        marks.append(
            f'<rect x="{x(null["low"])}" y="3" width="{width:.1f}" height="16" rx="3" fill="{NULL}"/>'
        )
    if measure["ideal"] is not None:
        at = x(measure["ideal"])
        marks.append(f'<path d="M{at} 1V{HEIGHT_PX - 1}" stroke="{MUTED}" stroke-dasharray="2 2"/>')
    if interval and interval["low"] is not None:
        marks.append(_line(x(interval["low"]), x(interval["high"]), middle, SYNTHETIC, 2))
    if matched is not None:
        marks.append(
            f'<circle cx="{x(matched)}" cy="{middle}" r="4" fill="none" stroke="{INK}" stroke-width="1.4"/>'
        )
    if measure["value"] is not None:
        at = x(measure["value"])
        marks.append(f'<path d="M{at} {middle - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z" fill="{SYNTHETIC}"/>')
    size = f'width="{WIDTH_PX}" height="{HEIGHT_PX}" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}"'
    return (
        f'<svg class="interval" {size} role="img" aria-label="{description(measure)}">{"".join(marks)}</svg>'
    )


def verdict(measure: Mapping[str, Any]) -> str:
    """Return how a measure lies to what halves of the reals give, for as few images; empty if unknown.

    ``like`` is inside their range, ``closer`` beyond it on the side of equal distributions, as copies of the
    very reals would be, and ``unlike`` anywhere else.
    """
    null, ideal = measure["null"], measure["ideal"]
    value = measure["matched"] if measure["matched"] is not None else measure["value"]
    if not null or value is None or null["low"] is None:
        return ""
    if null["low"] <= value <= null["high"]:
        return "like"
    edge = null["low"] if value < null["low"] else null["high"]
    return "closer" if ideal is not None and abs(value - ideal) < abs(edge - ideal) else "unlike"


def description(measure: Mapping[str, Any]) -> str:
    """Return what the plot shows in words."""
    parts = [f"value {format_number(measure['value'])}"]
    for name, key in (("95 % interval", "ci"), ("reals beside reals", "null")):
        if measure[key]:
            parts.append(
                f"{name} {format_number(measure[key]['low'])} to {format_number(measure[key]['high'])}"
            )
    return ", ".join(parts)


def format_number(number: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits."""
    if number is None:
        return "unknown"
    return f"{number:.{digits}g}" if abs(number) < 1000 else f"{number:,.0f}"


def _line(first: float, last: float, y: float, colour: str, width: float) -> str:
    return f'<path d="M{first} {y}H{max(last, first + 1)}" stroke="{colour}" stroke-width="{width}"/>'
