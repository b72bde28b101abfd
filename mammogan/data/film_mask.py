"""Finding the breast on a film scan or a crop: the background has a grey of its own, or there is none.

A scan shows a film, often turned a little, on black; on the film's grey base lie the breast, labels, and tape
along its edges. A crop may have no background at all. Where neither is seen the picture is a detector's.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.breast_mask import (
    WHITE,
    Image,
    Levels,
    Mask,
    Spots,
    background,
    enlarged,
    find_breast,
    outline,
    shrunk_to_work,
)

EMPTY = 4.5 / 255
"""What is darker is no film."""
FILLED = 0.93
"""A film fills so much of the smallest rectangle around it; a breast fills about three quarters."""
MOST_TILT_DEG = 8.0
RIM = 0.02
"""So near to its edges, of its sides, a film's greys are not looked at."""
RIM_GREY, RIM_LENGTH, RIM_BLUR_PX = 0.5, 0.9, 3
"""What scanners draw around everything is that bright over so much of an edge; its blur is as wide."""
TAPE = 0.13
"""Tape and frames along an edge are narrower than that, of the side."""
MANY = 0.15
ALIKE, ALIKE_OF_FEW, TAPE_RAGGED_PX = 0.35, 0.7, 2
"""Of the places where no breast is near, so many agree on the tape's width, and more where they are few of an
edge. Labels and notches touch the others."""
SLOPES = np.array([0.0, *(sign * step / 200 for step in range(1, 9) for sign in (-1, 1))])
"""How tape may be turned against the picture."""
TAPE_BLUR_PX, TAPE_CONTRAST = 4, 0.22
"""So far from its end tape is so much brighter than the film's base."""
NOTHING = 0.1
"""Of a stretch, so little is bright where no breast is."""
EDGE_ROWS = 0.05
"""Of an edge, so much must be away from the breast to tell tape from it."""
STEPS, FIRST_STEP, LAST_STEP = 8, 0.05, 0.02
"""How far from the fitted background a pixel may be to be a part of it, of black to white, fit by fit."""
FITTED = 4000
"""Pixels that a background is fitted to."""
DARKER = 0.04
"""Of a picture, so much at most is darker than its background."""
SLOPE = 0.004
"""Median difference of neighbouring pixels: a background is smoother than tissue."""
WHITE_EDGE, DARK_BREAST = 0.6, 0.15
"""Three quarters of an inverted picture's edges are brighter; a tenth of its middle is so much darker."""
LEAST_SHARE, LEAST_CONTRAST = 0.03, 0.06
"""A background covers so much of the film, and the breast's median is so much brighter."""


@dataclass(frozen=True)
class Film:
    """Where the film lies: its `grey_HW`, upright, and the matrix that turns the picture there."""

    grey_HW: Image
    turn: NDArray[np.float64]


