"""Measures of image sets in one call, for notebooks: uint16 arrays (N, H, W), 0 black to 65535 white.

The modules beside this one stream and merge the same over the jobs of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = NDArray[np.uint16]
    Floats = NDArray[np.float64]


def sliced_wasserstein_distance(
    images_NHW: Images,
    others_NHW: Images,
    *,
    patches_per_image: int = 128,
    seed: int = 0,
    foreground: bool = False,
) -> list[float]:
    """Compute the sliced Wasserstein distance x 1000 of two sets at each level of a Laplacian pyramid.

    Finest level first, after Karras et al. (2018). Few images are far from 0 by chance alone: compare with
    the distance of reals to other reals.

    Raises
    ------
    ValueError
        If the sets differ in size or are empty.
    """
    from mammogan.metrics.swd import SlicedWasserstein

    sets = []
    for part_NHW in (_images(images_NHW), _images(others_NHW)):
        height, width = part_NHW.shape[1:]
        gathered = SlicedWasserstein(height, width, patches_per_image, seed=seed, foreground=foreground)
        gathered.update(part_NHW)
        sets.append(gathered)
    return sets[0].distance(sets[1])


def random_network_features(images_NHW: Images) -> NDArray[np.float32]:
    """Embed images by a small convolutional network of fixed random weights: (N, F).

    Networks trained on photographs are no judges of mammograms; Naeem et al. (2020) recommend random ones.
    """
    import numpy as np

    from mammogan.metrics.random_features import embed

    return np.stack([embed(image_HW) for image_HW in _images(images_NHW)])


def frechet_distance(images_NHW: Images, others_NHW: Images) -> float:
    """Compute the squared Fréchet distance of two sets in the space of `random_network_features`.

    After Heusel et al. (2017). Biased by the number of images: compare at one number only.
    """
    from mammogan.metrics.frechet_kid import frechet

    return frechet(random_network_features(images_NHW), random_network_features(others_NHW))


def kernel_distance(images_NHW: Images, others_NHW: Images) -> float:
    """Compute the squared maximum mean discrepancy in that space, unbiased (Binkowski et al. 2018)."""
    from mammogan.metrics import frechet_kid

    return frechet_kid.kernel_distance(
        random_network_features(images_NHW), random_network_features(others_NHW)
    )


def precision_recall_density_coverage(
    real_NHW: Images, synthetic_MHW: Images, *, k: int = 5
) -> dict[str, float]:
    """Compute how far two sets lie within each other, by balls to the `k`-th neighbour in that space.

    Kynkäänniemi et al. (2019) and Naeem et al. (2020).

    Raises
    ------
    ValueError
        If a set has not more than `k` images.
    """
    from mammogan.metrics.prdc import manifolds

    found = manifolds(random_network_features(real_NHW), random_network_features(synthetic_MHW), k)
    if found is None:
        fewest = min(len(real_NHW), len(synthetic_MHW))
        raise ValueError(f"neighbours '{k}' of each image need more images than {fewest}")
    return found.scores


def classifier_two_sample_auc(real_NHW: Images, synthetic_MHW: Images, *, seed: int = 0) -> float:
    """Compute how well boosted trees tell both sets apart by those features: 0.5 if they can't, 1 if always.

    Each image is scored by trees that have not seen it (Lopez-Paz and Oquab 2017, with cross-validation).

    Raises
    ------
    ValueError
        If a set has fewer than two images.
    """
    import numpy as np

    from mammogan.metrics.c2st import classify

    parts = [random_network_features(part).astype(np.float64) for part in (real_NHW, synthetic_MHW)]
    groups = np.arange(len(parts[0])), np.arange(len(parts[1]))
    found = classify(parts[0], parts[1], groups, np.random.default_rng(seed))
    if found is None:
        raise ValueError("two folds need two images of each set at least")
    return found.auc


def image_moments(images_NHW: Images) -> Floats:
    """Compute mean, standard deviation, skewness, excess kurtosis and fifth moment of greys: (N, 5)."""
    import numpy as np

    from mammogan.metrics.histogram_moments import histogram, moments

    return np.stack([moments(histogram(image_HW)) for image_HW in _images(images_NHW)])


def dense_share(images_NHW: Images, *, oblique: bool) -> Floats:
    """Compute the dense part of each breast's area: (N,); NaN without a breast.

    `oblique` says that they are MLO views with the chest wall on the left, whose muscle is left out.
    """
    import numpy as np

    from mammogan.metrics import breast_density

    return np.array(
        [breast_density.dense_share(image_HW, oblique=oblique) for image_HW in _images(images_NHW)]
    )


def _images(images_NHW: Images) -> Images:
    """Refuse what is no set of images of 16 bits."""
    import numpy as np

    if not isinstance(images_NHW, np.ndarray) or images_NHW.ndim != 3 or images_NHW.dtype != np.uint16:
        shape, kind = (
            getattr(images_NHW, "shape", ""),
            getattr(images_NHW, "dtype", type(images_NHW).__name__),
        )
        raise ValueError(f"a set of images is uint16 (N, H, W), not {kind} {shape}")
    return images_NHW
