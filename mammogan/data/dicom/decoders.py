"""The decoders that are exact and fast, by transfer syntax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from pydicom import uid

from mammogan.data.dicom.pixel_depth import Stored

Kind = np.dtype[Any]


@dataclass(frozen=True)
class Decoder:
    """A fast way to decode one transfer syntax.

    Attributes
    ----------
    decode
        From a frame's bytes and the kind of its values to these.
    signed
        Whether signed values come out right, as such or as the words that they are written in; else they are
        left to pydicom.
    halves
        Whether the stream can be decoded to half its size, from its wavelet's lower levels.
    """

    decode: Callable[[bytes, Kind], Stored]
    signed: bool = False
    halves: bool = False


def _jpeg8(frame: bytes, kind: Kind) -> Stored:
    return imagecodecs.jpeg8_decode(frame)


def _jpegls(frame: bytes, kind: Kind) -> Stored:
    return imagecodecs.jpegls_decode(frame)


def _jpeg2k(frame: bytes, kind: Kind) -> Stored:
    return imagecodecs.jpeg2k_decode(frame)


def _htj2k(frame: bytes, kind: Kind) -> Stored:
    return imagecodecs.htj2k_decode(frame)


def _rle(frame: bytes, kind: Kind) -> Stored:
    return np.frombuffer(imagecodecs.dicomrle_decode(frame, kind), kind)


DECODERS: dict[str, Decoder] = {
    uid.RLELossless: Decoder(_rle, signed=True),
    uid.JPEGBaseline8Bit: Decoder(_jpeg8, signed=True),
    uid.JPEGLosslessSV1: Decoder(_jpeg8, signed=True),
    uid.JPEGLossless: Decoder(_jpeg8, signed=True),
    uid.JPEGExtended12Bit: Decoder(_jpeg8, signed=True),
    uid.JPEGLSLossless: Decoder(_jpegls, signed=True),
    uid.JPEGLSNearLossless: Decoder(_jpegls, signed=True),
    uid.JPEG2000Lossless: Decoder(_jpeg2k, halves=True),
    uid.JPEG2000: Decoder(_jpeg2k, halves=True),
    uid.HTJ2KLossless: Decoder(_htj2k),
    uid.HTJ2KLosslessRPCL: Decoder(_htj2k),
}
"""By transfer syntax, 2 to 5 times as fast as pydicom. What is lossless is bit-exact with it (tests compare).

What stands here needs imagecodecs. What one of these gives up is left to pydicom's own plug-ins: those of
pylibjpeg for RLE and JPEG 2000, and for JPEG and JPEG-LS that of the extra ``libjpeg``, under the GPL.
"""
JPEGS = tuple(syntax for syntax, decoder in DECODERS.items() if decoder.decode in (_jpeg8, _jpegls))
JPEG_PROCESSES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xF7)
"""The frame headers that these decode (T.81, table B.1; T.87): no hierarchical, no arithmetic lossless."""
