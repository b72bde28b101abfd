"""Foreign bodies, for which a pipeline must refuse an image: each is drawn over the finished grey picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mammogan.data.phantom.anatomy import Array
from mammogan.data.phantom.texture import smooth_step
from mammogan.data.phantom.tissue import MARGIN, Grid, ellipse


def _implant(grey: Array, grid: Grid) -> Array:
    """Draw a smooth, bright, sharply bordered ellipse behind the gland, its capsule brightest."""
    place = np.argwhere(grid.to_skin[:, MARGIN:] > 8)
    height = 0.36 * np.ptp(place[:, 0]) * grid.pitch_mm
    depth = 0.58 * place[:, 1].max() * grid.pitch_mm
    middle = np.percentile(place[:, 0], 58) * grid.pitch_mm
    distance = ellipse(grid, 0.05 * depth, middle, depth, height, 0.04)
    body = smooth_step((1.02 - distance) / 0.04) * (grid.to_skin > 2)
    capsule = 0.05 * np.exp(-(((distance - 0.975) / 0.02) ** 2))
    return np.asarray(grey + body * (0.91 + capsule - grey), np.float32)


def _pacemaker(grey: Array, grid: Grid) -> Array:
    """Draw a metal can with its battery in the axilla, and the lead running up and away."""
    height, width = grid.x.shape[0] * grid.pitch_mm, grid.x.shape[1] * grid.pitch_mm
    x, y = 0.16 * width, 0.15 * height
    can = np.clip((1.0 - ellipse(grid, x, y, 24, 21, 0.4) ** 3) * 12, 0, 1)
    battery = np.clip((1.0 - ellipse(grid, x + 4, y + 5, 13, 11, 0.4) ** 4) * 12, 0, 1)
    canvas = np.zeros(grid.x.shape, np.uint8)
    along = np.linspace(0, 1, 60)
    lead = np.stack([x - 10 + 22 * np.sin(5 * along), y - 20 - along * (y + 10)], axis=1)
    cv2.polylines(canvas, [_fixed(lead, grid)], False, 255, max(1, round(2 / grid.pitch_mm)), cv2.LINE_AA, 4)
    metal = np.maximum(can * (0.9 + 0.1 * battery), canvas.astype(np.float32) / 255)
    return np.asarray(np.maximum(grey, metal), np.float32)


def _clips(grey: Array, grid: Grid) -> Array:
    """Draw five small surgical clips: bright short bars about the place of an old operation."""
    x, y = _middle(grid)
    canvas = np.zeros(grid.x.shape, np.uint8)
    for turn in range(5):
        a, b = 1.9 * turn, 0.8 + 1.3 * turn
        centre = np.array([x + 13 * np.cos(a), y + 11 * np.sin(a)])
        half = 2.6 * np.array([np.cos(b), np.sin(b)])
        ends = np.stack([centre - half, centre + half])
        cv2.polylines(
            canvas, [_fixed(ends, grid)], False, 255, max(1, round(1.3 / grid.pitch_mm)), cv2.LINE_AA, 4
        )
    return np.asarray(np.maximum(grey, canvas.astype(np.float32) / 255), np.float32)


def _wire(grey: Array, grid: Grid) -> Array:
    """Draw a localisation wire with its hook, from outside through the skin."""
    x, y = _middle(grid)
    line = np.array([[x - 4, y + 4], [x, y], [x + 60, y - 45], [x + 110, y - 75]])
    canvas = np.zeros(grid.x.shape, np.uint8)
    cv2.polylines(
        canvas, [_fixed(line, grid)], False, 255, max(1, round(0.8 / grid.pitch_mm)), cv2.LINE_AA, 4
    )
    return np.asarray(np.maximum(grey, canvas.astype(np.float32) / 255), np.float32)


def _middle(grid: Grid) -> tuple[float, float]:
    """Find a place in the middle of the breast: before the deepest one, which is at the chest wall."""
    row, column = np.unravel_index(int(np.argmax(grid.to_skin[:, MARGIN:])), grid.to_skin[:, MARGIN:].shape)
    return float(column * grid.pitch_mm) + 24, float(row * grid.pitch_mm)


def _fixed(points_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Give points as cv2 wants them: 1/16 pixels of the grid."""
    return np.asarray(np.round((points_mm / grid.pitch_mm + (MARGIN, 0)) * 16), np.int32)


BODIES: dict[str, Callable[[Array, Grid], Array]] = {
    "implant": _implant,
    "pacemaker": _pacemaker,
    "clips": _clips,
    "wire": _wire,
}
