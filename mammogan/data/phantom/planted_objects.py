"""Foreign bodies, for which a pipeline must refuse an image: each is drawn over the finished grey picture.

Coarse calcifications stand among them as what a pipeline must tell from them: as white, and harmless. Shape,
size and place are drawn anew for every view, as no two devices and no two operations look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.phantom.anatomy import Array
from mammogan.data.phantom.breast_tissue import MARGIN, Grid, ellipse
from mammogan.data.phantom.tissue_texture import smooth_step

Draw = Callable[[Array, Grid, np.random.Generator], Array]


def _implant(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw a smooth, bright, sharply bordered prosthesis: silicone or saline, round or like a drop."""
    place = np.argwhere(grid.to_skin[:, MARGIN:] > 8)
    height = rng.uniform(0.28, 0.38) * np.ptp(place[:, 0]) * grid.pitch_mm
    depth = rng.uniform(0.42, 0.66) * place[:, 1].max() * grid.pitch_mm
    middle = np.percentile(place[:, 0], rng.uniform(44, 62)) * grid.pitch_mm
    drop = rng.uniform(0, 0.25) * (grid.y - np.float32(middle)) / np.float32(height)  # fuller below
    distance = ellipse(grid, 0.05 * depth, middle, depth, height, rng.normal(0, 0.1)) * (1 - drop / 2)
    level = rng.uniform(0.9, 0.96) if rng.random() < 0.6 else rng.uniform(0.78, 0.88)  # saline lets more pass
    body = smooth_step((1.02 - distance) / 0.04) * (grid.to_skin > 2)
    capsule = 0.05 * np.exp(-(((distance - 0.975) / 0.02) ** 2))
    return np.asarray(grey + body * (np.float32(level) + capsule - grey), np.float32)


