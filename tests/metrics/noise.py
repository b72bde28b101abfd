"""Pictures of noise whose power falls with frequency, as a mammogram's does, under a breast's outline."""

import numpy as np


def noise(height, width, beta, dice):
    """Give noise of power 1 / f^beta, mean 0 and deviation 1."""
    cycles = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    gain = np.maximum(cycles, 1 / max(height, width)) ** (-beta / 2)
    found = np.fft.irfft2(np.fft.rfft2(dice.normal(size=(height, width))) * gain, s=(height, width))
    return found / found.std()


def picture(height, width, dice, beta=3.0, level=30000, contrast=5000):
    """Give a picture, uint16: tissue in half an ellipse at the left edge, black outside."""
    y = np.linspace(-1.1, 1.1, height)[:, None]
    x = np.linspace(0, 1.25 + 0.1 * dice.normal(), width)
    inside = y * y + x * x < 1
    tissue = level + contrast * noise(height, width, beta, dice)
    return np.where(inside, tissue.clip(3000, 65535), 0).astype(np.uint16)


def pictures(count, seed, height=64, width=52, **changes):
    """Give so many of them, (N, H, W)."""
    dice = np.random.default_rng(seed)
    return np.stack([picture(height, width, dice, **changes) for _ in range(count)])
