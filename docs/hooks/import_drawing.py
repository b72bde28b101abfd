"""The drawing of the rooms and of what imports what, made from the import lines of the code.

``python -m docs.hooks.import_drawing`` writes it anew; a test compares.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "mammogan"
DRAWING = ROOT / "docs" / "pictures" / "rooms.svg"
BOX_WIDTH, BOX_HEIGHT, WAY_WIDTH, GAP_X, GAP_Y, MARGIN, WIDTH = 118, 34, 4, 14, 44, 16, 1010
SWEEPS = 24

Edges = Counter[tuple[str, str]]


@cache
def rooms() -> frozenset[str]:
    """List the rooms: each folder or file directly in the package, but for the entry points.

    ``_version`` is there only where the package is installed, and ``__main__`` is the command line again.
    """
    found = (_room(path) for path in _modules())
    return frozenset(room for room in found if room and not room.startswith("_"))


def imports() -> Edges:
    """Count the modules of one room that import another: (importer, imported) to number."""
    found: Edges = Counter()
    for path in _modules():
        importer = _room(path)
        if importer in rooms():
            found.update((importer, other) for other in _imported(path) if other != importer)
    return found


def layers() -> list[list[str]]:
    """List the rooms row by row as the layers' contract has them, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layered = next(contract for contract in contracts["contracts"] if contract["type"] == "layers")["layers"]
    rows = [[name.strip().removeprefix(f"{PACKAGE}.") for name in row.split("|")] for row in layered]
    known = rooms()
    rows = [[name for name in row if name in known] for row in rows]
    rows[-1] += sorted(known - {name for row in rows for name in row})
    return [row for row in rows if row]


def draw() -> str:
    """Draw the rooms as SVG: a row a layer, and an arrow where no longer way says the same."""
    rows = layers()
    edges = sorted(edge for edge in reduced(set(imports())))
    middles = _arranged(rows, edges)
    height = 2 * MARGIN + len(rows) * BOX_HEIGHT + (len(rows) - 1) * GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" role="img" aria-label="Rooms of the package and their imports">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#8a97a5"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    depth_of = {name: depth for depth, row in enumerate(rows) for name in row}
    for edge in edges:
        parts.append(_arrow(edge, depth_of, middles))
    for name, depth in depth_of.items():
        middle, y = middles[name, depth], MARGIN + depth * (BOX_HEIGHT + GAP_Y)
        parts.append(
            f'<rect x="{middle - BOX_WIDTH / 2:g}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" '
            'fill="#f5f7f9" stroke="#0b6e8f" stroke-width="1.5"/>'
            f'<text x="{middle:g}" y="{y + BOX_HEIGHT / 2 + 5:g}" text-anchor="middle" font-size="14" '
            f'font-weight="600" fill="#1b2a3a">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def table() -> str:
    """List as Markdown what each room imports, with the number of modules that do."""
    edges, lines = imports(), ["| room | imports (number of its modules that do) |", "|---|---|"]
    for row in layers():
        for name in row:
            below = sorted((there, count) for (here, there), count in edges.items() if here == name)
            lines.append(
                f"| `{name}` | {', '.join(f'{there} ({count})' for there, count in below) or 'nothing'} |"
            )
    return "\n".join(lines)


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out each edge whose target is reached by a longer way, too."""
    below: dict[str, set[str]] = {}
    for source, target in edges:
        below.setdefault(source, set()).add(target)

    def reaches(start: str, end: str, seen: set[str]) -> bool:
        return any(
            step == end or (step not in seen and reaches(step, end, seen | {step}))
            for step in below.get(start, ())
        )

    return {
        (source, target)
        for source, target in edges
        if not any(reaches(step, target, {source}) for step in below[source] - {target})
    }


def _arranged(rows: list[list[str]], edges: list[tuple[str, str]]) -> dict[tuple[object, int], float]:
    """Place rooms, and the ways of long arrows between them, so that few lines cross: middles by (name, row).

    A way is a place of its own, named by its arrow, in each row that the arrow passes; rows are sorted again
    and again by the mean place of what they are joined to (Sugiyama et al. 1981).
    """
    depth_of = {name: depth for depth, row in enumerate(rows) for name in row}
    placed: list[list[object]] = [list(row) for row in rows]
    joined: dict[tuple[object, int], list[tuple[object, int]]] = {}
    for edge in edges:
        top, bottom = depth_of[edge[0]], depth_of[edge[1]]
        way: list[tuple[object, int]] = [(edge[0], top)]
        for depth in range(top + 1, bottom):
            placed[depth].append(edge)
            way.append((edge, depth))
        way.append((edge[1], bottom))
        for upper, lower in pairwise(way):
            joined.setdefault(upper, []).append(lower)
            joined.setdefault(lower, []).append(upper)
    middles = {at: x for depth, row in enumerate(placed) for at, x in _spread(row, depth).items()}
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for depth in range(len(placed))[::step]:
            pull = {}
            for name in placed[depth]:
                near = [middles[at] for at in joined.get((name, depth), ()) if at[1] == depth - step]
                pull[name] = sum(near) / len(near) if near else middles[name, depth]
            placed[depth].sort(key=pull.__getitem__)
            middles |= _spread(placed[depth], depth)
    return middles


def _spread(row: list[object], depth: int) -> dict[tuple[object, int], float]:
    """Lay a row's boxes and ways beside each other about the middle."""
    widths = [BOX_WIDTH if isinstance(name, str) else WAY_WIDTH for name in row]
    x = (WIDTH - sum(widths) - GAP_X * (len(row) - 1)) / 2
    found = {}
    for name, width in zip(row, widths, strict=True):
        found[name, depth] = x + width / 2
        x += width + GAP_X
    return found


def _arrow(edge: tuple[str, str], depth_of: dict[str, int], middles: dict[tuple[object, int], float]) -> str:
    (source, target), (top, bottom) = edge, (depth_of[edge[0]], depth_of[edge[1]])
    if top == bottom:  # rooms beside each other
        y, right = (
            MARGIN + top * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT / 2,
            middles[target, top] > middles[source, top],
        )
        half = BOX_WIDTH / 2 if right else -BOX_WIDTH / 2
        path = f"M{middles[source, top] + half:g} {y:g} H{middles[target, top] - half:g}"
    else:
        y = MARGIN + top * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT
        path, x = f"M{middles[source, top]:g} {y}", middles[source, top]
        for depth in range(top + 1, bottom + 1):
            to_x, to_y = middles[edge if depth < bottom else target, depth], y + GAP_Y
            bend, tip = y + GAP_Y / 2, to_y - (2 if depth == bottom else 0)
            path += f" C{x:g} {bend:g} {to_x:g} {bend:g} {to_x:g} {tip}"
            if depth < bottom:
                path += f" v{BOX_HEIGHT}"
            x, y = to_x, to_y + BOX_HEIGHT
    return f'<path d="{path}" stroke="#8a97a5" stroke-width="1.3" fill="none" marker-end="url(#tip)"/>'


def _modules() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def _room(path: Path) -> str:
    """Name the room of a file; that of the package's own ``__init__`` has no name."""
    first = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def _imported(path: Path) -> set[str]:
    """List the rooms that a file imports anywhere in it, in functions too."""
    known, found = rooms(), set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith(f"{PACKAGE}.")}
    return found & known


if __name__ == "__main__":
    DRAWING.write_text(draw(), encoding="utf-8")
