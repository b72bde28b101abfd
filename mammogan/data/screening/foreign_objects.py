"""What does not belong into a breast, measured in its picture: prostheses, metal, and the edges of paddles.

Areas are fractions of the breast and lengths of the picture, so that the measures mean the same in small
frames and in large ones. All is seen in `Working`, about `WORKING_PX` rows high; only thin metal needs more.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.breast_mask import Levels, Mask, halve

Spots = NDArray[np.uint8]

WHITE = 65535
WORKING_PX = 320
IMPLANT_GREY, IMPLANT_SD = 0.72, 0.012
"""A prosthesis is at least that bright, and evener than tissue, over 7 x 7 working pixels (5 mm)."""
BODY_GREY, BODY_STEP = 0.88, 0.22
"""A metal body is that bright, and stands out so far within two working pixels; dense tissue fades out."""
METAL_GREY, METAL_CONTRAST = 0.93, 0.12
"""Thin metal is that bright, and by so much brighter than the tissue that it lies in."""
EDGE_STEP, SKIN_STEP = 0.07, 0.2
"""The step at a paddle's edge; where the skin is, which steps too, only a steeper one counts."""
EDGE_PX, EDGE_TURN_DEG = 15, 5
"""How far an edge is averaged along itself, and how far it may be turned against the frame."""
WALL, WALL_WEIGHT = 0.056, 0.6
"""Within that fraction of the height of the chest wall a CC may show the pectoral muscle, nearly straight."""


@dataclass(frozen=True)
class Working:
    """A small copy of picture and mask; one of its pixels is `step` of the picture's."""

    levels_HW: Levels
    mask_HW: Mask
    step: int


