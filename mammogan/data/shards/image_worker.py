"""The work on one image, done in a worker process: a file in, an encoded image and a note a rung out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from mammogan.config.dataset import Dataset
from mammogan.config.settings import canonical_json
from mammogan.data.dicom.header import hushed, reason_of, spacing_mm
from mammogan.data.preprocess.preprocess import Picture, pyramid, take
from mammogan.data.shards import sources
from mammogan.data.shards.judgement import judge_pixels, pixel_evidence
from mammogan.data.store.intensity_moments import power_sums
from mammogan.data.store.manifest import PowerSums, Sample
from mammogan.data.store.shard_writer import encode_image
from mammogan.errors import DataError

SCREENED_PX = 640
"""Height from which on a picture is looked at, however small the rungs to be written are."""


@dataclass(frozen=True)
class Task:
    """An image to be made: a file of the set whose private folder is `secret`."""

    secret: str
    path: str
    sample: Sample
    accepts: tuple[str, ...] = ()
    """Rules that a list overrides for it."""


@dataclass(frozen=True)
class Made:
    """What became of it; on success `images`, `notes` (JSON) and `sums` have one entry a rung.

    `seen` is what a rule that refuses it has measured, and the thresholds.
    """

    sample: Sample
    outcome: str
    reason: str = ""
    flags: tuple[str, ...] = ()
    pixels_sha256: str = ""
    images: tuple[bytes, ...] = ()
    notes: tuple[bytes, ...] = ()
    sums: tuple[PowerSums, ...] = ()
    seen: tuple[dict[str, Any], dict[str, Any]] = ({}, {})


def make(task: Task) -> Made:
    """Make every rung of one image: a pure function of file and recipe, whatever process it runs in.

    Raises
    ------
    DataError
        If the file can't be reached. That says nothing about the image, so it must not decide its outcome.
    """
    cv2.setNumThreads(1)
    of, sample = sources.load(Path(task.secret)), task.sample
    recipe = of.recipes[sample.recipe]
    try:
        with hushed():
            dicom = of.archive(sample.recipe).dicom(Path(task.path))
            resolutions = ladder(recipe.packing.resolutions)
            picture = take(dicom, sample.view, sample.laterality, recipe.pixels, resolutions[-1])
            spacing = spacing_mm(dicom)
    except OSError as error:
        raise DataError(
            f"A planned file can't be read any more ({error.strerror}); its path stands in the private "
            f"folder's plan under key '{sample.key}'. Bring the source back and give the same command again."
        ) from None
    except Exception as error:  # noqa: BLE001  (a damaged file can raise anything, and must not stop others)
        return Made(sample, "unreadable", reason_of(error))
    reason, flags = judge_pixels(picture.measures, task.accepts, recipe.screening)
    if reason:
        return Made(sample, "refused", reason, seen=pixel_evidence(reason, picture, recipe.screening))
    return _rungs(sample, recipe, picture, spacing, tuple(sorted({*sample.flags, *picture.flags, *flags})))


def _rungs(sample: Sample, recipe: Dataset, picture: Picture, spacing: float, flags: tuple[str, ...]) -> Made:
    resolutions = recipe.packing.resolutions
    images = pyramid(picture.image_HW, ladder(resolutions))[: len(resolutions)]
    taken_px = picture.image_HW.shape
    contents = tuple(encode_image(image) for image in images)
    pixels_sha256 = hashlib.sha256(contents[-1]).hexdigest()  # equal pictures are equal bytes
    about: dict[str, Any] = {
        **{name: value for name, value in sample.model_dump(mode="json").items() if name != "recipe"},
        "flags": flags,
        "dataset": recipe.dataset.name,
        "placing": {"in_px": taken_px, **asdict(picture.placing)},
        "image_sha256_at_top": pixels_sha256,
    }
    notes = []
    for height, width in resolutions:
        pixel_mm = round(spacing / picture.placing.scale * taken_px[0] / height, 6) or None
        note = about | {"size_px": (height, width), "pixel_spacing_mm": pixel_mm}
        notes.append(canonical_json(note).encode())
    return Made(
        sample=sample,
        outcome="accepted",
        flags=flags,
        pixels_sha256=pixels_sha256,
        images=contents,
        notes=tuple(notes),
        sums=tuple(power_sums(image) for image in images),
    )


def ladder(resolutions: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Go on doubling until the rules of the pixels can see something: they judge the topmost picture."""
    whole = list(resolutions)
    while whole[-1][0] < SCREENED_PX:
        whole.append((whole[-1][0] * 2, whole[-1][1] * 2))
    return tuple(whole)
