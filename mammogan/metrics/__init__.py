"""Distances between image sets: stream images in, merge parts, compute; arrays in, numbers out."""

from mammogan.metrics.functional import (
    classifier_two_sample_auc,
    dense_share,
    frechet_distance,
    image_moments,
    kernel_distance,
    precision_recall_density_coverage,
    random_network_features,
    sliced_wasserstein_distance,
)
from mammogan.metrics.ms_ssim import ms_ssim, self_similarity
from mammogan.metrics.swd import SlicedWasserstein, gather

__all__ = [
    "SlicedWasserstein",
    "classifier_two_sample_auc",
    "dense_share",
    "frechet_distance",
    "gather",
    "image_moments",
    "kernel_distance",
    "ms_ssim",
    "precision_recall_density_coverage",
    "random_network_features",
    "self_similarity",
    "sliced_wasserstein_distance",
]
