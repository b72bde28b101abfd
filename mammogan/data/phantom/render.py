"""One phantom view as the detector's stored pixel values, with what is true about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.phantom import texture, tissue
from mammogan.data.phantom.anatomy import SIDES, VIEWS, Array, Detector, Woman, draw_shape, draw_woman
from mammogan.data.phantom.findings import Finding, burn_bright, draw_findings

PITCH_MM = 0.25  # of the coarse grid on which tissue is drawn; the detector adds what is finer


@dataclass(frozen=True)
class RenderedView:
    """A view as the detector stores it.

    Attributes
    ----------
    pixels
        uint16, (rows, columns), MONOCHROME2: 0 is air. Chest wall at the left for L, at the right for R.
    truth
        What is known about the picture: shares of the breast, places in pixels (column, row), findings.
    """

    pixels: NDArray[np.uint16]
    view: str
    laterality: str
    woman: Woman
    detector: Detector
    truth: dict[str, Any] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Bits stored per pixel."""
        return self.detector.bits

    @property
    def spacing_mm(self) -> float:
        """Distance of two pixels' centres at the detector."""
        return self.detector.spacing_mm


def draw_patient(seed: int, patient: int) -> Woman:
    """Draw patient number `patient` of the cohort `seed`; the same ones give the same woman."""
    return draw_woman(np.random.default_rng([seed, patient]))


def render(
    seed: int,
    patient: int,
    view: str,
    laterality: str,
    *,
    frame_scale: float = 1.0,
    findings: tuple[Finding, ...] = (),
) -> RenderedView:
    """Render one view of one patient: a pure function of its arguments.

    Parameters
    ----------
    view, laterality
        "CC" or "MLO", "L" or "R".
    frame_scale
        Detector frame relative to the real one; 0.125 gives 416x320 pixels for 3328x2560. The anatomy stays
        the same, the texture below a millimetre is another draw.
    findings
        Added to the patient's own ones; defective files bring an implant or a pacemaker this way.
    """
    assert view in VIEWS, view
    assert laterality in SIDES, laterality
    woman = draw_patient(seed, patient)
    detector = woman.detector.scaled(frame_scale)
    stream = [seed, patient, 1 + 2 * VIEWS.index(view) + SIDES.index(laterality)]
    shape_rng, tissue_rng, finding_rng, noise_rng = (np.random.default_rng([*stream, k]) for k in range(4))
    field_mm = (detector.rows * detector.spacing_mm, detector.columns * detector.spacing_mm)
    shape = draw_shape(woman, view, field_mm, shape_rng)
    grid = tissue.lay_grid(shape, field_mm, max(PITCH_MM, detector.spacing_mm))
    own, extras = draw_findings(grid, shape, woman, finding_rng)
    grey, dense = tissue.compose(grid, shape, woman, extras, tissue_rng)
    everything = (*own, *findings)
    grey = burn_bright(grey, grid, everything)
    pixels = _expose(grey, detector, noise_rng)
    truth = _truth(grid, shape.nipple_mm, dense, detector, everything)
    if laterality == "R":
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        truth["nipple_px"][0] = detector.columns - 1 - truth["nipple_px"][0]
        left, top, right, bottom = truth["breast_box_px"]
        truth["breast_box_px"] = [detector.columns - right, top, detector.columns - left, bottom]
    return RenderedView(pixels, view, laterality, woman, detector, truth)


def _expose(grey: Array, detector: Detector, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Enlarge the picture to the detector's pixels, add fine structure and noise, store whole numbers."""
    grey = grey[:, tissue.MARGIN :]
    filled = cv2.boundingRect((grey > 0).astype(np.uint8))
    across = min(grey.shape[1], filled[0] + filled[2] + 2)
    columns = min(detector.columns, round(across * detector.columns / grey.shape[1]))
    fine = cv2.resize(grey[:, :across], (columns, detector.rows), interpolation=cv2.INTER_CUBIC)
    shift = rng.integers(0, _TILE_PX, 2)
    tile = np.roll(_fine_structure(), tuple(shift), (0, 1))
    for top in range(0, detector.rows, _TILE_PX):
        for left in range(0, columns, _TILE_PX):
            part = fine[top : top + _TILE_PX, left : left + _TILE_PX]
            part += tile[: part.shape[0], : part.shape[1]] * part
    centre, width = detector.window
    low, top_value = centre - width / 2, 2**detector.bits - 1
    noise = rng.standard_normal(fine.shape, dtype=np.float32)
    noise *= np.float32(0.0035 * width)
    stored = np.minimum(fine * np.float32(width) + low + noise, top_value)
    # Air is exactly 0; the window's foot fades in with the skin.
    stored *= np.minimum(fine * 25, 1)
    pixels = np.zeros((detector.rows, detector.columns), np.uint16)
    pixels[:, :columns] = np.maximum(stored, 0)
    return pixels


_TILE_PX = 1024


@lru_cache(maxsize=1)
def _fine_structure() -> Array:
    """Tissue structure that the coarse grid cannot hold, as a share of the grey value; periodic."""
    rng = np.random.default_rng(2018)
    tile = texture.power_law(_TILE_PX, _TILE_PX, 2.6, rng, coarsest_px=8)
    return np.asarray(tile * np.float32(0.014), np.float32)


def _truth(
    grid: tissue.Grid,
    nipple_mm: tuple[float, float],
    dense: Array,
    detector: Detector,
    findings: tuple[Finding, ...],
) -> dict[str, Any]:
    """Measure what a test may want to compare a pipeline's answer with; places for a left breast."""
    breast = grid.to_skin[:, tissue.MARGIN :] > 0
    muscle = grid.muscle[:, tissue.MARGIN :] > 0.5
    scale = detector.rows / breast.shape[0]
    left, top, width, height = cv2.boundingRect(breast.astype(np.uint8))
    tissue_px = np.count_nonzero(breast & ~muscle)
    box = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
    return {
        "nipple_px": [round(length / detector.spacing_mm, 1) for length in nipple_mm],
        "breast_box_px": [round(edge) for edge in box],
        "breast_share": round(float(breast.mean()), 4),
        "muscle_share": round(float((breast & muscle).mean()), 4),
        "dense_share": round(float(np.count_nonzero(dense[:, tissue.MARGIN :] > 0.35) / tissue_px), 4),
        "findings": sorted({finding.kind for finding in findings}),
    }
