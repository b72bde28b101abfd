"""Telling whether two files hold the same pixels: by a sample of their bytes, by all of them, or by values.

The sample is taken of every file that is listed, so it must cost no more than a header; it is right as long
as nobody draws on a copy. Where that matters all bytes are read, and pixels in different encodings decoded.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset as Dicom

from mammogan.data.dicom.decode import ITEM
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.dicom.pixel_depth import Stored
from mammogan.data.shards.zip_members import on_disk

SAMPLE_BYTES = 1 << 14
"""In the middle of the pixels: some rows through the breast, or that part of a compressed stream."""
LEAST_VALUES = 16
"""Different bytes that a sample must have: one grey, or a chart of a few, is nobody's breast."""
READ_BYTES = 1 << 22
UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Place:
    """Where the pixels of the file at `path` begin; `order` is that of its numbers, as `struct` has it.

    What begins at 0 has no element around it: a picture file, or a deflated one.
    """

    path: Path
    begin: int = 0
    order: str = "<"


def place(path: Path, dicom: Dicom, begin: int) -> Place:
    """Find the pixels of a DICOM file whose header was read up to byte `begin`."""
    syntax = dicom.file_meta.get("TransferSyntaxUID") if hasattr(dicom, "file_meta") else None
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        return Place(path)
    return Place(path, begin, ">" if syntax == uid.ExplicitVRBigEndian else "<")


def sample(pixels: Place) -> str:
    """Hash a part of the pixels; empty where they are cut short, bland, or can't be reached."""
    try:
        with on_disk(pixels.path) as path, path.open("rb") as stream:
            start, length = _span(stream, pixels)
            end = stream.seek(0, 2)
            stream.seek(start + max(length - SAMPLE_BYTES, 0) // 2)
            block = stream.read(min(length, SAMPLE_BYTES))
    except (OSError, UnreadableError):
        return ""
    if start + length > end or len(set(block)) < LEAST_VALUES:
        return ""
    return hashlib.sha256(struct.pack("<Q", length) + block).hexdigest()[:32]


def digest(pixels: Place) -> str:
    """Hash all bytes of the pixels."""
    made = hashlib.sha256()
    with on_disk(pixels.path) as path, path.open("rb") as stream:
        start, length = _span(stream, pixels)
        stream.seek(start)
        while block := stream.read(min(READ_BYTES, length)):
            made.update(block)
            length -= len(block)
    return made.hexdigest()[:32]


def values_digest(stored: Stored) -> str:
    """Hash decoded values, in whatever width they were stored."""
    shape = struct.pack("<2I", *stored.shape)
    return hashlib.sha256(shape + np.ascontiguousarray(stored, "<i4").tobytes()).hexdigest()[:32]


def _span(stream: BinaryIO, pixels: Place) -> tuple[int, int]:
    """Give where the pixels begin and how long they are: of a compressed picture its first fragment.

    PS3.5, 7.1 and A.4: the length stands in the four bytes before; if it is undefined, items follow, the
    first of which is the table of offsets.
    """
    size = stream.seek(0, 2)
    if pixels.begin < 4:
        return 0, size
    stream.seek(pixels.begin - 4)
    (length,) = struct.unpack(f"{pixels.order}I", stream.read(4))
    if length != UNDEFINED:
        return pixels.begin, length
    start = pixels.begin
    for _ in range(2):
        stream.seek(start)
        head = stream.read(8)
        if len(head) < 8 or head[:4] != ITEM:
            return pixels.begin, size - pixels.begin
        start, length = start + 8, struct.unpack("<I", head[4:])[0]
        begin, start = start, start + length
    return begin, length
