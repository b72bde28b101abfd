import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from mammogan.data.decode import FAST, _fast, decode
from mammogan.data.header import UnreadableError

PIXELS = (np.add.outer(np.arange(64) * 30, np.arange(48) * 40) % 4096).astype(np.uint16)
ENCODERS = {
    uid.JPEGLosslessSV1: lambda a: imagecodecs.jpeg_encode(a, lossless=True, predictor=1, bitspersample=12),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda a: imagecodecs.jpeg2k_encode(
        a, codecformat="j2k", reversible=True, bitspersample=12
    ),
}


def compressed(made, syntax):
    if syntax == uid.RLELossless:
        made.compress(syntax)
    elif syntax in ENCODERS:
        made.PixelData = encapsulate([bytes(ENCODERS[syntax](PIXELS))])
        made["PixelData"].VR = "OB"
        made.file_meta.TransferSyntaxUID = syntax
    return made


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, *ENCODERS])
def test_the_fast_decoder_is_exact(dicom, syntax):
    made = compressed(dicom(PIXELS), syntax)
    fast = _fast(made, PIXELS.shape, np.dtype(np.uint16))
    assert np.array_equal(fast, PIXELS)
    if syntax != uid.JPEGLSLossless:  # pydicom has no decoder of its own for it here
        assert np.array_equal(made.pixel_array, PIXELS)


def test_pydicom_decodes_what_the_fast_decoder_can_not(dicom, monkeypatch):
    made = compressed(dicom(PIXELS), uid.RLELossless)
    monkeypatch.setitem(FAST, uid.RLELossless, lambda frame, kind: 1 / 0)
    assert np.array_equal(decode(made), PIXELS)


def test_big_endian_values_come_out_in_native_order(tmp_path, dicom):
    made = dicom(PIXELS)
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    made.PixelData = PIXELS.astype(">u2").tobytes()
    path = tmp_path / "a.dcm"
    pydicom.dcmwrite(path, made, little_endian=False, implicit_vr=False)
    read = pydicom.dcmread(path, force=True)
    read.file_meta = made.file_meta
    stored = decode(read)
    assert stored.dtype == np.uint16
    assert np.array_equal(stored, PIXELS)


def test_eight_bits_and_signed_values_are_decoded(dicom):
    for kind in (np.uint8, np.int16):
        pixels = (PIXELS % 200).astype(kind)
        assert np.array_equal(decode(dicom(pixels)), pixels)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PixelData": None}, "truncated"),
        ({"BitsStored": None}, "truncated"),
        ({"BitsAllocated": 32}, "bit-depth"),
        ({"PixelData": PIXELS.tobytes()[:1000]}, "decode-failed"),
    ],
)
def test_what_can_not_be_decoded_has_a_reason(dicom, tags, reason):
    with pytest.raises(UnreadableError, match=f"^{reason}$"):
        decode(dicom(PIXELS, **tags))


def test_a_stream_of_another_size_than_the_header_is_a_mismatch_or_fails(dicom):
    made = compressed(dicom(PIXELS), uid.JPEG2000Lossless)
    made.Rows = 50
    with pytest.raises(UnreadableError, match=r"^decode-(mismatch|failed)$"):
        decode(made)
