"""A file that no shard set has planned, as an image of a rung: laid as those that a model learned from.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import Dataset
from mammogan.config.label_fields import VIEWS
from mammogan.data.dicom.header import hushed, reason_of
from mammogan.data.preprocess.preprocess import pyramid, take
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.screening.pixel_rules import screen_pixels
from mammogan.data.shards.archive import Archive
from mammogan.data.shards.image_worker import ladder


@dataclass(frozen=True)
class Wanted:
    """A file, the recipe that reads it, and the rung (height, width) to be made of it.

    `view` and `laterality` are taken where the file does not say its own.
    """

    path: str
    recipe: Dataset
    size_px: tuple[int, int]
    view: str = ""
    laterality: str = ""


@dataclass(frozen=True)
class Fresh:
    """What became of the file: an image, or the reason why there is none.

    `refused` names the rule of header or pixels by which a shard set would leave the image out; it is
    there all the same. `burned_in` is what the header says of text in the pixels. No identifier is kept.
    """

    image_HW: NDArray[np.uint16] | None = None
    view: str = ""
    laterality: str = ""
    reason: str = ""
    refused: str = ""
    burned_in: bool = False


def fetch(wanted: Wanted) -> Fresh:
    """Make the image: a pure function of file and recipe; whatever is wrong with the file is a reason.

    Tables and lists of the recipe are not asked: they speak of the source's own files.
    """
    cv2.setNumThreads(1)
    path, recipe = Path(wanted.path), wanted.recipe
    alone = {"tables": (), "include_list": "", "exclude_list": "", "accept_list": ""}
    archive = Archive(recipe.source.model_copy(update=alone), path.parent, None)
    try:
        header = archive.header(path)
        view = header.view or wanted.view
        laterality = header.laterality if header.laterality in ("L", "R") else wanted.laterality
        if reason := _unplaced(view, laterality):
            return Fresh(reason=reason)
        resolutions = ladder(recipe.packing.resolutions)
        with hushed():
            picture = take(archive.dicom(path), view, laterality, recipe.pixels, resolutions[-1])
    except Exception as error:  # noqa: BLE001  (a damaged file can raise anything, and must not stop others)
        return Fresh(reason=reason_of(error))
    refused = (
        screen_header(header, recipe.screening)[0] or screen_pixels(picture.measures, recipe.screening)[0]
    )
    image_HW = pyramid(picture.image_HW, resolutions)[resolutions.index(wanted.size_px)]
    return Fresh(image_HW, view, laterality, "", refused, header.burned_in)


def lost(_: Wanted, reason: str) -> Fresh:
    """Give what became of a file that has cost a worker its life."""
    return Fresh(reason=reason)


def _unplaced(view: str, laterality: str) -> str:
    """Say why a picture can't be laid as the others: nobody says which way it is to be turned."""
    if not view:
        return "view-unknown"
    if view not in VIEWS:
        return "view-other"
    return "" if laterality else "laterality-unknown"
