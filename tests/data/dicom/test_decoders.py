"""What is installed by default decodes every compressed form, and what it can't names the extra that may."""

import shutil
import subprocess

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from mammogan.data.dicom.decode import decode, read
from mammogan.data.dicom.decoders import DECODERS, JPEGS, Decoder
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards.reasons import meaning
from tests.data.forms import compressed

ENCODERS = {
    "lossless-sv1": ("dcmcjpeg", "+e1"),
    "lossless-4": ("dcmcjpeg", "+el", "+sv", "4"),
    "ls": ("dcmcjpls", "+el"),
    "rle": ("dcmcrle",),
}
"""dcmtk's encoders, which are those of many an archive."""


@pytest.fixture
def by_default(monkeypatch):
    """Take away what the extra ``libjpeg`` adds: pydicom's own way to JPEG and JPEG-LS."""
    for syntax in JPEGS:
        monkeypatch.setattr(get_decoder(uid.UID(syntax)), "_available", {})


def values(bits, allocated, signed):
    y, x = np.mgrid[:96, :64]
    depth = np.clip(1 - np.hypot(y - 48, x) / 60, 0, 1) * ((1 << bits) - 1)
    grain = np.random.default_rng(0).normal(0, (1 << bits) / 100, y.shape)
    whole = np.clip(depth + grain, 0, (1 << bits) - 1).astype(np.int64)
    return (whole - signed * (1 << (bits - 1))).astype(f"{'iu'[not signed]}{allocated // 8}")


@pytest.mark.skipif(not shutil.which("dcmcjpeg"), reason="needs dcmcjpeg, of the Debian package dcmtk")
@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("bits", "allocated"), [(8, 8), (8, 16), (12, 16), (16, 16)])
def test_what_an_archive_encodes_comes_back_bit_by_bit(
    tmp_path, dicom, saved, by_default, bits, allocated, signed
):
    pixels = values(bits, allocated, signed)
    source = saved(dicom(pixels, BitsStored=bits, HighBit=bits - 1), tmp_path / "raw.dcm")
    for name, command in ENCODERS.items():
        subprocess.run([*command, source, tmp_path / name], check=True, capture_output=True)
        stored = decode(read(tmp_path / name))
        assert stored.dtype == pixels.dtype and np.array_equal(stored, pixels), name


def test_a_lossy_jpeg_of_8_bits_is_the_same_whatever_is_installed(dicom, by_default):
    pixels = values(8, 8, 0)
    made = compressed(dicom(pixels), uid.JPEGLSLossless, pixels)
    frame = imagecodecs.jpeg8_encode(pixels, level=95)
    made.PixelData = encapsulate([frame])
    made.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    assert np.array_equal(decode(made), imagecodecs.jpeg8_decode(frame))
    assert np.abs(decode(made).astype(int) - pixels).max() < 20


@pytest.mark.parametrize("level", [60, 75, 90, 98])
def test_a_lossy_jpeg_of_8_bits_is_within_1_of_what_the_decoder_of_before_gave(level):
    libjpeg = pytest.importorskip("libjpeg", reason="needs the extra libjpeg, of the developers' lock")
    frame = imagecodecs.jpeg8_encode(values(8, 8, 0), level=level)
    now, before = imagecodecs.jpeg8_decode(frame), libjpeg.decode(frame)
    off = np.abs(now.astype(int) - before.reshape(now.shape))
    assert off.max() <= 1
    assert 0 < (off > 0).mean() < 0.1


def hierarchical(made):
    """Call a lossless JPEG a differential one, of T.81's hierarchical mode."""
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    made.PixelData = encapsulate([frame.replace(b"\xff\xc3", b"\xff\xc7", 1)])
    return made


def test_a_process_that_nothing_here_decodes_names_the_extra(dicom, by_default):
    pixels = values(12, 16, 0)
    made = compressed(dicom(pixels), uid.JPEGLosslessSV1, pixels)
    assert np.array_equal(decode(made), pixels)
    with pytest.raises(UnreadableError, match=r"^decoder-absent$"):
        decode(hierarchical(made))
    assert "pip install 'mammogan[libjpeg]'" in meaning("decoder-absent")
    assert "GPL" in meaning("decoder-absent")


def test_a_codec_that_imagecodecs_was_built_without_names_the_extra(dicom, by_default, monkeypatch):
    def absent(frame, kind):
        raise imagecodecs.DelayedImportError("jpegls_decode")

    pixels = values(12, 16, 0)
    made = compressed(dicom(pixels), uid.JPEGLSLossless, pixels)
    monkeypatch.setitem(DECODERS, uid.JPEGLSLossless, Decoder(absent, signed=True))
    with pytest.raises(UnreadableError, match=r"^decoder-absent$"):
        decode(made)


def test_damage_is_not_taken_for_a_decoder_that_is_absent(dicom, by_default):
    pixels = values(12, 16, 0)
    made = compressed(dicom(pixels), uid.JPEGLosslessSV1, pixels)
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    at = frame.index(b"\xff\xc4")  # the Huffman table
    frame[at + 5 : at + 9] = b"\xff" * 4
    made.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(UnreadableError, match=r"^decode-failed$"):
        decode(made)
