"""Random textures: power-law fields like those of breast tissue, and filaments drawn out of them."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[np.float32]


def power_law(
    rows: int, columns: int, exponent: float, rng: np.random.Generator, *, coarsest_px: float = 1e9
) -> Array:
    """Draw a Gaussian field whose power spectrum falls as 1/f^exponent; mean 0, deviation 1, periodic.

    Parameters
    ----------
    coarsest_px
        Waves longer than this are levelled, so that no single blob decides about the picture.

    Notes
    -----
    Mammographic parenchyma has an exponent near 3 (Burgess et al., Med. Phys. 28, 2001).
    """
    height, width = scipy.fft.next_fast_len(rows, real=True), scipy.fft.next_fast_len(columns, real=True)
    fy = scipy.fft.fftfreq(height).astype(np.float32)[:, None]
    fx = scipy.fft.rfftfreq(width).astype(np.float32)[None, :]
    squared = fx * fx + fy * fy + np.float32(1 / coarsest_px**2 + 1e-12)
    amplitude = squared ** np.float32(-exponent / 4)
    amplitude[0, 0] = 0
    white = rng.standard_normal((2, height, width // 2 + 1), dtype=np.float32)
    field = scipy.fft.irfft2((white[0] + 1j * white[1]) * amplitude, s=(height, width), workers=1)
    field = field[:rows, :columns]
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def web(tile: Array, x: Array, y: Array) -> Array:
    """Look a web of bright strands (0..1) up in a smooth tile: its zero lines, like Cooper's ligaments."""
    return np.asarray(np.maximum(1 - np.abs(sample(tile, x, y)) / np.float32(1.5), 0), np.float32)


def sample(tile: Array, x: Array, y: Array) -> Array:
    """Look a periodic tile up at any coordinates, in pixels."""
    return np.asarray(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def smooth_step(x: NDArray[np.floating]) -> Array:
    """Rise from 0 to 1 over 0..1 without a corner."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)
