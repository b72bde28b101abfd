"""What lies in the tissue: vessels, nodes, masses and calcifications."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mammogan.data.phantom import tissue_texture
from mammogan.data.phantom.anatomy import Array, Shape, Woman
from mammogan.data.phantom.breast_tissue import MARGIN, Grid, ellipse
from mammogan.data.phantom.planted_objects import BODIES


@dataclass(frozen=True)
class Finding:
    """Something bright; `points_mm` holds x, y and radius of each of its dots, none for foreign bodies."""

    kind: str
    points_mm: tuple[tuple[float, float, float], ...] = ()
    grey: float = 0.9


def draw_findings(
    grid: Grid, shape: Shape, woman: Woman, rng: np.random.Generator
) -> tuple[list[Finding], Array]:
    """Draw what this view shows: a list, and those that lie within the tissue as a map (0..1)."""
    soft = np.zeros_like(grid.x)
    found = []
    soft = np.maximum(soft, _vessels(grid, shape, rng))
    if shape.pectoral_mm is not None and shape.pectoral_mm[0, 0] > 25:
        for _ in range(int(rng.choice(4, p=(0.35, 0.3, 0.2, 0.15)))):
            soft = np.maximum(soft, _node(grid, shape, rng))
            found.append(Finding("lymph_node"))
    if rng.random() < 0.08:
        x, y = _inside(shape, rng)
        soft = np.maximum(soft, _mass(grid, x, y, rng))
        found.append(Finding("mass"))
    found += _calcifications(shape, woman, rng)
    return found, soft * (grid.to_skin > 1)


def _inside(shape: Shape, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a place well inside the breast, more often in the gland than behind it."""
    back = shape.depth_mm * rng.uniform(0.2, 0.75)
    turn = np.deg2rad(shape.axis_deg + rng.normal(0, 18))
    return shape.nipple_mm[0] + back * np.cos(turn), shape.nipple_mm[1] + back * np.sin(turn)


def _vessels(grid: Grid, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw a few winding veins from the chest wall forwards, thinning and branching."""
    canvas = np.zeros(grid.x.shape, np.uint8)
    height = grid.x.shape[0] * grid.pitch_mm
    for _ in range(int(rng.integers(3, 8))):
        y = np.clip(shape.nipple_mm[1] + rng.normal(-0.1, 0.32) * shape.depth_mm, 5, height - 5)
        _vessel(canvas, grid, (rng.uniform(-5, 0.3 * shape.depth_mm), y), shape, rng.uniform(0.9, 2.1), rng)
    soft = cv2.GaussianBlur(canvas, (0, 0), max(0.45 / grid.pitch_mm, 0.5)).astype(np.float32) / 255
    return np.asarray(soft * 0.35, np.float32)


def _vessel(
    canvas: np.ndarray,
    grid: Grid,
    start: tuple[float, float],
    shape: Shape,
    width: float,
    rng: np.random.Generator,
    depth: int = 0,
) -> None:
    """Walk one vessel towards the nipple with a slowly changing heading."""
    steps = int(rng.integers(25, 60) * (0.7**depth))
    aim = np.arctan2(shape.nipple_mm[1] - start[1], 1.2 * shape.depth_mm - start[0]) + rng.normal(0, 0.3)
    heading = aim + 0.45 * np.cumsum(rng.normal(0, 0.28, steps)) * np.linspace(1, 0.7, steps)
    path = np.stack([np.cos(heading), np.sin(heading)], axis=1).cumsum(axis=0) * 1.7 + start
    fixed = np.round((path / grid.pitch_mm + (MARGIN, 0)) * 16).astype(np.int32)
    for k in range(steps - 1):
        thickness = max(1, round(width * (1 - 0.7 * k / steps) / grid.pitch_mm * 0.6))
        cv2.line(canvas, fixed[k].tolist(), fixed[k + 1].tolist(), 255, thickness, cv2.LINE_AA, 4)
    if depth < 2 and rng.random() < 0.7:
        fork = path[steps // 2]
        _vessel(canvas, grid, (float(fork[0]), float(fork[1])), shape, width * 0.6, rng, depth + 1)


def _node(grid: Grid, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw a bean of a lymph node with its fatty hilum at the muscle's edge in the axilla."""
    assert shape.pectoral_mm is not None
    x, y = shape.pectoral_mm[int(rng.integers(12, 36))]
    x += rng.uniform(-16, 10)
    a, b, turn = rng.uniform(4, 8), rng.uniform(2.4, 4), rng.uniform(0.6, 2.2)
    body = tissue_texture.smooth_step((1.15 - ellipse(grid, x, y, a, b, turn)) / 0.4)
    hilum = tissue_texture.smooth_step((1.1 - ellipse(grid, x + 0.8 * b, y, 0.6 * a, 0.6 * b, turn)) / 0.7)
    return np.asarray(body * (1 - 0.8 * hilum) * rng.uniform(0.4, 0.75), np.float32)


def _mass(grid: Grid, x: float, y: float, rng: np.random.Generator) -> Array:
    """Draw a round benign mass: a cyst or a fibroadenoma."""
    a = rng.uniform(4, 9)
    distance = ellipse(grid, x, y, a, a * rng.uniform(0.65, 1), rng.uniform(0, 3))
    return np.asarray(
        tissue_texture.smooth_step((1.1 - distance) / 0.35) * rng.uniform(0.5, 0.85), np.float32
    )


def _calcifications(shape: Shape, woman: Woman, rng: np.random.Generator) -> list[Finding]:
    """Draw scattered round ones, and now and then a cluster of fine ones."""
    found = []
    if rng.random() < 0.25 + 0.008 * (woman.age_years - 50):
        dots = [(*_inside(shape, rng), rng.uniform(0.25, 0.8)) for _ in range(int(rng.integers(1, 5)))]
        found.append(Finding("calcification", tuple(dots), 0.88))
    if rng.random() < 0.06:
        x, y = _inside(shape, rng)
        count = int(rng.integers(6, 18))
        spread = rng.normal(0, 3.2, (count, 2))
        dots = [(x + dx, y + dy, rng.uniform(0.14, 0.32)) for dx, dy in spread]
        found.append(Finding("calcification_cluster", tuple(dots), 0.9))
    return found


def burn_bright(grey: Array, grid: Grid, findings: tuple[Finding, ...], rng: np.random.Generator) -> Array:
    """Draw the dots of calcifications, and foreign bodies, over the finished grey picture."""
    for finding in findings:
        for x, y, radius in finding.points_mm:
            _dot(grey, grid, x, y, radius, finding.grey)
        if finding.kind in BODIES:
            grey = BODIES[finding.kind](grey, grid, rng)
    return grey


def _dot(grey: Array, grid: Grid, x: float, y: float, radius: float, value: float) -> None:
    """Lift a soft dot of `radius` mm to `value`, in place."""
    reach = int(4 * radius / grid.pitch_mm) + 3
    column, row = round(x / grid.pitch_mm) + MARGIN, round(y / grid.pitch_mm)
    part = np.s_[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    squared = (grid.x[part] - x) ** 2 + (grid.y[part] - y) ** 2
    softened = radius**2 + (0.3 * grid.pitch_mm) ** 2
    strength = np.exp(-((squared / softened) ** 1.5)) * min(1.0, radius / grid.pitch_mm)
    grey[part] += strength * np.clip(value - grey[part], 0, 1) * (grid.to_skin[part] > 1)
