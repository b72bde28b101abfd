"""From shapes to a grey picture: fat, gland, ligaments, vessels, muscle, skin. Grey is 0..1 on a coarse grid.

All functions work on a grid of `pitch_mm` whose left margin of `MARGIN` pixels lies behind the chest wall, so
that distances to the skin ignore the detector's edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from mammogan.data.phantom import tissue_texture
from mammogan.data.phantom.anatomy import Array, Shape, Woman

MARGIN = 24


@dataclass(frozen=True)
class Grid:
    """The coarse grid of one picture and the maps that every tissue reads. Lengths in mm."""

    pitch_mm: float
    x: Array
    y: Array
    to_skin: Array  # depth under the skin; negative outside the breast
    muscle: Array  # 0..1, soft

    @property
    def breast(self) -> Array:
        """The breast with muscle and axilla as 0 and 1."""
        return np.asarray(self.to_skin > 0, np.float32)


def lay_grid(shape: Shape, field_mm: tuple[float, float], pitch_mm: float) -> Grid:
    """Rasterise the outline and measure every point's depth under the skin."""
    rows, columns = (round(length / pitch_mm) for length in field_mm)
    columns = min(columns, int(np.ceil(shape.outline_mm[:, 0].max() / pitch_mm)) + 4)  # air needs no grid
    margin = MARGIN
    inside = _fill(shape.outline_mm, rows, columns, pitch_mm)
    # Not OpenCV's: held to one thread, it takes roots whose last bit depends on where they lie in memory.
    inwards, outwards = (distance_transform_edt(mask).astype(np.float32) for mask in (inside, 1 - inside))
    # The pixel steps of the mask would show in the skin line: level them.
    to_skin = cv2.GaussianBlur((inwards - outwards) * np.float32(pitch_mm), (0, 0), 1.3)[margin:-margin, :]
    muscle = np.zeros_like(to_skin)
    if shape.pectoral_mm is not None:
        corner = np.array([[-50, shape.pectoral_mm[0, 1]]])
        end = np.array([[-50, shape.pectoral_mm[-1, 1]]])
        filled = _fill(np.vstack([corner, shape.pectoral_mm, end]), rows, columns, pitch_mm, close=False)
        muscle = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 1.1 / pitch_mm)[margin:-margin, :]
    y, x = np.mgrid[0:rows, -margin:columns].astype(np.float32)
    half = np.float32(0.5)
    return Grid(
        pitch_mm, (x + half) * np.float32(pitch_mm), (y + half) * np.float32(pitch_mm), to_skin, muscle
    )


def _fill(line_mm: Array, rows: int, columns: int, pitch_mm: float, *, close: bool = True) -> np.ndarray:
    """Fill what lies between a line and the chest wall, on the grid with margins left, above and below."""
    if close:
        ends = [[-80, line_mm[-1, 1]], [-80, line_mm[0, 1]]]
        line_mm = np.vstack([line_mm, ends])
    fixed = np.round((line_mm / pitch_mm + MARGIN - 0.5) * 16).astype(np.int32)
    mask = np.zeros((rows + 2 * MARGIN, columns + MARGIN), np.uint8)
    cv2.fillPoly(mask, [fixed], 1, shift=4)
    return mask


