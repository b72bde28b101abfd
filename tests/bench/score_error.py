"""Hold the error that a score states against the deviation over many fresh draws of fakes and of reals.

    python -m tests.bench.score_error [--draws 60 --images 96]

Images are drawn here, so that fresh draws are free. Of each kind of fakes it prints SWD above the floor, its
true deviation over draws, what random half-samples say (mean and deviation over draws), and what the
deviation from seed to seed says, which leaves out which images were drawn; then the same of the difference to
sound fakes, whose reals are shared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mammogan.metrics import SlicedWasserstein, gather, half_samples
from mammogan.metrics.half_distances import half_differences
from mammogan.metrics.half_samples import Splits

Images = NDArray[np.uint16]
SHAPE = (40, 32)
SPLITS, SEEDS, DIRECTIONS, PATCHES = 16, 3, 32, 64
IMAGES_OF_A_PATIENT = 2


def reals(count: int, random: np.random.Generator, blur: float = 0.0, grain: float = 0.0) -> Images:
    """Draw half discs with texture; two in a row are of one patient and share size, density and tone."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[0]
    images = []
    for number in range(count):
        if number % IMAGES_OF_A_PATIENT == 0:
            size, dense, tone = random.uniform(0.3, 0.48), random.random() < 0.5, random.uniform(0.25, 0.45)
            smooth = random.uniform(0.6, 1.6)
        away = np.hypot(x / 1.4, y - 0.5 + random.normal(0, 0.04)) / size
        texture = cv2.GaussianBlur(random.standard_normal(SHAPE), (0, 0), smooth)
        grey = tone + 0.12 * texture + (0.3 * np.exp(-4 * away**2) * (1 + texture) if dense else 0.0)
        image = np.clip(grey, 0.05, 1) * np.clip(12 * (1 - away), 0, 1)
        image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
        images.append(image + grain * random.standard_normal(SHAPE) * (image > 0))
    return np.asarray(np.clip(images, 0, 1) * 65535, np.uint16)


def fakes(count: int, random: np.random.Generator, blur: float = 0.0, grain: float = 0.0) -> Images:
    """Draw images, each of a patient of its own."""
    return reals(IMAGES_OF_A_PATIENT * count, random, blur, grain)[::IMAGES_OF_A_PATIENT]


KINDS: dict[str, Callable[[int, np.random.Generator], Images]] = {
    "sound": fakes,
    "a little blurred": lambda count, random: fakes(count, random, blur=0.45),
    "grainy": lambda count, random: fakes(count, random, grain=0.03),
    "blurred": lambda count, random: fakes(count, random, blur=0.7),
}


def gathered(images_NHW: Images) -> list[SlicedWasserstein]:
    """Gather patches, by seed."""
    sets = [SlicedWasserstein(*SHAPE, PATCHES, DIRECTIONS, 2, seed) for seed in range(SEEDS)]
    gather(sets, images_NHW)
    return sets


def mean(a: Iterable[SlicedWasserstein], b: Iterable[SlicedWasserstein]) -> NDArray[np.float64]:
    """Compute SWD in the mean over levels, by seed."""
    return np.array([np.mean(one.distance(other)) for one, other in zip(a, b, strict=True)])


def halves(
    a: list[SlicedWasserstein], b: list[SlicedWasserstein], of_a: Splits, of_b: Splits
) -> NDArray[np.float64]:
    """Compute half the differences of SWD between halves, in the mean over levels and seeds, by split."""
    pairs = zip(a, b, strict=True)
    found = [half_differences(*pair, of_a, of_b, DIRECTIONS // SEEDS) for pair in pairs]
    return np.asarray(np.mean(found, axis=(0, 2)))


def draw(
    number: int, count: int, kinds: Iterable[str] = tuple(KINDS)
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Score each kind on fresh reals, others and fakes: above the floor by seed, and half the differences."""
    random = np.random.default_rng(number)
    validation, others = (gathered(reals(count, random)) for _ in range(2))
    patients = np.arange(count) // IMAGES_OF_A_PATIENT
    of_reals, of_others, of_fakes = (
        half_samples.splits(groups_N, half_samples.ranks(count, SPLITS, (number, one)))
        for one, groups_N in enumerate((patients, patients, np.arange(count)))
    )
    floor_S = halves(validation, others, of_reals, of_others)
    floors, found = mean(validation, others), {}
    for kind in kinds:
        mine = gathered(KINDS[kind](count, np.random.default_rng([number, 1])))
        halves_S = halves(mine, validation, of_fakes, of_reals) - floor_S
        found[kind] = (mean(mine, validation) - floors, halves_S)
    return found


def main() -> None:
    """Print the table."""
    console = Console(width=120, highlight=False)
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--draws", type=int, default=60)
    arguments.add_argument("--images", type=int, default=96)
    options = arguments.parse_args()
    draws = [draw(number, options.images) for number in range(options.draws)]
    console.print(
        "fakes                      above floor   true sd   half-samples   ratio   seed to seed   ratio"
    )
    for kind in KINDS:
        console.print(row(kind, [one[kind] for one in draws]))
    for kind in list(KINDS)[1:]:
        pairs = [tuple(a - b for a, b in zip(one[kind], one["sound"], strict=True)) for one in draws]
        console.print(row(f"{kind} - sound", pairs))


def compared(found: Sequence[tuple[NDArray[np.float64], ...]]) -> dict[str, float]:
    """Compare what is said with what is true, over draws."""
    above = np.array([values.mean() for values, _ in found])
    said = np.array([half_samples.deviation(halves_S) for _, halves_S in found])
    return {
        "above_floor": float(above.mean()),
        "true": float(above.std(ddof=1)),
        "said": float(np.sqrt(np.mean(said**2))),
        "said_sd": float(said.std()),
        "seeds": float(np.mean([values.std(ddof=1) for values, _ in found])),
    }


def row(name: str, found: Sequence[tuple[NDArray[np.float64], ...]]) -> str:
    """Return a line of the table."""
    of = compared(found)
    return (
        f"{name:<26} {of['above_floor']:11.2f} {of['true']:9.2f} {of['said']:7.2f} ± {of['said_sd']:4.2f} "
        f"{of['said'] / of['true']:7.2f} {of['seeds']:14.2f} {of['seeds'] / of['true']:7.2f}"
    )


if __name__ == "__main__":
    main()
