"""Stored values never wrap from white to black: the stream is believed, or the file is refused."""

import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from mammogan.config.pixel_settings import Pixels
from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.dicom.pixel_depth import smallest_depth
from mammogan.data.preprocess.preprocess import take
from mammogan.data.preprocess.voi_lut import grey_table
from mammogan.data.screening.pixel_rules import screen_pixels
from tests.data.conftest import half_disc
from tests.data.forms import ENCODERS, compressed

TWELVE = half_disc(128, 100)
FOURTEEN = TWELVE * 4
WINDOW_14 = {"WindowCenter": 8192, "WindowWidth": 16384}
STATED = (uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEG2000Lossless)
WHOLE_WORDS = (uid.JPEGLSLossless, uid.HTJ2KLossless)


def shown(made):
    """Give the greys that the table makes of the stored values."""
    stored = decode(made)
    return grey_table(made, 0)[0][stored.view(f"u{stored.itemsize}")]


def streamed(dicom, pixels, syntax, true, said, **tags):
    """Encode with `true` bits, and say another number of them in the header."""
    made = compressed(dicom(pixels, BitsStored=true, HighBit=true - 1, **tags), syntax, pixels)
    made.BitsStored, made.HighBit = said, said - 1
    return made


@pytest.mark.parametrize("syntax", [*STATED, *WHOLE_WORDS])
def test_values_beyond_bits_stored_are_shown_by_the_streams_depth(dicom, syntax):
    made = streamed(dicom, FOURTEEN, syntax, 14, 12, **WINDOW_14)
    assert np.array_equal(shown(made), shown(dicom(FOURTEEN, BitsStored=14, HighBit=13, **WINDOW_14)))
    assert made.BitsStored == (14 if syntax in STATED else 16)


@pytest.mark.parametrize("syntax", STATED)
def test_a_few_white_values_beyond_bits_stored_do_not_wrap_either(dicom, syntax):
    pixels = TWELVE.copy()
    pixels[60, 10] = 4100
    made = streamed(dicom, pixels, syntax, 13, 12)
    assert shown(made)[60, 10] == 65535


@pytest.mark.parametrize("syntax", STATED)
def test_a_stream_of_fewer_bits_than_the_header_says_is_not_nearly_black(dicom, syntax):
    made = streamed(dicom, TWELVE, syntax, 12, 16, WindowCenter=None, WindowWidth=None)
    exact = dicom(TWELVE, WindowCenter=None, WindowWidth=None)
    assert np.array_equal(shown(made), shown(exact))


def test_a_high_bit_that_is_wrong_does_not_shift_the_values_of_a_stream(dicom):
    made = streamed(dicom, TWELVE, uid.JPEGLosslessSV1, 12, 12)
    made.HighBit = 15
    assert np.array_equal(shown(made), shown(dicom(TWELVE)))


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_stream_of_eight_bits_in_a_header_of_sixteen_is_decoded(dicom, syntax):
    eight = (TWELVE >> 4).astype(np.uint8)
    made = streamed(dicom, eight, syntax, 8, 8)
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    stored = decode(made)
    assert np.array_equal(stored, eight) and stored.dtype == np.uint16
    assert made.BitsStored == 8


def test_a_stream_of_more_bits_than_are_allocated_is_refused(dicom):
    made = streamed(dicom, TWELVE, uid.JPEGLosslessSV1, 12, 12)
    made.BitsAllocated = made.BitsStored = 8
    with pytest.raises(UnreadableError, match=r"^bit-depth$"):
        decode(made)


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        (FOURTEEN, 12),
        (TWELVE, 11),
        (TWELVE, 8),
        ((TWELVE >> 4).astype(np.uint8), 6),
        (FOURTEEN.astype(np.int16), 12),
        (FOURTEEN.astype(np.int16) - 4000, 12),
    ],
)
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_raw_values_beyond_bits_stored_are_refused(dicom, pixels, bits, syntax):
    made = dicom(pixels)
    if syntax == uid.RLELossless:
        made = compressed(made, syntax, pixels)
    made.BitsStored, made.HighBit = bits, bits - 1
    with pytest.raises(UnreadableError, match=r"^bit-depth$"):
        decode(made)


def with_overlay(pixels):
    """Draw an overlay into bit 12, as DICOM allowed until 2004."""
    drawn = pixels.copy()
    drawn[::3] |= 1 << 12
    return drawn


def overlaid(made, position=12):
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", position)
    return made


@pytest.mark.parametrize("syntax", [None, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.RLELossless])
def test_overlays_in_high_bits_are_no_grey(dicom, syntax):
    drawn = with_overlay(TWELVE)
    made = dicom(drawn) if syntax is None else streamed(dicom, drawn, syntax, 13, 12)
    assert np.array_equal(shown(overlaid(made)), shown(dicom(TWELVE)))
    if syntax is None:
        with pytest.raises(UnreadableError, match=r"^bit-depth$"):
            decode(overlaid(dicom(drawn), position=13))


CONTROLS = {
    "12 in 16": (TWELVE, {}),
    "12 bits, 16 said": (TWELVE, {"BitsStored": 16, "HighBit": 15}),
    "all of the 12 bits": (TWELVE * 0 + 4095, {}),
    "the same junk in every pixel": (TWELVE | np.uint16(0xA000), {}),
    "at the upper end": (TWELVE << np.uint16(4), {"HighBit": 15}),
    "a mark of ones": (np.where(TWELVE > 2100, 65535, TWELVE).astype(np.uint16), {}),
    "signed": (TWELVE.astype(np.int16) - 2000, {}),
    "a sign in twelve bits": (((TWELVE.astype(np.int16) - 2000) & 0xFFF).astype(np.int16), {}),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_values_that_fit_are_left_alone(dicom, name):
    pixels, tags = CONTROLS[name]
    made = dicom(pixels, **tags)
    bits = made.BitsStored
    assert np.array_equal(decode(made), pixels)
    assert made.BitsStored == bits


def test_an_undeclared_depth_that_leaves_the_picture_nearly_black_is_refused_for_that(dicom):
    made = dicom(half_disc(), BitsStored=16, HighBit=15, WindowCenter=32768, WindowWidth=65536)
    measures = take(made, "CC", "L", Pixels(), (320, 256)).measures
    assert screen_pixels(measures, Screening())[0] == "too-dark"


def test_a_damaged_item_says_nothing_of_depth(dicom):
    made = streamed(dicom, TWELVE, uid.JPEGLosslessSV1, 12, 12)
    made.PixelData = encapsulate([b"\0" * 100])
    with pytest.raises(UnreadableError, match=r"^decode-failed$"):
        decode(made)


@pytest.mark.parametrize(
    ("greatest", "declared", "depth"),
    [
        (4095, 16, 12), (4096, 12, 12), (4088, 12, 12), (3000, 16, 12), (2000, 16, 12), (1023, 16, 10),
        (255, 16, 8), (16383, 16, 14), (32767, 16, 16), (65535, 16, 16), (2047, 12, 12), (4095, 8, 12),
        (65535, 8, 16), (65535, 12, 16), (256, 8, 8), (15, 8, 4), (0, 8, 8),
    ],
)  # fmt: skip
def test_the_greatest_value_says_how_many_bits_there_are(greatest, declared, depth):
    assert smallest_depth(greatest, declared) == depth


def test_every_encoder_is_tested_here():
    assert {*STATED, *WHOLE_WORDS, uid.RLELossless} == {*ENCODERS}