def ellipse(grid: Grid, x: float, y: float, a: float, b: float, turn: float) -> Array:
    """Relative distance from an ellipse's centre: 1 on its edge."""
    dx, dy = grid.x - np.float32(x), grid.y - np.float32(y)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return np.asarray(np.hypot((dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b), np.float32)


def gland(grid: Grid, shape: Shape, woman: Woman, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the fibroglandular share (0..about 1.2) and the ligaments (0..1) of the breast."""
    density = float(woman.density)
    slow = _cloud(grid, 60, 3.4, rng)
    warp = _cloud(grid, 70, 4.6, rng)
    drift = _cloud(grid, 70, 4.6, rng)
    mid = _cloud(grid, 18, 3.0, rng)
    # About the nipple in polar coordinates, in mm: ducts and ligaments run towards it.
    dx, dy = grid.x - np.float32(shape.nipple_mm[0]), grid.y - np.float32(shape.nipple_mm[1])
    radius = np.sqrt(dx * dx + dy * dy) + np.float32(1)
    back_rad = np.float32(np.deg2rad(shape.axis_deg))
    cos, sin = np.cos(back_rad), np.sin(back_rad)
    turn = np.arctan2(dy * cos - dx * sin, dx * cos + dy * sin)  # off the gland's axis
    ray = radius * np.float32(0.36) + 2 * warp
    arc = (turn + np.float32(0.09) * drift) * (radius + 25)

    # A web of strands around lobules of fat: ridges of a smooth field, coarse and fine, half drawn out.
    tile = tissue_texture.power_law(512, 512, 4.2, rng, coarsest_px=20)
    u, v = grid.x * np.float32(0.8) + 3 * warp, grid.y + 3 * drift
    # Each web: where to look the tile up, in tile pixels per mm, from which place of it.
    webs = ((ray, arc, 1.4, 40), (u, v, 1.5, 190), (ray, arc, 3.4, 330), (u, v, 4.0, 90))
    web = [
        tissue_texture.web(tile, p * np.float32(fine) + at, q * np.float32(fine) + at)
        for p, q, fine, at in webs
    ]
    strands = 0.28 * web[0] + 0.30 * web[1] + 0.20 * web[2] + 0.22 * web[3]

    # Where the gland may be: under the fat, in a fan behind the nipple, before the fat at the chest wall.
    cover = (14 - 2.2 * density) * (1 - 0.85 * np.exp(-((radius / 20) ** 2)))
    under = tissue_texture.smooth_step((grid.to_skin - cover - 3.5 * slow - 2.5 * mid) / 12)
    fan = np.exp(-(((turn / np.float32(0.60 + 0.17 * density)) ** 2) ** 2))
    reach = np.float32(shape.depth_mm * (0.60 + 0.13 * density))
    back = tissue_texture.smooth_step((reach - radius + 9 * slow + 4 * mid) / (0.45 * reach) + 0.5)
    level = np.interp(density, range(5), (-2.1, -0.85, 0.05, 0.65, 1.15))
    bias = np.float32(level) + 0.5 * np.exp(-((radius / np.float32(0.5 * shape.depth_mm)) ** 2))
    amount = 0.42 + 0.40 * (bias + 0.68 * slow + 0.24 * mid) + 0.70 * (strands - 0.45)
    amount = np.minimum(amount, 1)
    dense = 0.5 * (amount + np.sqrt(amount * amount + np.float32(0.02)))  # 0 below, itself above, no corner
    dense *= under * fan * back * (0.64 + 0.62 * strands + 0.10 * slow + 0.07 * mid)

    # Ligaments run through the fat too, here more, there less.
    gate = tissue_texture.smooth_step(0.5 + 0.4 * mid + 0.3 * warp)
    fourth = [(w * w) ** 2 for w in web[:3]]  # far quicker than a power of 4
    thin = 0.6 * fourth[0] * web[0] + 0.2 * fourth[2] * gate + 0.42 * fourth[1] * web[1] ** 2 * (1.2 - gate)
    ligaments = thin * tissue_texture.smooth_step(grid.to_skin / 7 - 0.15)
    return np.asarray(dense, np.float32), np.asarray(ligaments, np.float32)


def _cloud(grid: Grid, coarsest_mm: float, exponent: float, rng: np.random.Generator) -> Array:
    """Draw a power-law field over the grid; drawn on millimetres, as it holds little that is finer."""
    rows, columns = grid.x.shape
    step = max(1.0, grid.pitch_mm)
    small = (round(rows * grid.pitch_mm / step) + 1, round(columns * grid.pitch_mm / step) + 1)
    field = tissue_texture.power_law(*small, exponent, rng, coarsest_px=coarsest_mm / step)
    return np.asarray(cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)


def muscle_grey(grid: Grid, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw the pectoral muscle: bright, streaked along its edge, a little darker towards it."""
    assert shape.pectoral_mm is not None
    run = shape.pectoral_mm[-1] - shape.pectoral_mm[0]
    along = run / np.hypot(*run)
    u = grid.x * along[0] + grid.y * along[1]
    v = grid.x * along[1] - grid.y * along[0]
    tile = tissue_texture.power_law(256, 256, 2.6, rng, coarsest_px=70)
    pitch = grid.pitch_mm
    streaks = tissue_texture.sample(tile, u / np.float32(3.2) + 30, v / np.float32(0.9) + 30)
    rows, columns = grid.muscle.shape
    coarse = cv2.resize(grid.muscle, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 7 / pitch / 4), (columns, rows))
    inside = np.clip(coarse * 2 - 1, 0, 1)  # 0 along the free edge, 1 a centimetre behind it
    return np.asarray(0.52 + 0.10 * inside + 0.022 * streaks + 0.03 * _cloud(grid, 60, 3.2, rng), np.float32)


def compose(
    grid: Grid, shape: Shape, woman: Woman, extras: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Put the tissues over one another and return the grey picture and the gland's share.

    `extras` (0..1) are vessels, nodes and masses, which attenuate like gland.
    """
    dense, ligaments = gland(grid, shape, woman, rng)
    dense *= 1 - grid.muscle
    # The compressed breast is a slab with a round rim; processing evens most of the fall-off out.
    rim = np.float32(0.42 * woman.thickness_mm)
    depth = np.clip(grid.to_skin, 0, None)
    slab = np.sqrt(np.clip(1 - (1 - np.minimum(depth / rim, 1)) ** 2, 0, 1))
    cloud = _cloud(grid, 40, 3.2, rng)
    fat = np.float32(woman.exposure * (0.225 + 0.012 * woman.density)) * (1 + 0.10 * cloud)
    grey = fat + 0.42 * dense + 0.085 * ligaments + 0.30 * extras
    grey *= 0.30 + 0.70 * slab
    if shape.pectoral_mm is not None:
        bright = np.float32(woman.exposure) * muscle_grey(grid, shape, rng) + 0.5 * (grey - fat)
        grey += grid.muscle * (bright - grey)
    skin = np.exp(-(((depth - 0.9) / 0.75) ** 2))
    grey += 0.05 * skin
    away = np.hypot(grid.x - np.float32(shape.nipple_mm[0]), grid.y - np.float32(shape.nipple_mm[1]))
    grey += 0.20 * np.exp(-(((away / 4.6) ** 2) ** 2)) * tissue_texture.smooth_step(depth / 3)
    grey = 0.98 * (1 - np.exp(-1.25 * grey - 0.9 * grey * grey))  # film-like shoulder: nothing saturates
    edge = np.clip(grid.to_skin / np.float32(0.9) + 0.5, 0, 1)
    return np.asarray(grey * edge, np.float32), np.asarray(dense, np.float32)
