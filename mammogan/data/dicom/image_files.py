"""PNG, PGM, TIFF and JPEG files dressed as DICOM data sets, so that all that follows is the same.

Only size, depth, pixels and the way they lie are taken: a file's own metadata may name somebody, and rarely
tells the truth.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from pydicom import uid
from pydicom.dataset import Dataset as Dicom
from pydicom.dataset import FileMetaDataset

from mammogan.config.source_settings import Images
from mammogan.data.dicom.file_kinds import kind_of
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.dicom.orientation import EXIF, Turn
from mammogan.data.dicom.pixel_depth import MOST_PX, smallest_depth
from mammogan.errors import DataError

FORMATS = ("PNG", "PPM", "TIFF", "JPEG")
DEPTHS = {"L": 8, "LA": 8, "P": 8, "RGB": 8, "RGBA": 8, "YCbCr": 8, "I;16": 16, "I;16B": 16, "I;16L": 16}
"""Bits of a sample by Pillow's mode, where the samples of the file are no wider."""
COLOUR = ("LA", "P", "RGB", "RGBA", "YCbCr")
NO_GREY = ("CMYK", "LAB", "HSV", "PA", "RGBa", "La", "RGBX")
"""Modes in which no channel is grey, or OpenCV would take one channel for another."""
EXIF_ORIENTATION = 0x0112
MOST_PAGES = 64
WIDTH, HEIGHT, SUBFILE, PHOTOMETRIC, TILE_WIDTH, TILE_HEIGHT = 256, 257, 254, 262, 322, 323
"""Tags of TIFF 6.0."""
WHITE_IS_ZERO, PART_OF_ANOTHER = (
    0,
    1 | 4,
)  # Photometric Interpretation; previews and masks by New Subfile Type


@dataclass(frozen=True)
class Described:
    """What a file says of itself: `rows` and `columns` as they are seen, that is after `turn`.

    `white` is the greatest value of a PGM, and 0 elsewhere; `inverted` files store white as 0.
    """

    rows: int
    columns: int
    depth: int
    colour: bool
    turn: Turn
    white: int = 0
    inverted: bool = False


def dressed_header(path: Path, images: Images) -> Dicom:
    """Say what an image file is, without decoding it: rows, columns, depth, samples a pixel.

    Raises
    ------
    UnreadableError
        ``not-an-image`` if it is none of the allowed formats, ``bit-depth`` if it has neither 8 nor 16 bits,
        ``colour`` if no channel of it is grey, ``several-pages`` if it holds several pictures, ``too-large``
        if it claims more pixels than any mammogram has.
    DataError
        If it has 16 bits and the recipe doesn't say how many of them carry grey.
    OSError
        If it can't be read.
    """
    found = _described(path)
    dicom = _frame(found, images)
    dicom.SamplesPerPixel = 3 if found.colour and images.colour == "refuse" else 1
    return dicom


def dressed(path: Path, images: Images) -> Dicom:
    """Decode an image file and give it as a DICOM data set of one grey frame, as it is seen.

    Raises
    ------
    UnreadableError
        As `dressed_header`, and ``decode-failed`` if it is damaged, ``colour`` if its channels differ and the
        recipe asks for equal ones, ``bit-depth`` if a value needs more bits than the recipe's.
    """
    found = _described(path)  # the formats allowed, and no other decoder of OpenCV's
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.dtype(f"u{found.depth // 8}"):
        raise UnreadableError("decode-failed")
    grey = found.turn.applied(_grey(pixels, images))
    if grey.shape != (found.rows, found.columns):
        raise UnreadableError("decode-failed")
    dicom, greatest = _frame(found, images), int(grey.max())
    if greatest >> dicom.BitsStored:
        raise UnreadableError("bit-depth")
    if found.white:
        dicom.BitsStored = smallest_depth(greatest, min(dicom.BitsStored, found.white.bit_length()))
        dicom.HighBit = dicom.BitsStored - 1
    dicom.PixelData = grey.astype(grey.dtype.newbyteorder("<")).tobytes()
    dicom["PixelData"].VR = "OW"
    return dicom


