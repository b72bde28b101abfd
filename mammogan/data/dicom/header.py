"""What a DICOM header says about a mammogram, read defensively and without its pixels."""

from __future__ import annotations

import errno
import io
import logging
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset as Dicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import MediaStorageDirectoryStorage
from pydicom.valuerep import VR

from mammogan.data.dicom import vocabulary
from mammogan.data.dicom.deflated import not_a_bomb
from mammogan.data.dicom.fields import Origins, coded, number, numbers, text, texts, unreadable, yes
from mammogan.data.dicom.file_kinds import kind_of
from mammogan.data.dicom.orientation import patient_orientation

DESCRIPTIONS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription",
    "RequestedProcedureDescription", "AcquisitionDeviceProcessingDescription",
    "AcquisitionDeviceProcessingCode", "AcquisitionProtocolName", "AcquisitionProtocolDescription",
    "ViewPosition", "PaddleDescription", "DerivationDescription",
)  # fmt: skip
"""Attributes whose words are read."""
NUMBERS = ("EstimatedRadiographicMagnificationFactor", "FieldOfViewDimensions", "NumberOfFrames")
"""Attributes that screening takes for numbers: `unreadable-number` says that one holds none."""
SPACINGS = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
PIXELS = frozenset({Tag("PixelData"), Tag("FloatPixelData"), Tag("DoubleFloatPixelData")})
FIRST_GROUPS = (0x0002, 0x0008)
VRS = frozenset(str(vr) for vr in VR)
MOST_ELEMENTS = 1 << 16
"""At the top level of a file; the dictionary of DICOM knows 5,000."""


@dataclass(frozen=True)
class Header:
    """The facts that screening decides on; absent values are empty, 0 or False.

    `rows` and `columns` are those of the frame as it is hung. What may identify somebody is kept out of its
    printed form. Of these facts only view, laterality, labels and flags may ever leave.
    """

    sop_instance_uid: str = field(repr=False)
    sop_class: str
    modality: str
    intent: str
    image_type: tuple[str, ...]
    view: str
    laterality: str
    modifiers: tuple[str, ...]
    patient: str = field(repr=False)
    labels: dict[str, str]
    model: str = field(repr=False)
    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    magnification: float
    field_mm: tuple[float, ...]
    detector_mode: str
    contrast_agent: bool
    texts: tuple[tuple[str, str], ...] = field(repr=False)
    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    partial_view: bool
    implant: bool
    quality_control: bool
    synthetic: bool
    burned_in: bool
    has_pixels: bool
    flags: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class UnreadableError(Exception):
    """A file that gives no picture; the message is the reason's name, and identifies nobody."""


def read_dicom(path: Path) -> tuple[Dicom, int]:
    """Read the header of the DICOM file at `path`, and say where its pixels begin; 0 if there are none.

    Raises
    ------
    UnreadableError
        If the file is not DICOM.
    OSError
        If it can't be read.
    """
    try:
        dicom, found = read_to_pixels(path)
    except InvalidDicomError:
        raise UnreadableError(kind_of(path, "not-dicom")) from None
    if dicom.preamble is None and "SOPClassUID" not in dicom and "Modality" not in dicom:
        raise UnreadableError(kind_of(path, "not-dicom"))
    if dicom.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise UnreadableError("dicomdir")
    return dicom, found


