"""The shapes of a fictional woman's four views: outline, nipple and pectoral muscle, in millimetres.

Every picture is built as a left one: x runs from the chest wall (0) to the nipple, y from the top of the
detector down. The right breast is mirrored when it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

VIEWS = ("CC", "MLO")
SIDES = ("L", "R")
DENSITIES = "abcd"  # BI-RADS composition, fatty to extremely dense


@dataclass(frozen=True)
class Detector:
    """A digital detector of an invented vendor. Lengths in mm, sizes in pixels."""

    vendor: str
    model: str
    rows: int
    columns: int
    spacing_mm: float
    bits: int
    window: tuple[int, int]  # centre and width that show the breast, in stored values

    def scaled(self, frame_scale: float) -> Detector:
        """Bin the pixels: the same field of view in fewer, larger ones."""
        if frame_scale == 1:
            return self
        return replace(
            self,
            rows=round(self.rows * frame_scale),
            columns=round(self.columns * frame_scale),
            spacing_mm=self.spacing_mm / frame_scale,
        )


# Small and large plates of two vendors: sizes, spacings and depths as met in clinics, names invented.
DETECTORS = {
    ("Lumenor", "small"): Detector("Lumenor Imaging", "Selune D3", 3328, 2560, 0.07, 12, (2000, 3200)),
    ("Lumenor", "large"): Detector("Lumenor Imaging", "Selune D3", 4096, 3328, 0.07, 12, (2000, 3200)),
    ("Vestagraf", "small"): Detector("Vestagraf", "Aurelia 200", 2294, 1914, 0.1, 14, (7600, 12400)),
    ("Vestagraf", "large"): Detector("Vestagraf", "Aurelia 400", 3062, 2394, 0.1, 14, (7600, 12400)),
}


@dataclass(frozen=True)
class Woman:
    """What the four views of one patient share. Lengths in mm."""

    vendor: str
    depth_mm: float  # chest wall to nipple, CC
    roundness: float  # half-width at the chest wall over depth
    droop: float  # 0 firm to 1 pendulous
    thickness_mm: float  # compressed
    density: float  # 0..4; its whole part is the BI-RADS class
    exposure: float  # brightness of all tissue, about 1
    age_years: int

    @property
    def density_class(self) -> str:
        """BI-RADS composition, a to d."""
        return DENSITIES[min(int(self.density), 3)]

    @property
    def detector(self) -> Detector:
        """The plate that the radiographer picks for this breast."""
        large = max(self.depth_mm / 112, self.depth_mm * self.roundness / 106) > 1
        return DETECTORS[self.vendor, "large" if large else "small"]


def draw_woman(rng: np.random.Generator) -> Woman:
    """Draw a patient: large breasts tend to be fatty and pendulous, young ones dense."""
    age = int(np.clip(rng.normal(57, 9), 40, 84))
    depth = float(np.clip(rng.lognormal(np.log(94), 0.2), 60, 140))
    density = float(
        np.clip(1.95 + rng.normal(0, 0.85) - 0.022 * (age - 57) - 0.011 * (depth - 94), 0.02, 3.98)
    )
    return Woman(
        vendor=("Lumenor", "Vestagraf")[int(rng.random() < 0.4)],
        depth_mm=depth,
        roundness=float(np.clip(rng.normal(0.98 - 0.0016 * (depth - 94), 0.08), 0.8, 1.15)),
        droop=float(np.clip(rng.normal(0.45 + 0.006 * (depth - 94), 0.2), 0, 1)),
        thickness_mm=float(np.clip(rng.normal(55 + 0.25 * (depth - 94), 8), 28, 85)),
        density=density,
        exposure=float(rng.uniform(0.86, 1.14)),
        age_years=age,
    )


@dataclass(frozen=True)
class Shape:
    """One view's geometry. Points are (n, 2) arrays of x, y in mm."""

    outline_mm: Array
    nipple_mm: tuple[float, float]
    depth_mm: float
    axis_deg: float  # direction from the nipple to the middle of the gland; 180 is straight back
    pectoral_mm: Array | None  # its free edge from top to bottom; the muscle fills the corner behind it


def draw_shape(woman: Woman, view: str, field_mm: tuple[float, float], rng: np.random.Generator) -> Shape:
    """Draw the outline of one breast in one view on a field of (height, width) mm."""
    size = woman.depth_mm * float(rng.normal(1, 0.025))
    return _cc(woman, size, field_mm, rng) if view == "CC" else _mlo(woman, size, field_mm, rng)


