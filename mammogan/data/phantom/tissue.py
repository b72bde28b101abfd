"""From shapes to a grey picture: fat, gland, ligaments, vessels, muscle, skin. Grey is 0..1 on a coarse grid.

All functions work on a grid of `pitch_mm` whose left margin of `MARGIN` pixels lies behind the chest wall, so
that distances to the skin ignore the detector's edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mammogan.data.phantom import texture
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
    margin = MARGIN
    inside = _fill(shape.outline_mm, rows, columns, pitch_mm)
    inwards, outwards = (
        cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in (inside, 1 - inside)
    )
    # The pixel steps of the mask would show in the skin line: level them.
    to_skin = cv2.GaussianBlur((inwards - outwards) * np.float32(pitch_mm), (0, 0), 1.3)[margin:-margin, :]
    muscle = np.zeros_like(to_skin)
    if shape.pectoral_mm is not None:
        corner = np.float32([[-50, shape.pectoral_mm[0, 1]]])
        end = np.float32([[-50, shape.pectoral_mm[-1, 1]]])
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
        line_mm = np.vstack([line_mm, np.float32(ends)])
    fixed = np.round((line_mm / pitch_mm + MARGIN - 0.5) * 16).astype(np.int32)
    mask = np.zeros((rows + 2 * MARGIN, columns + MARGIN), np.uint8)
    cv2.fillPoly(mask, [fixed], 1, shift=4)
    return mask


def gland(grid: Grid, shape: Shape, woman: Woman, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the fibroglandular share (0..about 1.2) and the ligaments (0..1) of the breast."""
    rows, columns = grid.x.shape
    pitch, density = grid.pitch_mm, np.float32(woman.density)
    tile_px = 512 if max(rows, columns) > 512 else 256
    # About the nipple in polar coordinates: ducts and ligaments run towards it.
    dx, dy = grid.x - np.float32(shape.nipple_mm[0]), grid.y - np.float32(shape.nipple_mm[1])
    radius = np.sqrt(dx * dx + dy * dy) + np.float32(1)
    turn = np.arctan2(dy, dx) - np.float32(np.deg2rad(shape.axis_deg))
    turn = (turn + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
    slow = texture.power_law(rows, columns, 3.4, rng, coarsest_px=60 / pitch)
    mid = texture.power_law(rows, columns, 2.9, rng, coarsest_px=22 / pitch)
    warp = texture.power_law(rows, columns, 3.6, rng, coarsest_px=45 / pitch)
    tile = texture.power_law(tile_px, tile_px, 2.7, rng, coarsest_px=tile_px / 6)
    ray = (radius + 7 * warp) / (np.float32(3.2) * pitch)
    arc = (turn + np.float32(0.07) * slow) * np.float32(34 / pitch) * (radius + 40) / (radius + 15)
    strands = texture.sample(tile, ray + 7, arc + 11)

    # Where the gland may be: under the fat, in a fan behind the nipple, before the fat at the chest wall.
    cover = (15 - 2.2 * density) * (1 - 0.85 * np.exp(-((radius / 20) ** 2)))
    under = texture.smooth_step((grid.to_skin - cover - 4.0 * slow - 3 * np.abs(mid)) / 9)
    fan = np.exp(-((turn / np.float32(0.62 + 0.16 * density)) ** 4))
    reach = np.float32(shape.depth_mm) * (0.62 + 0.13 * density)
    back = texture.smooth_step((reach - radius + 9 * slow + 5 * mid) / (0.35 * reach) + 0.5)
    place = under * fan * back
    level = (-1.15, -0.5, 0.15, 0.7, 1.3)  # of the field's threshold, at densities 0 to 4
    bias = np.float32(np.interp(density, range(5), level))
    bias = bias + 0.55 * np.exp(-((radius / (0.45 * shape.depth_mm)) ** 2))
    amount = 0.5 + 0.42 * (bias + 0.50 * slow + 0.42 * mid + 0.40 * strands)
    dense = place * np.logaddexp(0, 6 * np.clip(amount, -1, 1.05)).astype(np.float32) / 6
    dense *= 1 + 0.20 * mid + 0.16 * strands

    # Ligaments: arcs over the whole breast and finer ones drawn out towards the nipple; some come and go.
    gate = texture.smooth_step(0.45 + 0.5 * warp)
    arcs = texture.ridges(texture.sample(tile, ray * 0.45 + 90, arc * 0.55 + 40) + 0.35 * mid, 0.5 / pitch)
    fine = texture.ridges(strands + 0.3 * slow, 0.35 / pitch)
    ligaments = (0.6 * arcs * gate + 0.45 * fine * (1 - 0.6 * gate)) * texture.smooth_step(
        grid.to_skin / 6 - 0.2
    )
    return np.clip(dense, 0, 1.6), cv2.GaussianBlur(ligaments, (0, 0), max(0.22 / pitch, 0.4))


def muscle_grey(grid: Grid, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw the pectoral muscle: bright, streaked along its edge, a little darker towards it."""
    assert shape.pectoral_mm is not None
    run = shape.pectoral_mm[-1] - shape.pectoral_mm[0]
    along = run / np.hypot(*run)
    u = grid.x * along[0] + grid.y * along[1]
    v = grid.x * along[1] - grid.y * along[0]
    tile = texture.power_law(256, 256, 2.6, rng, coarsest_px=70)
    pitch = np.float32(grid.pitch_mm)
    streaks = texture.sample(tile, u / (9 * pitch) + 30, v / (1.7 * pitch) + 30)
    return np.asarray(0.60 + 0.030 * streaks + 0.0012 * np.clip(v, 0, 90), np.float32)


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
    cloud = texture.power_law(*grid.x.shape, 3.2, rng, coarsest_px=40 / grid.pitch_mm)
    fat = (0.245 + 0.012 * np.float32(woman.density)) * (1 + 0.10 * cloud)
    grey = fat + 0.37 * dense + 0.085 * ligaments + 0.30 * extras
    grey *= 0.30 + 0.70 * slab
    if shape.pectoral_mm is not None:
        bright = muscle_grey(grid, shape, rng) + 0.5 * (grey - fat)
        grey += grid.muscle * (bright - grey)
    skin = np.exp(-(((depth - 0.9) / 0.75) ** 2))
    grey += 0.055 * skin
    away = np.hypot(grid.x - np.float32(shape.nipple_mm[0]), grid.y - np.float32(shape.nipple_mm[1]))
    grey += 0.20 * np.exp(-((away / 4.6) ** 4)) * texture.smooth_step(depth / 3)
    grey = 0.98 * (1 - np.exp(-1.25 * grey - 0.9 * grey * grey))  # film-like shoulder: nothing saturates
    edge = np.clip(grid.to_skin / np.float32(0.9) + 0.5, 0, 1)
    return np.asarray(grey * edge, np.float32), np.asarray(dense, np.float32)
