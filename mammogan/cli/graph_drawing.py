"""The job graph as text of three kinds of diagram: Mermaid, Graphviz' dot, and SVG that needs neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# Fill and border by state; a graph without states is grey.
FILLS = {
    "": ("#f4f4f5", "#71717a"),
    "running": ("#cffafe", "#0891b2"),
    "queued": ("#dbeafe", "#2563eb"),
    "unknown": ("#fae8ff", "#a21caf"),
    "failed": ("#fecaca", "#dc2626"),
    "cancelled": ("#fee2e2", "#f87171"),
    "blocked": ("#fef9c3", "#ca8a04"),
    "waiting": ("#f4f4f5", "#71717a"),
    "done": ("#dcfce7", "#16a34a"),
}
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 190, 44, 230, 66, 20


@dataclass(frozen=True)
class Box:
    """One node as it is drawn; `state` is empty where there is no run yet."""

    name: str
    tasks: int
    resource: str
    needs: tuple[str, ...]
    state: str = ""
    done: int = 0

    @property
    def description(self) -> str:
        """State, and how many of an array's tasks are done."""
        return f"{self.state} {self.done}/{self.tasks}" if self.state and self.tasks > 1 else self.state

    @property
    def lines(self) -> tuple[str, str]:
        """The two lines in the box."""
        several = f" x {self.tasks}" if self.tasks > 1 else ""
        return (
            f"{self.name}{several}",
            f"{self.resource}, {self.description}" if self.state else self.resource,
        )


def mermaid(boxes: Sequence[Box]) -> str:
    """Write a flowchart that GitHub and GitLab draw inside a code block of the kind ``mermaid``."""
    lines = ["flowchart TD"]
    for box in boxes:
        lines.append(f'  {box.name}["{box.lines[0]}<br/>{box.lines[1]}"]')
        lines += [f"  {need} --> {box.name}" for need in box.needs]
    for state, names in _by_state(boxes).items():
        fill, border = FILLS[state]
        lines.append(f"  classDef {state} fill:{fill},stroke:{border},color:#18181b")
        lines.append(f"  class {','.join(names)} {state}")
    return "\n".join(lines) + "\n"


def dot(boxes: Sequence[Box]) -> str:
    """Write a digraph for Graphviz."""
    lines = ["digraph mammogan {", '  node [shape=box, style="rounded,filled", fontname="sans-serif"];']
    for box in boxes:
        fill, border = FILLS[box.state]
        label = "\\n".join(box.lines)
        lines.append(f'  "{box.name}" [label="{label}", fillcolor="{fill}", color="{border}"];')
        lines += [f'  "{need}" -> "{box.name}";' for need in box.needs]
    return "\n".join([*lines, "}"]) + "\n"


def svg(boxes: Sequence[Box]) -> str:
    """Draw a row for each step of the longest way through the graph; what runs side by side stands so."""
    places = _places(boxes)
    x = {name: MARGIN + ACROSS * lane for name, (_, lane) in places.items()}
    y = {name: MARGIN + DOWN * row for name, (row, _) in places.items()}
    width = max(x.values()) + WIDTH + 3 * MARGIN
    height = max(y.values()) + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="13" text-anchor="middle">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#52525b"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for box in boxes:
        parts += [
            f'<path d="{_way(places, x, y, need, box.name)}" fill="none" stroke="#52525b" '
            'marker-end="url(#tip)"/>'
            for need in box.needs
        ]
    for box in boxes:
        (fill, border), middle, top = FILLS[box.state], x[box.name] + WIDTH // 2, y[box.name]
        parts += [
            f'<rect x="{x[box.name]}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
            f'stroke="{border}" stroke-width="1.5"/>',
            f'<text x="{middle}" y="{top + 18}" font-weight="bold">{box.lines[0]}</text>',
            f'<text x="{middle}" y="{top + 35}" font-size="11" fill="#3f3f46">{box.lines[1]}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


DIAGRAMS: dict[str, Callable[[Sequence[Box]], str]] = {"mermaid": mermaid, "dot": dot, "svg": svg}


def _by_state(boxes: Sequence[Box]) -> dict[str, list[str]]:
    states: dict[str, list[str]] = {}
    for box in boxes:
        if box.state:
            states.setdefault(box.state, []).append(box.name)
    return states


def _places(boxes: Sequence[Box]) -> dict[str, tuple[int, int]]:
    """Place each node at (row, lane): below all that it waits for, and left where the longest way goes."""
    rows: dict[str, int] = {}
    for box in boxes:
        rows[box.name] = 1 + max((rows[need] for need in box.needs), default=-1)
    below: dict[str, int] = {}
    for box in reversed(boxes):
        below.setdefault(box.name, 0)
        for need in box.needs:
            below[need] = max(below.get(need, 0), below[box.name] + 1)
    places: dict[str, tuple[int, int]] = {}
    for row in range(max(rows.values()) + 1):
        in_row = sorted((box.name for box in boxes if rows[box.name] == row), key=lambda n: -below[n])
        for lane, name in enumerate(in_row):
            places[name] = row, lane
    return places


def _way(
    places: Mapping[str, tuple[int, int]], x: Mapping[str, int], y: Mapping[str, int], one: str, other: str
) -> str:
    """Draw straight to the next row, and around the right of what is between."""
    if places[other][0] == places[one][0] + 1:
        start, end = x[one] + WIDTH // 2, x[other] + WIDTH // 2
        return f"M{start} {y[one] + HEIGHT}L{end} {y[other] - 2}"
    right, middle = x[one] + WIDTH, HEIGHT // 2
    edge = max(x[one], x[other]) + WIDTH + MARGIN
    end = x[other] + WIDTH + 2
    return f"M{right} {y[one] + middle}H{edge}V{y[other] + middle}H{end}"