def _cc(woman: Woman, depth: float, field_mm: tuple[float, float], rng: np.random.Generator) -> Shape:
    """Draw a rounded half-ellipse about the middle of the plate, at times with a sliver of muscle behind."""
    height, width = field_mm
    depth = min(depth, 0.9 * width)
    half = min(depth * woman.roundness, 0.47 * height)
    middle = height * float(rng.normal(0.5, 0.015))
    behind = float(rng.uniform(0.05, 0.4))  # the ellipse's centre lies behind the chest wall: slanting ends
    angle = np.linspace(-1.75, 1.75, 721)
    power_x, power_y = rng.uniform(0.84, 1.2), rng.uniform(0.92, 1.08)
    x = depth * ((1 + behind) * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power_x - behind)
    # Scaled so that the outline meets the chest wall at +-half, whatever the centre.
    meet = np.arccos((behind / (1 + behind)) ** (1 / power_x))
    y = half * np.sign(np.sin(angle)) * (np.abs(np.sin(angle)) / np.sin(meet)) ** power_y
    y *= np.where(y > 0, rng.uniform(0.94, 1.0), rng.uniform(0.98, 1.04))  # the lateral half (top) is fuller
    points = _wobble(np.stack([x, y + middle], axis=1), rng)
    points, nipple = _add_nipple(points, float(rng.normal(0.03, 0.07)), middle, half, rng)
    muscle = None
    if rng.random() < 0.25:
        reach = half * rng.uniform(0.3, 0.6)
        along = np.linspace(-1, 1, 41)
        bulge = rng.uniform(3, 9) * (1 - along**2) ** 0.8
        muscle = np.stack([bulge, middle - 0.1 * half + reach * along], axis=1).astype(np.float32)
    return Shape(points, nipple, depth, 180 + float(rng.normal(6, 4)), muscle)


def _mlo(woman: Woman, depth: float, field_mm: tuple[float, float], rng: np.random.Generator) -> Shape:
    """Draw from the axillary tail at the top, over a drooping breast, to the fold below it."""
    height, width = field_mm
    depth = min(depth * rng.uniform(1.04, 1.14), 0.9 * width)
    nipple_y = height * (0.53 + 0.09 * woman.droop + float(rng.normal(0, 0.015)))
    low = min(depth * (0.62 + 0.14 * woman.droop) * rng.uniform(0.94, 1.06), 0.95 * height - nipple_y)
    tail = depth * rng.uniform(0.5, 0.66) * (1.06 - 0.2 * woman.droop)
    # Upper contour: an S from the tail to the nipple, the later and steeper the more the breast hangs.
    s = np.array([-0.12, 0.0, 0.2, 0.4, 0.6, 0.8, 0.93, 1.0])
    late = 0.85 + 0.6 * woman.droop
    rise = np.sin(np.clip(s, 0, 1) ** late * np.pi / 2) ** (0.95 + 0.4 * woman.droop)
    upper = np.stack([tail + (depth - tail) * rise, nipple_y * s], axis=1)
    upper[0, 0] += 0.02 * depth
    # Lower contour: a quarter of a full ellipse down to the fold, then the skin of the abdomen.
    turn = np.deg2rad([18, 38, 57, 73])
    lower = np.stack([depth * np.cos(turn) ** 0.82, nipple_y + low * np.sin(turn) ** 1.05], axis=1)
    below = height - nipple_y - low
    belly = depth * (rng.uniform(0.03, 0.12) if rng.random() < 0.3 else -0.12)
    fold = np.array(
        [[belly + 0.07 * depth, 0.1], [belly + 0.02 * depth, 0.4], [belly, 0.75], [belly, 1.1]]
    ) * (1, below)
    fold[:, 1] += nipple_y + low
    points = _wobble(_spline(np.vstack([upper, lower, fold])), rng)
    points, nipple = _add_nipple(points, float(rng.normal(0.05, 0.05)), nipple_y, low, rng)
    top = tail * rng.uniform(0.5, 0.86)
    bottom = nipple_y * rng.uniform(0.75, 1.08)
    along = np.linspace(-0.15, 1.02, 81)
    edge = top * np.sign(1 - along) * np.abs(1 - along) ** rng.uniform(0.74, 1.12)
    edge += top * 0.05 * np.sin(np.pi * np.clip(along, 0, 1) * rng.uniform(1.2, 2.2) + rng.uniform(-0.5, 0.5))
    muscle = np.stack([edge, bottom * along], axis=1).astype(np.float32)
    return Shape(points, nipple, depth, 180 + float(rng.normal(20, 5)), muscle)


def _spline(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Draw a smooth curve through the points, by their chord length."""
    from scipy.interpolate import CubicSpline

    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return np.asarray(CubicSpline(length, points, bc_type="natural")(np.linspace(0, length[-1], 721)))


def _wobble(points: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
    """Make a drawn curve a natural one: slow waves of a per cent of the depth."""
    along = np.linspace(0, 2 * np.pi, len(points))
    waves = sum(rng.normal(0, 0.008 / k) * np.cos(k * along + rng.uniform(0, 6.3)) for k in (1, 2, 3, 5))
    points = points.copy()
    points[:, 0] *= 1 + waves
    return points


def _add_nipple(
    points: NDArray[np.floating], offset: float, middle: float, scale: float, rng: np.random.Generator
) -> tuple[Array, tuple[float, float]]:
    """Raise a nipple on the outline near its most anterior point; one in five lies flat, not in profile."""
    front = int(np.argmax(points[:, 0]))
    target = points[front, 1] + offset * scale
    near = np.abs(points[:, 1] - target) + 1e3 * (points[:, 0] < 0.8 * points[front, 0])
    tip = int(np.argmin(near))
    distance = np.hypot(*(points - points[tip]).T)
    tangent = points[tip + 1] - points[tip - 1]
    normal = np.array([tangent[1], -tangent[0]]) / np.hypot(*tangent)
    height = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else rng.uniform(2.5, 5.5)
    bump = height * np.exp(-((distance / rng.uniform(5, 6.5)) ** 3)) + 1.2 * np.exp(-((distance / 14) ** 2))
    raised = points + bump[:, None] * normal
    x, y = raised[tip] - normal * height * 0.4
    return raised.astype(np.float32), (float(x), float(y))