def find_breast_on_film(frame_HW: Levels, threshold: float, thin_part: float) -> Mask:
    """Outline the breast in a picture from 0 (black) to 65535, the chest wall on its left.

    `threshold` counts from the film's base, where that is as bright as it is, in fractions of black to white.
    Where a film has no background, all of it is breast.
    """
    small = shrunk_to_work(frame_HW)
    film = _film(small, thin_part)
    if film is None:
        return find_breast(frame_HW, threshold, thin_part)
    base = _base(film.grey_HW)
    if base is None:
        inside = np.ones_like(film.grey_HW, dtype=np.uint8)
    else:
        ground, spread = base
        above = (film.grey_HW > ground + max(threshold, 4 * spread)).astype(np.uint8)
        inside = outline(_without_tape(above, film.grey_HW - ground), thin_part)
    back = cv2.warpAffine(
        inside, film.turn, small.shape[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return enlarged(back, frame_HW.shape)


def film_base(frame_HW: Levels, mask_HW: Mask) -> float:
    """Measure the grey of a film beside the breast, from 0 (black) to 1; of a crop without any, its least."""
    beside = frame_HW[~mask_HW & (frame_HW > EMPTY * WHITE)]
    if beside.size >= LEAST_SHARE * mask_HW.size:
        return float(np.median(beside) / WHITE)
    if mask_HW.mean() > 1 - LEAST_SHARE:
        return float(np.percentile(frame_HW, 0.1) / WHITE)
    return 0.0


def looks_inverted(frame_HW: Levels) -> bool:
    """Whether a picture, the chest wall on its left, is white where no breast is, and darker where one is."""
    small = shrunk_to_work(frame_HW)
    height, width = small.shape
    near, far = round(RIM * height) + 2, round(3 * RIM * height) + 3
    right, half = small[:, -far:-near], small[:, width // 2 :]
    edges = np.concatenate([right.ravel(), half[near:far].ravel(), half[-far:-near].ravel()])
    inside = small[height // 4 : -height // 4]
    if not edges.size or not inside.size or np.quantile(edges, 0.25) < WHITE_EDGE:
        return False
    return bool(np.quantile(inside, 0.1) < np.median(edges) - DARK_BREAST)


def _film(small: Image, thin_part: float) -> Film | None:
    """Cut out the film and turn it upright; None where what is not black has another shape than one."""
    lit = (_without_rim(small) > EMPTY).astype(np.uint8)
    px = round(max(thin_part, RIM) * small.shape[0]) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (px, px))
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outlines, _ = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    edge = max(outlines, key=cv2.contourArea)
    (x, y), (width, height), angle = cv2.minAreaRect(edge)
    if abs(angle) > 45:  # the same rectangle, lying on its other side
        angle, width, height = angle - np.copysign(90, angle), height, width
    if cv2.contourArea(edge) < FILLED * width * height or abs(angle) > MOST_TILT_DEG:
        return None
    turn = cv2.getRotationMatrix2D((x, y), angle, 1)
    size = (max(round(width) + 1, 1), max(round(height) + 1, 1))
    turn[:, 2] += (size[0] - 1) / 2 - x, (size[1] - 1) / 2 - y
    return Film(cv2.warpAffine(small, turn, size, flags=cv2.INTER_LINEAR, borderValue=0), turn)


def _without_rim(small: Image) -> Image:
    """Blacken a white line along opposite edges, which scanners draw around everything."""
    cleared = small.copy()
    for axis in range(2):
        most = round(2 * RIM * small.shape[axis]) + 1
        white = (small > RIM_GREY).mean(axis=1 - axis) > RIM_LENGTH
        first, last = int(white[:most].sum()), int(white[-most:].sum())
        if first and last:
            lines = np.moveaxis(cleared, axis, 0)
            lines[: first + RIM_BLUR_PX] = 0
            lines[len(lines) - last - RIM_BLUR_PX :] = 0
    return cleared


def _base(grey_HW: Image) -> tuple[Image, float] | None:
    """Fit the film's base, which may be shaded, and its spread; None where there is no background."""
    height, width = grey_HW.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    flat = terms.reshape(-1, terms.shape[-1])
    down, across = round(RIM * height), round(RIM * width)
    inner = np.zeros(grey_HW.shape, bool)
    inner[down : height - down, across : width - across] = True
    inner &= grey_HW > EMPTY
    if np.count_nonzero(inner) < terms.shape[-1]:
        return None
    ground = np.full_like(grey_HW, background(grey_HW[inner]))
    near = inner
    for step in np.linspace(FIRST_STEP, LAST_STEP, STEPS):
        near = inner & (np.abs(grey_HW - ground) < step)
        if np.count_nonzero(near) < LEAST_SHARE * near.size:
            return None
        sample = np.flatnonzero(near)[:: max(1, np.count_nonzero(near) // FITTED)]
        fitted, *_ = np.linalg.lstsq(flat[sample], grey_HW.ravel()[sample], rcond=None)
        # Beneath the breast nothing holds the surface.
        ground = np.clip(terms @ fitted, *np.percentile(grey_HW[near], (1, 99)))
    spread = float(np.median(np.abs(grey_HW - ground)[near])) * 1.4826
    brighter, darker = (grey_HW > ground + LAST_STEP) & inner, (grey_HW < ground - LAST_STEP) & inner
    slope = np.abs(np.diff(grey_HW, axis=1))[near[:, 1:] & near[:, :-1]]
    if (
        darker.sum() > DARKER * inner.sum()
        or not brighter.any()
        or np.median((grey_HW - ground)[brighter]) < LEAST_CONTRAST
        or np.median(slope) > SLOPE
    ):
        return None
    return ground, spread


def _without_tape(above_HW: Spots, contrast_HW: Image) -> Spots:
    """Clear strips along the edges that are bright also where no breast is near.

    Tape is as wide everywhere, and white up to its end; a breast that the edge cuts ends in a slope, and the
    skin below it, in the fold, fades out.
    """
    cleared = above_HW.copy()
    for turns in range(4):
        side = np.rot90(above_HW, turns)  # the edge in question is the left one
        wide, rim = max(round(TAPE * side.shape[1]), 2), round(RIM * side.shape[1]) + 1
        away = np.flatnonzero(side[:, wide : 2 * wide].mean(axis=1) < NOTHING)
        if len(away) < EDGE_ROWS * len(side):
            continue
        near = side[away, :wide].astype(bool)
        near[:, :rim] |= near[:, :rim].any(axis=1, keepdims=True)
        lengths = np.where(near.all(axis=1), wide, near.argmin(axis=1))
        slopes, alike = (SLOPES, ALIKE) if len(away) > MANY * len(side) else (SLOPES[:1], ALIKE_OF_FEW)
        lines = (_lowest_line(lengths, away, slope, alike) for slope in slopes)
        places, end, slope = max(lines, key=lambda line: line[0])
        ends = np.rint(end + slope * np.arange(len(side)))
        if not places or np.median(ends[away]) <= 0 or ends[away].max() >= wide:
            continue
        last = np.maximum(ends[away] - TAPE_BLUR_PX, ends[away] // 2).astype(int).clip(0)
        if np.median(np.rot90(contrast_HW, turns)[away, last]) > TAPE_CONTRAST:
            np.rot90(cleared, turns)[np.arange(side.shape[1]) < ends[:, None]] = 0
    return cleared


def _lowest_line(
    lengths: NDArray[np.intp], away: NDArray[np.intp], slope: float, alike: float
) -> tuple[int, float, float]:
    """Find the least level at which many `lengths` agree along a slope: how many, the level, the slope."""
    level = np.sort(lengths - slope * away)
    places = np.searchsorted(level, level + TAPE_RAGGED_PX, side="right") - np.arange(len(level))
    many = np.flatnonzero(places >= alike * len(level))
    if not many.size:
        return 0, 0.0, slope
    return int(places[many[0]]), float(level[many[0] + places[many[0]] // 2]), slope
