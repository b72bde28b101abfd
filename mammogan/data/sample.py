"""The work on one image, done in a worker process: DICOM file in, one PNG and one JSON a rung out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray

from mammogan.config.dataset import Dataset
from mammogan.config.settings import canonical_json
from mammogan.data.artefacts import screen_pixels
from mammogan.data.header import UnreadableError, hushed, spacing_mm
from mammogan.data.manifest import Sample
from mammogan.data.picture import Picture, pyramid, take
from mammogan.errors import DataError


@dataclass(frozen=True)
class Task:
    """An image to be made."""

    path: str
    sample: Sample
    recipe: Dataset


@dataclass(frozen=True)
class Made:
    """What became of it; on success `pngs`, `notes` (JSON) and `power_sums` have one entry a rung."""

    sample: Sample
    outcome: str
    reason: str = ""
    flags: tuple[str, ...] = ()
    pngs: tuple[bytes, ...] = ()
    notes: tuple[bytes, ...] = ()
    power_sums: tuple[tuple[int, int, int], ...] = ()


def make(task: Task) -> Made:
    """Make every rung of one image: a pure function of file and recipe, whatever process it runs in.

    Raises
    ------
    DataError
        If the file can't be reached. That says nothing about the image, so it must not decide its outcome.
    """
    cv2.setNumThreads(1)
    try:
        with hushed():
            dicom = pydicom.dcmread(Path(task.path))
            sample, recipe = task.sample, task.recipe
            picture = take(dicom, sample.view, sample.laterality, recipe.pixels, recipe.packing.top_px)
            spacing = spacing_mm(dicom)
    except OSError as error:
        raise DataError(
            f"A planned file can't be read any more ({error.strerror}); its path stands in the private "
            f"catalogue under key '{task.sample.key}'. Bring the source back and "
            "give the same command again."
        ) from None
    except UnreadableError as error:
        return Made(task.sample, "unreadable", str(error))
    except Exception:  # noqa: BLE001  (a damaged file can raise anything, and must not stop the others)
        return Made(task.sample, "unreadable", "damaged")
    reason, flags = screen_pixels(picture.measures, task.recipe.screening)
    if reason:
        return Made(task.sample, "refused", reason)
    return _rungs(task, picture, spacing, tuple(sorted({*task.sample.flags, *flags})))


def _rungs(task: Task, picture: Picture, spacing: float, flags: tuple[str, ...]) -> Made:
    rungs = task.recipe.packing.rungs
    images = pyramid(picture.image_HW, rungs)
    pixels_sha256 = hashlib.sha256(images[-1].tobytes()).hexdigest()
    notes = []
    for height, _ in rungs:
        pixel_mm = spacing / picture.placing.scale * rungs[-1][0] / height
        note: dict[str, Any] = {
            **task.sample.model_dump(mode="json", exclude={"key", "recipe"}),
            "flags": flags,
            "dataset": task.recipe.dataset.name,
            "pixel_spacing_mm": round(pixel_mm, 6) or None,
            "placing_at_top": asdict(picture.placing),
            "pixels_sha256_at_top": pixels_sha256,
        }
        notes.append(canonical_json(note).encode())
    return Made(
        sample=task.sample,
        outcome="accepted",
        flags=flags,
        pngs=tuple(encode(image) for image in images),
        notes=tuple(notes),
        power_sums=tuple(_power_sums(image) for image in images),
    )


def encode(image_HW: NDArray[np.uint16]) -> bytes:
    """Encode as 16-bit PNG; OpenCV's own setting is both the smallest and the fastest of libpng's here."""
    done, png = cv2.imencode(".png", image_HW)
    assert done, "OpenCV did not encode a PNG"
    return bytes(png)


def decode(png: bytes) -> NDArray[np.uint16] | None:
    """Decode a 16-bit PNG; None if it is damaged."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    return image if image is not None and image.dtype == np.uint16 and image.ndim == 2 else None


def _power_sums(image_HW: NDArray[np.uint16]) -> tuple[int, int, int]:
    wide = image_HW.ravel().astype(np.uint64)  # whole numbers: exact in any order
    return image_HW.size, int(wide.sum()), int(np.dot(wide, wide))
