"""From Pixel Data (7FE0,0010) to stored values, by the fastest decoder that is exact.

A damaged stream makes most decoders give half a picture and no error: 64 zeroed bytes spoil half of a
lossless JPEG. So a stream is decoded only if it ends as it should and declares the size that the header says,
and what comes out must fit the bits that it declares.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset as Dicom
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from mammogan.data.dicom import pixel_depth
from mammogan.data.dicom.decoders import DECODERS, JPEG_PROCESSES, JPEGS, Kind
from mammogan.data.dicom.header import UnreadableError, is_damage, read_to_pixels
from mammogan.data.dicom.pixel_depth import MOST_PX, Stored

LARGE_BYTES = 1 << 20

NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelData")
RAW = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
GUESSED: dict[tuple[bool | None, bool | None], uid.UID] = {
    (True, True): uid.ImplicitVRLittleEndian,
    (False, True): uid.ExplicitVRLittleEndian,
    (False, False): uid.ExplicitVRBigEndian,
}
"""Of a file without a Transfer Syntax UID, by what its first element shows: (implicit, little endian)."""
WAVELETS = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL)
ITEM = b"\xfe\xff\x00\xe0"
"""With which encapsulated pixels begin (PS3.5, A.4)."""
END, PADDING_BYTES = b"\xff\xd9", 64
"""The end of an image (ITU-T T.81) or of a codestream (T.800), and how much may pad it out."""
HOLE_BYTES = 1 << 14
"""Zeros in a row that no wavelet stream has; one without its end decodes to a whole picture, only blurred."""


def read(path: Path) -> Dicom:
    """Read a DICOM file; its pixels stay on the disk until `decode` asks for them.

    Raises
    ------
    OSError
        If the file can't be reached.
    UnreadableError
        ``damaged`` if it can't be parsed.
    """
    try:
        dicom = read_to_pixels(path, included=True, defer_bytes=LARGE_BYTES)[0]
        if "TransferSyntaxUID" not in dicom.file_meta:
            dicom.file_meta.TransferSyntaxUID = GUESSED[dicom.original_encoding]
        if dicom.file_meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
            # What is inflated in memory can't be found on the disk again.
            return read_to_pixels(path, included=True)[0]
    except OSError as error:
        if not is_damage(error):
            raise
        raise UnreadableError("damaged") from None
    except (MemoryError, UnreadableError):
        raise
    except Exception:  # noqa: BLE001  (a damaged file can raise anything from inside the parser)
        raise UnreadableError("damaged") from None
    return dicom


def decode(dicom: Dicom, *, halve_jpeg2000: bool = False) -> Stored:
    """Give the stored values (rows, columns) of a one-frame greyscale image, in native byte order.

    With `halve_jpeg2000`, JPEG 2000 is decoded to half its height and width (rounded up), from its wavelet's
    lower levels: four times as fast. A stream is believed where Bits Stored says another depth, and `dicom`
    says its depth afterwards.

    Raises
    ------
    UnreadableError
        ``truncated`` if Pixel Data or what describes it is not there or ends early; ``bit-depth`` if the
        values are neither 8 nor 16 bits wide, or need more bits than the header and the stream declare;
        ``decode-mismatch`` if there is more than one frame or it is not of the size that the header says;
        ``damaged`` if values don't fit the bits that the stream declares, or its decoder complains;
        ``decoder-absent`` if another decoder, which is not installed, may know its kind of stream;
        ``decode-failed`` if every decoder gives up.
    OSError
        If pixels left on the disk can't be reached.
    """
    try:
        return np.ascontiguousarray(_decode(dicom, halve_jpeg2000))
    except (UnreadableError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except OSError as error:
        if not is_damage(error):
            raise
        raise UnreadableError("decode-failed") from None
    except BaseException:  # noqa: BLE001  (decoders raise what they like; a panic of Rust is no Exception)
        raise UnreadableError("decode-failed") from None


def _decode(dicom: Dicom, halve: bool) -> Stored:
    shape, kind = _described(dicom)
    syntax = dicom.file_meta.TransferSyntaxUID
    if syntax in RAW:
        if syntax == uid.ExplicitVRBigEndian and kind.itemsize == 1:  # bytes may be swapped in pairs
            return pixel_depth.fitting(dicom, _checked(dicom.pixel_array, shape, kind))
        raw = _raw(dicom, shape, kind.newbyteorder(">" if syntax == uid.ExplicitVRBigEndian else "<"))
        return pixel_depth.fitting(dicom, raw)
    frame = get_frame(dicom.PixelData, 0, number_of_frames=1)
    rows, columns, bits = _declared(frame, syntax, kind)
    hole = bytes(max(HOLE_BYTES, len(frame) // 50))
    if syntax in WAVELETS and frame.find(hole, 0, frame.rfind(END)) >= 0:
        raise UnreadableError("damaged")
    if syntax != uid.RLELossless and (rows, columns) != shape:
        raise UnreadableError("decode-mismatch")
    if bits > 8 * kind.itemsize:
        raise UnreadableError("bit-depth")
    if halve and syntax in DECODERS and DECODERS[syntax].halves and kind == np.uint16 and bits > 8:
        return pixel_depth.fitting(dicom, _half(frame, bits), bits)
    stored = _fast(syntax, frame, shape, kind, bits)
    if stored is None:
        stored = _checked(dicom.pixel_array, shape, kind)
    if kind.kind == "u" and int(stored.max()) >> bits:
        raise UnreadableError("damaged")
    return pixel_depth.fitting(dicom, stored, None if syntax == uid.RLELossless else bits)


def _described(dicom: Dicom) -> tuple[tuple[int, int], Kind]:
    if any(keyword not in dicom for keyword in NEEDED):
        raise UnreadableError("truncated")
    allocated = dicom.BitsAllocated
    if allocated not in (8, 16) or not 1 <= dicom.BitsStored <= allocated:
        raise UnreadableError("bit-depth")
    shape = (int(dicom.Rows), int(dicom.Columns))
    if not 0 < shape[0] * shape[1] <= MOST_PX or int(dicom.get("NumberOfFrames") or 1) != 1:
        raise UnreadableError("decode-mismatch")
    return shape, np.dtype(f"{'i' if dicom.PixelRepresentation else 'u'}{allocated // 8}")


def _raw(dicom: Dicom, shape: tuple[int, int], kind: Kind) -> Stored:
    """Map uncompressed values into memory where they lie in the file, or view them where they were read."""
    element: Any = dicom.get_item("PixelData", keep_deferred=True)
    size = shape[0] * shape[1] * kind.itemsize
    on_disk = isinstance(element, RawDataElement) and element.value is None
    length = element.length if on_disk else len(dicom.PixelData)
    if not size <= length < 2 * size:  # some bytes too many are let pass, another frame is not
        raise UnreadableError("truncated" if length < size else "decode-mismatch")
    if not on_disk:
        if length > size + size % 2 and dicom.PixelData.startswith(ITEM):
            raise UnreadableError("decode-mismatch")  # a compressed stream whose syntax was lost
        return _native(np.frombuffer(dicom.PixelData, kind, count=shape[0] * shape[1]).reshape(shape))
    if Path(str(dicom.filename)).stat().st_size < element.value_tell + size:
        raise UnreadableError("truncated")
    mapped: Stored = np.memmap(str(dicom.filename), kind, "r", element.value_tell, shape)
    return _native(mapped)


def has_trailing_bytes(dicom: Dicom) -> bool:
    """Whether Pixel Data goes on behind the picture, by more than padding; its values must have been read."""
    if dicom.file_meta.TransferSyntaxUID in RAW:
        size = int(dicom.Rows) * int(dicom.Columns) * (dicom.BitsAllocated // 8)
        element: Any = dicom.get_item("PixelData", keep_deferred=True)
        deferred = isinstance(element, RawDataElement) and element.value is None
        return bool((element.length if deferred else len(dicom.PixelData)) > size + size % 2)
    coded = dicom.file_meta.TransferSyntaxUID != uid.RLELossless
    return coded and END not in dicom.PixelData[-PADDING_BYTES:]


def _native(stored: Stored) -> Stored:
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _declared(frame: bytes, syntax: str, kind: Kind) -> tuple[int, int, int]:
    """Rows, columns and bits of the one component that a stream declares.

    Native decoders crash or loop for ever at headers that make no sense, so those are refused here.
    """
    if syntax == uid.RLELossless:  # PS3.5 G.5: the number of segments, and where each begins
        count, *starts = struct.unpack_from("<16I", frame)
        if count != kind.itemsize or not 64 <= starts[0] <= starts[count - 1] < len(frame):
            raise UnreadableError("decode-failed")
        return 0, 0, kind.itemsize * 8
    start = frame.find(b"\xff\x4f\xff\x51", 0, 1024)  # a JP2 header may come before
    found = _jpeg_2000(frame, start) if start >= 0 else _jpeg(frame)
    if found is None:
        raise UnreadableError("decode-failed")
    if frame.rfind(END) < 0:  # coded data never hold it, and more may follow
        raise UnreadableError("truncated")
    return found


def _jpeg_2000(frame: bytes, start: int) -> tuple[int, int, int] | None:
    """Read the marker segment SIZ (ITU-T T.800, A.5.1)."""
    x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y, components = struct.unpack_from(">8IH", frame, start + 8)
    bits, *step = frame[start + 42 : start + 45]
    legal = tile_x <= x0 < tile_x + tile_w and tile_y <= y0 < tile_y + tile_h
    if not legal or components != 1 or step != [1, 1]:
        return None
    tiles = ((x1 - tile_x - 1) // tile_w + 1) * ((y1 - tile_y - 1) // tile_h + 1)
    return (y1 - y0, x1 - x0, (bits & 127) + 1) if tiles < 1 << 16 else None


def _jpeg(frame: bytes) -> tuple[int, int, int] | None:
    """Read the frame header (ITU-T T.81, B.2.2)."""
    found = _frame_header(frame)
    if found is None:
        return None
    bits, rows, columns, components = struct.unpack_from(">BHHB", frame, found[1])
    return (rows, columns, bits) if components == 1 else None


def _frame_header(frame: bytes) -> tuple[int, int] | None:
    """Find the marker of the frame header, which says the process, and where its values begin."""
    at = 2
    while frame[at] == 0xFF:
        marker, length = struct.unpack_from(">BH", frame, at + 1)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return marker, at + 4  # T.87 has its own marker
        at += 2 + length
    return None


def _fast(syntax: str, frame: bytes, shape: tuple[int, int], kind: Kind, bits: int) -> Stored | None:
    """Decode by `DECODERS`; None leaves it to pydicom.

    Raises
    ------
    UnreadableError
        ``decoder-absent`` if what is installed is not made for this stream, and pydicom has nothing either.
    """
    decoder = DECODERS.get(syntax)
    if decoder is None or (kind.kind != "u" and not decoder.signed):
        return None
    with _heeding_errors():
        try:
            stored = decoder.decode(frame, kind).reshape(shape)
        except Exception as error:  # noqa: BLE001  (pydicom has the last word on what can't be decoded)
            header = _frame_header(frame) if syntax in JPEGS else None
            unknown = header is not None and header[0] not in JPEG_PROCESSES
            if (unknown or isinstance(error, ImportError)) and not get_decoder(uid.UID(syntax)).is_available:
                raise UnreadableError("decoder-absent") from None
            return None
    if stored.dtype.itemsize > kind.itemsize:
        return None
    if kind.kind == "i" and stored.dtype.kind == "u":  # words of `bits`, whose highest is the sign
        unused = 8 * kind.itemsize - bits
        return (stored.astype(f"u{kind.itemsize}") << unused).view(kind) >> unused
    return stored.astype(kind, copy=False)  # a stream may have eight bits, and the header sixteen


@contextmanager
def _heeding_errors() -> Iterator[None]:
    """Refuse what imagecodecs gives where it ignores an error of OpenJPH: the picture up to there."""
    ignored: list[str] = []
    before, sys.unraisablehook = (
        sys.unraisablehook,
        lambda unraisable: ignored.append(unraisable.exc_type.__name__),
    )
    try:
        yield
    finally:
        sys.unraisablehook = before
    if ignored:
        raise UnreadableError("damaged")


def _checked(stored: Stored, shape: tuple[int, int], kind: Kind) -> Stored:
    if stored.shape != shape or stored.dtype.itemsize != kind.itemsize:
        raise UnreadableError("decode-mismatch")
    return stored.astype(kind, copy=False)


def _half(frame: bytes, bits: int) -> Stored:
    from PIL import Image

    image: Any = Image.open(BytesIO(frame))
    image.reduce = 1
    return np.asarray(image) >> (16 - bits)  # Pillow widens every depth above 8 bits to 16
