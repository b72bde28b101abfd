"""Distances between image sets: stream images in, merge parts, compute; arrays in, numbers out."""

from mammogan.metrics.ms_ssim import ms_ssim, self_similarity
from mammogan.metrics.swd import SlicedWasserstein, gather

__all__ = ["SlicedWasserstein", "gather", "ms_ssim", "self_similarity"]