def _described(path: Path) -> Described:
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream, formats=FORMATS) as image:
                return _read(image)
        except UnreadableError:
            raise
        except Image.DecompressionBombError:
            raise UnreadableError("too-large") from None
        except Exception:  # noqa: BLE001  (Pillow raises whatever it likes at a damaged file)
            kind = kind_of(path, "not-an-image")
            raise UnreadableError("not-an-image" if kind == "image-file" else kind) from None


def _read(image: Image.Image) -> Described:
    mode, (columns, rows), greatest = image.mode, image.size, _greatest(image)
    depth = 16 if greatest > 255 else DEPTHS.get(mode, 0)  # Pillow cuts colour of 16 bits to 8
    inverted, tile_px = False, 0
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        turn = EXIF.get(tags.get(EXIF_ORIENTATION, 1), Turn())
        rows, columns = tags[HEIGHT], tags[WIDTH]
        tile_px = tags.get(TILE_WIDTH, 0) * tags.get(TILE_HEIGHT, 0)
        inverted = depth == 16 and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
        pages = _full_pages(image)
    else:
        turn, pages = _exif_turn(image), getattr(image, "n_frames", 1)
    for reason, holds in (
        ("too-large", max(rows * columns, tile_px) > MOST_PX),
        ("several-pages", pages != 1),
        ("colour", mode in NO_GREY),
        ("bit-depth", not depth or (mode == "I" and image.format != "PPM")),  # signed, or of 32 bits
    ):
        if holds:
            raise UnreadableError(reason)
    if turn.swaps:
        rows, columns = columns, rows
    if image.format == "TIFF":  # OpenCV turns it, and inverts one of 8 bits, itself
        turn = Turn()
    white = greatest if image.format == "PPM" else 0
    return Described(rows, columns, depth, mode in COLOUR, turn, white, inverted)


def _greatest(image: Image.Image) -> int:
    """Say how large samples may be: what a PGM says, else what 8 or 16 bits hold."""
    tiles: list[Any] = getattr(image, "tile", [])
    arguments = tiles[0].args if tiles else image.mode
    raw = arguments if isinstance(arguments, str) else str(arguments[0])
    if image.format == "PPM" and not isinstance(arguments, str):
        return int(arguments[1])
    return 65535 if "16" in raw else 255


def _exif_turn(image: Image.Image) -> Turn:
    """Read Exif's orientation of a JPEG or PNG, unless it is broken or stands behind the pixels."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return EXIF.get(exif.get(EXIF_ORIENTATION, 1), Turn())
    except Exception:  # noqa: BLE001  (Pillow raises whatever it likes at a damaged file)
        return Turn()


def _full_pages(image: Image.Image) -> int:
    """Count the pages of a TIFF that are no previews or masks of others, up to two; 0 if the first is one."""
    full = 0
    for page in range(MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        full += not image.tag_v2.get(SUBFILE, 0) & PART_OF_ANOTHER  # type: ignore[attr-defined]
        if full != 1:
            break
    return full


def _frame(found: Described, images: Images) -> Dicom:
    if found.depth == 16 and images.bits is None:
        raise DataError(
            "An image file has 16 bits, and the recipe doesn't say how many of them carry grey: files of "
            "12-bit values and of values stretched to 16 look alike. Set source.images.bits, 9 to 16."
        )
    dicom = Dicom()
    dicom.file_meta = FileMetaDataset()
    dicom.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dicom.SOPClassUID = uid.SecondaryCaptureImageStorage
    dicom.Modality = "MG"
    dicom.Rows, dicom.Columns, dicom.SamplesPerPixel = found.rows, found.columns, 1
    dicom.PhotometricInterpretation = "MONOCHROME1" if images.inverted != found.inverted else "MONOCHROME2"
    dicom.BitsAllocated = found.depth
    dicom.BitsStored = images.bits if found.depth == 16 else 8
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
