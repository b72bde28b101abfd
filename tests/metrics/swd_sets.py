"""Two seeded sets of grey pictures that any implementation can rebuild bit for bit; check them by `digest`.

Value noise of several octaves under an ellipse; the spectrum of B is steeper. Sums and products only.
"""

import hashlib

import numpy as np

KINDS = {"A": (1234, 0.80), "A2": (4321, 0.80), "B": (5678, 0.72)}
"""Kind to seed, and how much weaker each finer octave is."""


def image_set(kind, count, height, width):
    """Draw a set, uint8 (N, H, W)."""
    return np.stack([image(kind, index, height, width) for index in range(count)])


def image(kind, index, height, width):
    """Draw one image of a set, uint8 (H, W)."""
    seed, decay = KINDS[kind]
    random = np.random.Generator(np.random.PCG64([seed, index]))
    noise_HW, amplitude, step = np.zeros((height, width)), 1.0, max(height, width) // 4
    while step >= 1:
        grid = random.random((height // step + 2, width // step + 2)) - 0.5
        noise_HW += amplitude * (stretched(grid, height, width) if step > 1 else grid[:height, :width])
        amplitude, step = amplitude * decay, step // 2
    y = np.arange(height, dtype=np.float64)[:, None] / height - 0.5
    x = np.arange(width, dtype=np.float64)[None, :] / width
    edge_HW = np.clip((1.0 - (y * y * 4.5 + x * x * 1.4)) * 4.0, 0.0, 1.0)
    return np.clip(np.floor((noise_HW * 60.0 + 110.0) * edge_HW), 0, 255).astype(np.uint8)


def stretched(grid, height, width):
    """Interpolate a grid linearly to (height, width), its corners kept."""
    (i, y), (j, x) = places(height, grid.shape[0]), places(width, grid.shape[1])
    rows = grid[i] * (1.0 - y)[:, None] + grid[i + 1] * y[:, None]
    return rows[:, j] * (1.0 - x)[None, :] + rows[:, j + 1] * x[None, :]


def places(count, points):
    """Where `count` places lie among grid points: the point before, and the fraction beyond it."""
    t = np.arange(count, dtype=np.float64) * ((points - 1) / (count - 1))
    before = np.minimum(t.astype(np.int64), points - 2)
    return before, t - before


def digest(images_NHW):
    """Name a set by its bytes."""
    return hashlib.sha256(np.ascontiguousarray(images_NHW).tobytes()).hexdigest()[:16]