def shrink(frame_HW: Levels, mask_HW: Mask) -> Working:
    """Average two by two pixels again and again, down to about `WORKING_PX` rows."""
    step, levels = 1, frame_HW
    while levels.shape[0] >= 1.5 * WORKING_PX:
        levels, step = halve(levels), 2 * step
    mask = mask_HW[step // 2 :: step, step // 2 :: step][: levels.shape[0], : levels.shape[1]]
    return Working(levels, np.ascontiguousarray(mask), step)


def smooth_bright(seen: Working) -> float:
    """Measure the largest bright region without texture, as a fraction of the breast: an implant."""
    if cv2.blur(seen.levels_HW, (7, 7)).max() <= IMPLANT_GREY * WHITE:
        return 0.0
    grey = seen.levels_HW.astype(np.float32) / np.float32(WHITE)
    mean = cv2.blur(grey, (7, 7))
    spread = cv2.blur(grey * grey, (7, 7)) - mean * mean
    smooth = (mean > IMPLANT_GREY) & (spread < IMPLANT_SD**2) & seen.mask_HW
    _, _, stats, _ = cv2.connectedComponentsWithStats(smooth.view(np.uint8))
    return float(max([0, *stats[1:, cv2.CC_STAT_AREA].tolist()])) / _area(seen)


def metal_body(seen: Working) -> float:
    """Measure the largest white body with a sharp outline, as a fraction of the breast: a pacemaker."""
    bright = ((seen.levels_HW > round(BODY_GREY * WHITE)) & seen.mask_HW).view(np.uint8)
    if not bright.any():
        return 0.0
    bodies, _ = cv2.findContours(
        cv2.morphologyEx(bright, cv2.MORPH_OPEN, _box(5)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not bodies:
        return 0.0
    filled = cv2.drawContours(np.zeros_like(bright), bodies, -1, 1, cv2.FILLED)
    ring = cv2.dilate(filled, _box(3)) - filled
    ring[:2], ring[-2:], ring[:, :2], ring[:, -2:] = 0, 0, 0, 0  # the frame cuts: that is no outline
    step = cv2.dilate(seen.levels_HW, _box(5)) - cv2.erode(seen.levels_HW, _box(5))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(filled, _box(3)))
    sharp = [0.0]
    for label in 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:4]:
        outline = step[(ring > 0) & (labels == label)]
        if outline.size and np.median(outline) > BODY_STEP * WHITE:
            sharp.append(float(np.count_nonzero(filled[labels == label])))
    return max(sharp) / _area(seen)


def thin_metal(frame_HW: Levels, mask_HW: Mask, seen: Working) -> float:
    """Measure the longest small bright thing, as a fraction of the height: a clip, a wire, a marker."""
    least = round(METAL_GREY * WHITE)
    if frame_HW.max() <= least:
        return 0.0
    places = np.flatnonzero((frame_HW > least) & mask_HW)
    rows, columns = np.divmod(places, frame_HW.shape[1])
    # What is wider than 7 working pixels (5 mm) survives the opening, and is no thin thing.
    around = cv2.morphologyEx(seen.levels_HW, cv2.MORPH_OPEN, _box(7))
    height, width = around.shape
    near = around[np.minimum(rows // seen.step, height - 1), np.minimum(columns // seen.step, width - 1)]
    thin = frame_HW.ravel()[places] - near.astype(np.int32) > METAL_CONTRAST * WHITE
    canvas = np.zeros((frame_HW.shape[0] // 2 + 1, frame_HW.shape[1] // 2 + 1), np.uint8)
    canvas[rows[thin] // 2, columns[thin] // 2] = 1  # halved: a line that noise breaks is one again
    _, _, stats, _ = cv2.connectedComponentsWithStats(canvas)
    lengths_px = np.hypot(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT])
    return float(max([0.0, *lengths_px.tolist()]) / canvas.shape[0])


def straight_edge(seen: Working) -> float:
    """Measure the longest straight edge along rows or columns, as a fraction of the shorter side: a paddle.

    The pectoral muscle is straight too, but slants; the skin is left out where its step is a usual one.
    """
    mask = seen.mask_HW.view(np.uint8)
    skin = cv2.dilate(mask, _box(7)) != cv2.erode(mask, _box(7))
    least = np.where(skin, np.uint16(SKIN_STEP * WHITE), np.uint16(EDGE_STEP * WHITE))
    across_px = _along_rows(seen.levels_HW, least)
    down_px = _along_rows(seen.levels_HW.T.copy(), least.T, round(WALL * seen.levels_HW.shape[0]))
    longest_px = max(across_px, down_px)
    return float(longest_px / min(seen.levels_HW.shape))


def _along_rows(levels_HW: Levels, least_HW: Levels, doubtful_px: int = 0) -> float:
    """Count the pixels on the straightest edge that runs nearly along the rows; the first rows count less."""
    along = cv2.blur(levels_HW, (EDGE_PX, 1))
    step = np.zeros_like(levels_HW)
    cv2.absdiff(along[2:], along[:-2], dst=step[1:-1])
    edges = (step > least_HW) & (step >= cv2.dilate(step, np.ones((3, 1), np.uint8)))
    # A texture's steps lie every way; those of a paddle's edge are across it, all along.
    rough = np.zeros_like(levels_HW)
    rough[:, 1:-1] = cv2.absdiff(levels_HW[:, 2:], levels_HW[:, :-2])
    edges &= step // 2 > cv2.blur(rough, (EDGE_PX, 1))
    turn = np.deg2rad(EDGE_TURN_DEG)
    lines = cv2.HoughLinesWithAccumulator(
        edges.view(np.uint8), 1, np.pi / 180, 10, min_theta=np.pi / 2 - turn, max_theta=np.pi / 2 + turn
    )
    if lines is None:
        return 0.0
    places_px, _, pixels = lines.reshape(-1, 3).T
    return float((pixels * np.where(np.abs(places_px) < doubtful_px, WALL_WEIGHT, 1)).max())


def _area(seen: Working) -> int:
    return max(int(np.count_nonzero(seen.mask_HW)), 1)


def _box(side_px: int) -> Spots:
    return np.ones((side_px, side_px), np.uint8)
