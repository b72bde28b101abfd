"""What a DICOM header says about a mammogram, read defensively and without its pixels."""

from __future__ import annotations

import logging
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset as Dicom
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from mammogan.config.source import Source

# View Code Sequence (0054,0220), CID 4014; SNM3 and SRT share their values, and vendors write all three
# schemes.
VIEW_CODES = {"399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO"}
# View Modifier Code Sequence (0054,0222), CID 4015.
MODIFIER_CODES = {
    "399163009": "magnification", "R-102D6": "magnification",
    "399055006": "spot-compression", "R-102D7": "spot-compression",
    "399209000": "implant-displaced", "R-102D5": "implant-displaced",
    "399110001": "tangential", "R-102C2": "tangential",
    "399161006": "cleavage", "R-102D2": "cleavage",
    "399011000": "axillary-tail", "R-102D1": "axillary-tail",
    "R-102D3": "rolled", "R-102D4": "rolled", "R-102C9": "rolled", "R-102CA": "rolled",
    "442581004": "nipple-in-profile", "R-40AB3": "nipple-in-profile",
    "441752004": "anterior-compression", "P2-00161": "anterior-compression",
    "442593008": "infra-mammary-fold", "R-40ABE": "infra-mammary-fold",
}  # fmt: skip
# Manufacturer (0008,0070), by a word in it: the only part of it that ever reaches a shard.
VENDORS = (
    "ge",
    "hologic",
    "lorad",
    "siemens",
    "fuji",
    "philips",
    "sectra",
    "planmed",
    "ims",
    "giotto",
    "konica",
)
DESCRIPTIONS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription",
    "RequestedProcedureDescription", "AcquisitionDeviceProcessingDescription",
)  # fmt: skip
SPACINGS = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
PIXELS = (Tag("PixelData"), Tag("FloatPixelData"), Tag("DoubleFloatPixelData"))


@dataclass(frozen=True)
class Header:
    """The facts that screening decides on; absent values are empty, 0 or False."""

    sop_instance_uid: str
    sop_class: str
    modality: str
    intent: str
    image_type: tuple[str, ...]
    view: str
    laterality: str
    modifiers: tuple[str, ...]
    patient: str
    vendor: str
    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    magnification: float
    paddle: str
    detector_mode: str
    contrast_agent: str
    descriptions: str
    partial_view: bool
    implant: bool
    quality_control: bool
    burned_in: bool
    has_pixels: bool


class UnreadableError(Exception):
    """A file that gives no picture; the message is the reason's name, and identifies nobody."""


def read(path: Path, source: Source) -> Header:
    """Read the header of the file at `path` as `source` says.

    Raises
    ------
    UnreadableError
        If the file is empty, is not DICOM, may not be read, or has a broken header.
    """
    seen: list[BaseTag] = []

    def at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if tag in PIXELS:
            seen.append(tag)
        return tag in PIXELS

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("not-a-file")  # a pipe would be waited on for ever
        if status.st_size == 0:
            raise UnreadableError("empty-file")
        with path.open("rb") as stream, hushed():
            dicom = read_partial(stream, stop_when=at_pixels)
            return _facts(dicom, source, has_pixels=bool(seen))
    except InvalidDicomError:
        raise UnreadableError("not-dicom") from None
    except OSError:
        raise UnreadableError("no-access") from None
    except UnreadableError:
        raise
    except Exception:  # noqa: BLE001  (a damaged header can raise anything from inside the parser)
        raise UnreadableError("broken-header") from None


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
    return next((value for value in (_number(dicom, name) for name in SPACINGS) if value > 0), 0.0)