def read_to_pixels(
    path: Path, *, included: bool = False, defer_bytes: int | None = None
) -> tuple[FileDataset, int]:
    """Parse a DICOM file up to its pixels, and say at which byte their value begins; 0 if there are none.

    Whatever follows them is let alone. Of a deflated file the place is its end: only its end is known.

    Parameters
    ----------
    included
        Take the pixels, too.
    defer_bytes
        Leave values that are longer on the disk until they are asked for.

    Raises
    ------
    InvalidDicomError
        If it has no preamble, and does not begin as a data set either.
    UnreadableError
        If its elements don't end: a block of zeros reads as elements without a value, at eight bytes each.
    """
    number, found = count(1), 0

    def stop_when(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal found
        if next(number) > MOST_ELEMENTS:
            raise UnreadableError("broken-header")
        before, found = found, found or (stream.tell() if tag in PIXELS else 0)
        return bool(before if included else found)

    with _Bounded(path) as stream:
        bare = _begins_with_elements(stream.peek(12), path.stat().st_size)
        return read_partial(stream, stop_when=stop_when, defer_size=defer_bytes, force=bare), found


def _begins_with_elements(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes begins as a data set does: with an element of group 0002 or 0008.

    So do files of before 1993, and those of some exports: without preamble. The element's length must lie
    within the file, or everything that begins with these two bytes would be parsed.
    """
    if len(head) < 12:
        return False
    for order in "<>":
        group, _, vr, short, long = struct.unpack_from(f"{order}HH2sHI", head)
        if group in FIRST_GROUPS:
            length = struct.unpack(f"{order}I", head[4:8])[0]
            if vr.decode("latin-1") in VRS:
                length = long if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT") else short
            return bool(length < size)
    return False


class _Bounded(io.BufferedReader):
    """A file that sets no memory aside for more than it holds, whatever length an element claims."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(str(path)))  # pydicom opens it again by this name
        self._bytes = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # so only a deflated data set is asked for, to be inflated at once
            return not_a_bomb(super().read())
        return super().read(min(size, self._bytes))


def reason_of(error: Exception) -> str:
    """Name the reason why a file could not be made an image, whatever was raised on the way."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, MemoryError):
        return "memory-limit"
    return "no-access" if isinstance(error, OSError) else "damaged"


def is_damage(error: OSError) -> bool:
    """Tell what a parser says of a damaged file from a file that can't be reached.

    A length that leads before the file's beginning is an invalid argument.
    """
    return error.errno in (None, errno.EINVAL)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Give every way in which the header at `path` can fail a reason; pipes are not waited for.

    Raises
    ------
    UnreadableError
        If the file is empty, may not be read, or whatever the block reads of it is damaged.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("not-a-file")
        if status.st_size == 0:
            raise UnreadableError("empty-file")
        with hushed():
            yield
    except OSError as error:
        raise UnreadableError("broken-header" if is_damage(error) else "no-access") from None


@contextmanager
def hushed() -> Iterator[None]:
    """Keep pydicom's warnings out of every log: they quote paths and values of the header."""
    logger = logging.getLogger("pydicom")
    was, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


def spacing_mm(dicom: Dicom) -> float:
    """Say how far apart detector pixels are: Imager Pixel Spacing (0018,1164) first; 0 if nothing says it."""
    return next((value for value in (number(dicom, name) for name in SPACINGS) if value > 0), 0.0)


def facts(dicom: Dicom, origins: Origins, *, has_pixels: bool) -> Header:
    """Gather what a header says, each fact from where the recipe looks for it."""
    (view, views_differ), (laterality, sides_differ) = origins.view(), origins.laterality()
    sizes_px = int(number(dicom, "Rows")), int(number(dicom, "Columns"))
    if patient_orientation(dicom, view.view, laterality).turn.swaps:
        sizes_px = sizes_px[::-1]
    own = tuple(origins.refused())
    flags = {
        "view-conflict": views_differ,
        "laterality-conflict": sides_differ,
        "unreadable-number": any(unreadable(dicom, keyword) for keyword in NUMBERS),
        "no-preamble": getattr(dicom, "preamble", b"") is None,
        "no-transfer-syntax": "TransferSyntaxUID" not in dicom.file_meta,
        **{reason: True for reason, only_flag in own if only_flag},
    }
    return Header(
        sop_instance_uid=text(dicom, "SOPInstanceUID"),
        sop_class=pydicom.uid.UID(text(dicom, "SOPClassUID")).keyword,
        modality=text(dicom, "Modality").upper(),
        intent=vocabulary.normalised(text(dicom, "PresentationIntentType")).upper(),
        image_type=tuple(value.upper() for value in texts(dicom, "ImageType")),
        view=view.view,
        laterality=laterality,
        modifiers=tuple(dict.fromkeys((*_modifiers(dicom), *view.modifiers))),
        patient=origins.patient(),
        labels=origins.labels(),
        model=text(dicom, "ManufacturerModelName").lower(),
        rows=sizes_px[0],
        columns=sizes_px[1],
        frames=int(number(dicom, "NumberOfFrames")) or 1,
        samples_per_pixel=int(number(dicom, "SamplesPerPixel")) or 1,
        magnification=number(dicom, "EstimatedRadiographicMagnificationFactor"),
        field_mm=numbers(dicom, "FieldOfViewDimensions"),
        detector_mode=text(dicom, "DetectorMode").upper(),
        contrast_agent=_contrast_agent(dicom),
        texts=tuple((keyword, found) for keyword in DESCRIPTIONS if (found := text(dicom, keyword))),
        patient_name=text(dicom, "PatientName"),
        patient_id=text(dicom, "PatientID"),
        partial_view=yes(dicom, "PartialView") or any(coded(dicom, "PartialViewCodeSequence")),
        implant=yes(dicom, "BreastImplantPresent"),
        quality_control=yes(dicom, "QualityControlImage"),
        synthetic=yes(dicom, "SyntheticData"),
        burned_in=yes(dicom, "BurnedInAnnotation"),
        has_pixels=has_pixels,
        flags=tuple(name for name, holds in flags.items() if holds),
        refused=tuple(reason for reason, only_flag in own if not only_flag),
    )


def _contrast_agent(dicom: Dicom) -> bool:
    agent = vocabulary.normalised(text(dicom, "ContrastBolusAgent"))
    named = bool(agent) and agent not in vocabulary.NOTHING
    return named or any(coded(dicom, "ContrastBolusAgentSequence"))


def _modifiers(dicom: Dicom) -> Iterator[str]:
    for path in (("ViewModifierCodeSequence",), ("ViewCodeSequence", "ViewModifierCodeSequence")):
        for value, _ in coded(dicom, *path):
            yield vocabulary.MODIFIER_CODES.get(value, "other")