def _pacemaker(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw a metal can with its battery in or near the axilla, and the lead running up and away."""
    width, height = (float(side.max()) for side in (grid.x, grid.y))
    x, y = rng.uniform(0.1, 0.25) * width, rng.uniform(0.08, 0.22) * height
    a, turn = rng.uniform(19, 27), rng.uniform(0, 3)
    b = a * rng.uniform(0.75, 0.95)
    can = np.clip((1.0 - ellipse(grid, x, y, a, b, turn) ** 3) * 12, 0, 1)
    battery = np.clip(
        (1.0 - ellipse(grid, x + 0.15 * a, y + 0.2 * b, 0.55 * a, 0.5 * b, turn) ** 4) * 12, 0, 1
    )
    along = np.linspace(0, 1, 60)
    lead = np.stack([x - 10 + 22 * np.sin(rng.uniform(3, 6) * along), y - 0.9 * b - along * (y + 10)], axis=1)
    metal = np.maximum(can * (rng.uniform(0.92, 1) + 0.1 * battery), _lines(grid, [lead], 2))
    return np.asarray(np.maximum(grey, np.minimum(metal, 1)), np.float32)


def _clips(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw small surgical clips, bright short bars about the place of an old operation."""
    x, y = _middle(grid)
    bars = []
    for _ in range(int(rng.integers(3, 8))):
        centre = np.array([x, y]) + rng.normal(0, 9, 2)
        turn, half = rng.uniform(0, np.pi), rng.uniform(1.5, 3.5)
        step = half * np.array([np.cos(turn), np.sin(turn)])
        bars.append(np.stack([centre - step, centre + step]))
    return np.asarray(np.maximum(grey, _lines(grid, bars, rng.uniform(0.7, 1.4))), np.float32)


def _wire(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw a localisation wire with its hook, from outside through the skin."""
    x, y = _middle(grid)
    turn = rng.uniform(-1.2, 1.2)
    out, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    tip, bend = np.array([x, y]), rng.normal(0, 6)
    line = np.stack([tip + 5 * out + 3 * side, tip, tip + 60 * out + bend * side, tip + 130 * out])
    return np.asarray(np.maximum(grey, _lines(grid, [line], rng.uniform(0.5, 0.9))), np.float32)


def _coarse_calcifications(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw benign calcifications of up to 2 mm that saturate."""
    x, y = _middle(grid)
    for _ in range(int(rng.integers(3, 9))):
        a = rng.uniform(0.3, 0.95)
        place = ellipse(grid, x + rng.normal(0, 14), y + rng.normal(0, 18), a, a * rng.uniform(0.7, 1), 0)
        grey = np.maximum(grey, smooth_step((1.25 - place) / 0.5) * (grid.to_skin > 2))
    return grey


def _rim(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw the walls of a square spot paddle, seen edge-on in tissue and in air."""
    outside = _outside_field(grid, rng)
    wall = np.exp(-((outside / np.float32(rng.uniform(0.9, 1.6))) ** 4))
    beyond = 1 + np.float32(rng.uniform(0, 0.12)) * (outside > 0)  # less compressed: thicker
    return np.asarray(np.minimum(grey * beyond + rng.uniform(0.12, 0.25) * wall, 1), np.float32)


def _shutter(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Black out all but the field of a spot view, as its collimator does."""
    return np.asarray(grey * (_outside_field(grid, rng) < 0), np.float32)


def _lip(grey: Array, grid: Grid, rng: np.random.Generator) -> Array:
    """Draw the rear lip of a paddle that stood too far forward: a bright band along the chest wall."""
    slant = np.float32(np.tan(rng.normal(0, 0.015)))
    place = grid.x + slant * (grid.y - grid.y.mean())
    band = smooth_step((np.float32(rng.uniform(8, 18)) - place) / np.float32(0.7))
    return np.asarray(np.minimum(grey + rng.uniform(0.15, 0.35) * band, 1), np.float32)


def _outside_field(grid: Grid, rng: np.random.Generator) -> Array:
    """Measure in mm how far outside a spot field with round corners a point lies; negative inside."""
    x, y = _middle(grid)
    turn = rng.normal(0, 0.02)
    across, down, corner = rng.uniform(38, 52), rng.uniform(38, 52), rng.uniform(4, 12)
    dx, dy = grid.x - np.float32(x), grid.y - np.float32(y + rng.normal(0, 6))
    u = np.abs(dx * np.cos(turn) + dy * np.sin(turn)) - np.float32(across - corner)
    v = np.abs(dy * np.cos(turn) - dx * np.sin(turn)) - np.float32(down - corner)
    outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0) - corner
    return np.asarray(outside, np.float32)


def _lines(grid: Grid, lines_mm: Sequence[NDArray[np.floating]], width_mm: float) -> Array:
    """Draw polylines, 0..1; one narrower than the grid is as much fainter."""
    canvas = np.zeros(grid.x.shape, np.uint8)
    fixed = [np.round((line / grid.pitch_mm + (MARGIN, 0)) * 16).astype(np.int32) for line in lines_mm]
    cv2.polylines(canvas, fixed, False, 255, max(1, round(width_mm / grid.pitch_mm)), cv2.LINE_AA, 4)
    return np.asarray(canvas * np.float32(min(1.0, width_mm / grid.pitch_mm) / 255), np.float32)


def _middle(grid: Grid) -> tuple[float, float]:
    """Find a place in the middle of the breast: before the deepest one, which is at the chest wall."""
    row, column = np.unravel_index(int(np.argmax(grid.to_skin[:, MARGIN:])), grid.to_skin[:, MARGIN:].shape)
    return float(column * grid.pitch_mm) + 24, float(row * grid.pitch_mm)


BODIES: dict[str, Draw] = {
    "implant": _implant,
    "pacemaker": _pacemaker,
    "clips": _clips,
    "wire": _wire,
    "coarse_calcifications": _coarse_calcifications,
    "paddle_rim": _rim,
    "paddle_shutter": _shutter,
    "paddle_lip": _lip,
}
