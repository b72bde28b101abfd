"""What lies in a folder: DICOM and image files with their sizes and depths, tables, and everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mammogan.config.source_settings import Images
from mammogan.data.dicom import file_kinds, image_files
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards.file_listing import walk

TABLES = (".csv", ".tsv", ".txt")
DEEPEST = 16
"""Bits that are assumed while a file is measured."""


@dataclass(frozen=True)
class ImageFile:
    """A picture: its path below the folder, with ``/`` between, and its size."""

    path: str
    rows: int
    columns: int
    bits: int


@dataclass
class Survey:
    """What a folder holds.

    Attributes
    ----------
    images, dicoms
        Picture files that can be read, and paths of DICOM files, each below the folder.
    tables
        Files that may be tables of them.
    others
        How many of each kind are neither, by reason.
    """

    folder: Path
    images: list[ImageFile] = field(default_factory=list)
    dicoms: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many pictures there are of each height and width."""
        return Counter((image.rows, image.columns) for image in self.images)

    def without(self, paths: Set[str]) -> Survey | None:
        """Give a survey of the pictures that are not in `paths`; None if all are."""
        images = [image for image in self.images if image.path not in paths]
        return Survey(self.folder, images, tables=self.tables) if images else None

    @property
    def depths(self) -> Counter[int]:
        """How many pictures have 8, and how many 16 bits."""
        return Counter(image.bits for image in self.images)


def survey(folder: Path, on_progress: Callable[[int], None] = lambda _: None) -> Survey:
    """Look at every file below `folder`, at pictures' and DICOMs' heads only.

    Raises
    ------
    DataError
        If the folder can't be listed.
    """
    found = Survey(folder)
    for count, (path, reason) in enumerate(sorted(walk(folder)), 1):
        on_progress(count)
        _look(found, Path(path), reason)
    return found


def grey_bits(survey: Survey, most: int = 50) -> int | None:
    """Return how many bits of 16-bit files carry grey, as far as up to `most` of them show; None without any.

    Values below 4096 are taken for 12 bits, those that fill more for the next even number.
    """
    deep = [image.path for image in survey.images if image.bits == DEEPEST]
    greatest = 0
    for path in deep[:: max(1, len(deep) // most)]:
        pixels = cv2.imdecode(np.fromfile(survey.folder / path, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None:
            greatest = max(greatest, int(pixels.max()))
    if not deep:
        return None
    return next(bits for bits in (10, 12, 14, DEEPEST) if greatest < 1 << bits)


def _look(found: Survey, path: Path, reason: str) -> None:
    name = path.relative_to(found.folder).as_posix()
    if reason or path.name.startswith("."):
        found.others[reason or "hidden-file"] += 1
        return
    if path.suffix.lower() in TABLES:
        found.tables.append(path)
        return
    try:
        kind = file_kinds.kind_of(path, "not-an-image")
        if kind == "image-file":
            header = image_files.dressed_header(path, Images(bits=DEEPEST))
            found.images.append(ImageFile(name, header.Rows, header.Columns, header.BitsAllocated))
        elif kind == "dicom-file" or path.suffix.lower() in (".dcm", ".dicom"):
            found.dicoms.append(name)
        else:
            found.others[kind] += 1
    except UnreadableError as error:
        found.others[str(error)] += 1
    except OSError:
        found.others["no-access"] += 1
