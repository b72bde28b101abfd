"""One phantom view as the detector's stored pixel values, with what is true about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.phantom import breast_tissue, tissue_texture
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
    shape_rng, tissue_rng, finding_rng, noise_rng, body_rng = (
        np.random.default_rng([*stream, k]) for k in range(5)
    )
    field_mm = (detector.rows * detector.spacing_mm, detector.columns * detector.spacing_mm)
    shape = draw_shape(woman, view, field_mm, shape_rng)
    grid = breast_tissue.lay_grid(shape, field_mm, max(PITCH_MM, detector.spacing_mm))
    own, extras = draw_findings(grid, shape, woman, finding_rng)
    grey, dense = breast_tissue.compose(grid, shape, woman, extras, tissue_rng)
    everything = (*own, *findings)
    grey = burn_bright(grey, grid, everything, body_rng)
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
    grey = grey[:, breast_tissue.MARGIN :]
    enlarge = detector.rows / grey.shape[0]
    columns = min(detector.columns, round(grey.shape[1] * enlarge))
    fine = cv2.resize(grey, (columns, detector.rows), interpolation=cv2.INTER_CUBIC)
    centre, width = detector.window
    gain, offset = _grain(width, centre - width / 2)
    gain, offset = (_cover(tile, columns, rng) for tile in (gain, offset))
    pixels = np.zeros((detector.rows, detector.columns), np.uint16)
    for top in range(0, detector.rows, _BAND_PX):  # bands stay in the processor's cache
        band = fine[top : top + _BAND_PX]
        lines = np.arange(top, top + len(band)) % _TILE_PX
        fade = np.minimum(band * 25, 1)  # air is exactly 0; the window's foot fades in with the skin
        band *= gain[lines]
        band += offset[lines]
        band *= fade
        pixels[top : top + _BAND_PX, :columns] = np.clip(band, 0, 2**detector.bits - 1, out=band)
    return pixels


_TILE_PX, _BAND_PX = 1024, 128


@lru_cache(maxsize=4)
def _grain(width: int, low: float) -> tuple[Array, Array]:
    """Draw two periodic tiles: tissue finer than the coarse grid, as a gain; noise, as an offset."""
    rng = np.random.default_rng(2018)
    structure = tissue_texture.power_law(_TILE_PX, _TILE_PX, 2.6, rng, coarsest_px=8)
    noise = rng.standard_normal((_TILE_PX, _TILE_PX), dtype=np.float32)
    return structure * np.float32(0.014 * width) + np.float32(width), noise * np.float32(0.0028 * width) + low


def _cover(tile: Array, columns: int, rng: np.random.Generator) -> Array:
    """Repeat a tile over the columns, from another place in every picture."""
    down, across = rng.integers(0, _TILE_PX, 2)
    repeats = -(-columns // _TILE_PX)
    return np.tile(np.roll(tile, (down, across), (0, 1)), (1, repeats))[:, :columns]


def _truth(
    grid: breast_tissue.Grid,
    nipple_mm: tuple[float, float],
    dense: Array,
    detector: Detector,
    findings: tuple[Finding, ...],
) -> dict[str, Any]:
    """Measure what a test may want to compare a pipeline's answer with; places for a left breast."""
    breast = grid.to_skin[:, breast_tissue.MARGIN :] > 0
    muscle = grid.muscle[:, breast_tissue.MARGIN :] > 0.5
    scale = detector.rows / breast.shape[0]
    left, top, width, height = cv2.boundingRect(breast.astype(np.uint8))
    frame_px = breast.shape[0] * detector.columns / scale  # in pixels of the coarse grid
    tissue_px = np.count_nonzero(breast & ~muscle)
    box = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
    return {
        "nipple_px": [round(length / detector.spacing_mm, 1) for length in nipple_mm],
        "breast_box_px": [round(edge) for edge in box],
        "breast_share": round(float(np.count_nonzero(breast) / frame_px), 4),
        "muscle_share": round(float(np.count_nonzero(breast & muscle) / frame_px), 4),
        "dense_share": round(float(np.count_nonzero(dense[:, breast_tissue.MARGIN :] > 0.35) / tissue_px), 4),
        "findings": sorted({finding.kind for finding in findings}),
    }