def _facts(dicom: Dicom, source: Source, *, has_pixels: bool) -> Header:
    return Header(
        sop_instance_uid=_text(dicom, "SOPInstanceUID"),
        sop_class=pydicom.uid.UID(_text(dicom, "SOPClassUID")).keyword,
        modality=_text(dicom, "Modality"),
        intent=_text(dicom, "PresentationIntentType").upper(),
        image_type=tuple(value.upper() for value in _texts(dicom, "ImageType")),
        view=_first(_view(dicom, keyword) for keyword in source.view),
        laterality=_first(_laterality(dicom, keyword) for keyword in source.laterality),
        modifiers=tuple(_modifiers(dicom)),
        patient=_first(_patient(dicom, keyword, source.patient_pattern) for keyword in source.patient),
        vendor=_vendor(_text(dicom, "Manufacturer")),
        rows=int(_number(dicom, "Rows")),
        columns=int(_number(dicom, "Columns")),
        frames=int(_number(dicom, "NumberOfFrames")) or 1,
        samples_per_pixel=int(_number(dicom, "SamplesPerPixel")) or 1,
        magnification=_number(dicom, "EstimatedRadiographicMagnificationFactor"),
        paddle=_text(dicom, "PaddleDescription").upper(),
        detector_mode=_text(dicom, "DetectorMode").upper(),
        contrast_agent=_text(dicom, "ContrastBolusAgent"),
        descriptions=" ".join(_text(dicom, keyword) for keyword in DESCRIPTIONS).lower(),
        partial_view=_text(dicom, "PartialView") == "YES",
        implant=_text(dicom, "BreastImplantPresent") == "YES",
        quality_control=_text(dicom, "QualityControlImage") == "YES",
        burned_in=_text(dicom, "BurnedInAnnotation") == "YES",
        has_pixels=has_pixels,
    )


def _texts(dicom: Dicom, keyword: str) -> list[str]:
    value: Any = dicom.get(keyword)
    if value is None:
        return []
    values = (
        [value] if isinstance(value, (str, bytes, int, float)) or not hasattr(value, "__iter__") else value
    )
    return [str(part).strip() for part in values]


def _text(dicom: Dicom, keyword: str) -> str:
    return " ".join(_texts(dicom, keyword)).strip()


def _number(dicom: Dicom, keyword: str) -> float:
    try:
        return float(_texts(dicom, keyword)[0])
    except (IndexError, ValueError):
        return 0.0


def _first(values: Iterator[str]) -> str:
    return next((value for value in values if value), "")


def _items(dicom: Dicom, *keywords: str) -> Iterator[Dicom]:
    """Walk down nested sequences."""
    if not keywords:
        yield dicom
        return
    for item in dicom.get(keywords[0]) or ():
        yield from _items(item, *keywords[1:])


def _view(dicom: Dicom, keyword: str) -> str:
    """Name the view: CC, MLO, what else the text says, or ``other``; empty if nothing is said."""
    if keyword != "ViewCodeSequence":
        return _text(dicom, keyword).upper()
    codes = [_text(item, "CodeValue") for item in _items(dicom, "ViewCodeSequence")]
    return VIEW_CODES.get(codes[0], "other") if codes else ""


def _laterality(dicom: Dicom, keyword: str) -> str:
    if keyword != "FrameLaterality":
        return _text(dicom, keyword).upper()
    frames = _items(dicom, "SharedFunctionalGroupsSequence", "FrameAnatomySequence")
    return _first(_text(frame, "FrameLaterality").upper() for frame in frames)


def _modifiers(dicom: Dicom) -> Iterator[str]:
    for path in (("ViewModifierCodeSequence",), ("ViewCodeSequence", "ViewModifierCodeSequence")):
        for item in _items(dicom, *path):
            yield MODIFIER_CODES.get(_text(item, "CodeValue"), "other")


def _patient(dicom: Dicom, keyword: str, pattern: str) -> str:
    value = _text(dicom, keyword)
    if not pattern:
        return value
    match = re.search(pattern, value)
    return (match[1] if match.re.groups else match[0]) or "" if match else ""


def _vendor(manufacturer: str) -> str:
    words = re.findall(r"[a-z]+", manufacturer.lower())
    found = (
        name for name in VENDORS if any(word.startswith(name) and len(word) < len(name) + 5 for word in words)
    )
    return next(found, "other" if words else "unknown")
