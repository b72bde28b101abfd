"""PNG, PGM, TIFF and JPEG files dressed as DICOM data sets, so that all that follows is the same.

Only size, depth and pixels are taken: a file's own metadata may name somebody, and rarely tells the truth.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset as Dicom
from pydicom.dataset import FileMetaDataset

from mammogan.config.source_settings import Images
from mammogan.data.dicom.file_kinds import kind_of
from mammogan.data.dicom.header import UnreadableError
from mammogan.errors import DataError

FORMATS = ("PNG", "PPM", "TIFF", "JPEG")
DEPTHS = {"L": 8, "LA": 8, "P": 8, "RGB": 8, "RGBA": 8, "I;16": 16, "I;16B": 16, "I;16L": 16}
"""Bits of a sample by Pillow's mode; a 16-bit PGM comes as mode I."""
COLOUR = ("LA", "P", "RGB", "RGBA")


def dressed_header(path: Path, images: Images) -> Dicom:
    """Say what an image file is, without decoding it: rows, columns, depth, samples a pixel.

    Raises
    ------
    UnreadableError
        ``not-an-image`` if it is none of the allowed formats, ``bit-depth`` if it has neither 8 nor 16 bits.
    DataError
        If it has 16 bits and the recipe doesn't say how many of them carry grey.
    OSError
        If it can't be read.
    """
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream, formats=FORMATS) as image:
                mode, (columns, rows) = image.mode, image.size
                depth = 16 if (image.format, mode) == ("PPM", "I") else DEPTHS.get(mode, 0)
                several = getattr(image, "n_frames", 1)
        except Exception:  # noqa: BLE001  (Pillow raises whatever it likes at a damaged file)
            kind = kind_of(path, "not-an-image")
            raise UnreadableError("not-an-image" if kind == "image-file" else kind) from None
    if not depth:
        raise UnreadableError("bit-depth")
    dicom = _frame(rows, columns, depth, images)
    dicom.SamplesPerPixel = 3 if mode in COLOUR and images.colour == "refuse" else 1
    dicom.NumberOfFrames = several
    return dicom


def dressed(path: Path, images: Images) -> Dicom:
    """Decode an image file and give it as a DICOM data set of one grey frame.

    Raises
    ------
    UnreadableError
        As `dressed_header`, and ``decode-failed`` if it is damaged, ``colour`` if its channels differ and the
        recipe asks for equal ones, ``bit-depth`` if a value needs more bits than the recipe's.
    """
    dressed_header(path, images)  # the formats allowed, and no other decoder of OpenCV's
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableError("decode-failed")
    grey = _grey(pixels, images)
    dicom = _frame(grey.shape[0], grey.shape[1], 8 * grey.dtype.itemsize, images)
    if int(grey.max()) >> dicom.BitsStored:
        raise UnreadableError("bit-depth")
    dicom.PixelData = grey.astype(grey.dtype.newbyteorder("<")).tobytes()
    dicom["PixelData"].VR = "OW"
    return dicom


def _frame(rows: int, columns: int, depth: int, images: Images) -> Dicom:
    if depth == 16 and images.bits is None:
        raise DataError(
            "An image file has 16 bits, and the recipe doesn't say how many of them carry grey: files of "
            "12-bit values and of values stretched to 16 look alike. Set source.images.bits, 9 to 16."
        )
    dicom = Dicom()
    dicom.file_meta = FileMetaDataset()
    dicom.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dicom.SOPClassUID = uid.SecondaryCaptureImageStorage
    dicom.Modality = "MG"
    dicom.Rows, dicom.Columns, dicom.SamplesPerPixel = rows, columns, 1
    dicom.PhotometricInterpretation = "MONOCHROME1" if images.inverted else "MONOCHROME2"
    dicom.BitsAllocated = depth
    dicom.BitsStored = images.bits if depth == 16 else 8
    dicom.HighBit, dicom.PixelRepresentation = dicom.BitsStored - 1, 0
    if images.spacing_mm:
        dicom.ImagerPixelSpacing = [images.spacing_mm] * 2
    return dicom


def _grey(pixels: NDArray[Any], images: Images) -> NDArray[Any]:
    """Take the one channel that equal ones share, or their luminance."""
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3]
    if pixels.shape[2] == 4 and (pixels[..., 3] != np.iinfo(pixels.dtype).max).any():
        raise UnreadableError("colour")  # what shows through is anybody's guess
    if (colours == colours[..., :1]).all():
        return np.ascontiguousarray(colours[..., 0])
    if images.colour != "luminance":
        raise UnreadableError("colour")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_BGR2GRAY))
