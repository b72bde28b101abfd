"""A data set and its pixels as the bytes of a DICOM file.

JPEG-LS is the cohort's own transfer syntax: of the common lossless ones it is both the smallest (3 MB for
3328x2560 pixels; RLE 5, raw 17) and the fastest to write (0.12 s on one core; RLE 0.30, JPEG Lossless 0.27).
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder

from mammogan.data.dicom.dicom_writing import file_bytes, prepare_meta

Pixels = NDArray[np.uint16]
Damage = Callable[[bytes], bytes]

DEFAULT_SYNTAX = uid.JPEGLSLossless


def encode(
    ds: Dataset, pixels: Pixels, syntax: uid.UID = DEFAULT_SYNTAX, damage: Damage | None = None
) -> bytes:
    """Write a data set and its pixels as the bytes of a DICOM file, the same ones every time.

    `damage` changes the stored or coded pixels, as a bad disk or a broken transfer does.
    """
    damage = damage or bytes
    prepare_meta(ds, syntax, "MAMMOGAN_PHANTOM")
    if syntax in _CODECS:
        ds.PixelData = encapsulate([damage(_CODECS[syntax](pixels, ds.BitsStored))])
        ds["PixelData"].VR = "OB"
    else:
        ds.PixelData = damage(pixels.astype("<u2" if syntax.is_little_endian else ">u2").tobytes())
        ds["PixelData"].VR = "OW"
    return file_bytes(ds)


def _rle(pixels: Pixels, bits: int) -> bytes:
    return RLELosslessEncoder.encode(
        pixels,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pylibjpeg",
    )


def _jpeg_ls(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def _jpeg_lossless(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg_encode(pixels, lossless=True, predictor=1, bitspersample=bits))


def _jpeg_2000(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=bits))


_CODECS: dict[uid.UID, Callable[[Pixels, int], bytes]] = {
    uid.RLELossless: _rle,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEGLosslessSV1: _jpeg_lossless,
    uid.JPEG2000Lossless: _jpeg_2000,
}
