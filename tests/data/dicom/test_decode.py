"""Stored values come out exactly as they went in, or not at all."""

import resource
import struct

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from mammogan.data.dicom import decode as decoding
from mammogan.data.dicom.decode import decode, has_trailing_bytes, read
from mammogan.data.dicom.decoders import DECODERS, Decoder
from mammogan.data.dicom.header import UnreadableError
from tests.data.forms import ENCODERS, compressed

PIXELS = (np.add.outer(np.arange(64) * 30, np.arange(48) * 40) % 4096).astype(np.uint16)
GRAIN = np.random.default_rng(0).normal(2000, 60, (256, 192)).astype(np.uint16)


def ends(made):
    """Say how decoding ends: ``exact``, ``wrong`` (it is another picture), or the reason of a refusal."""
    try:
        return "exact" if np.array_equal(decode(made), GRAIN) else "wrong"
    except UnreadableError as error:
        return str(error)


@pytest.mark.parametrize("syntax", ENCODERS)
def test_the_fast_decoders_are_exact_and_agree_with_pydicom(dicom, syntax, monkeypatch):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    assert np.array_equal(decode(made), GRAIN)
    if get_decoder(syntax).is_available and syntax not in (uid.JPEGLSLossless, uid.HTJ2KLossless):
        monkeypatch.delitem(DECODERS, syntax)
        assert np.array_equal(decode(made), GRAIN)


def test_pydicom_decodes_what_the_fast_decoder_can_not(dicom, monkeypatch):
    made = compressed(dicom(PIXELS), uid.RLELossless, PIXELS)
    monkeypatch.setitem(DECODERS, uid.RLELossless, Decoder(lambda frame, kind: 1 / 0, signed=True))
    assert np.array_equal(decode(made), PIXELS)


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_eight_bits_and_signed_values_are_decoded(dicom, kind):
    pixels = (PIXELS % 200).astype(kind) - kind(0 if kind is np.uint8 else 100)
    assert np.array_equal(decode(dicom(pixels)), pixels)
    assert np.array_equal(decode(compressed(dicom(pixels), uid.RLELossless, pixels)), pixels)


def test_pixels_stay_on_the_disk_until_they_are_decoded(tmp_path, dicom, saved):
    large = np.tile(PIXELS, (16, 16))
    made = read(saved(dicom(large), tmp_path / "a.dcm"))
    assert made.get_item("PixelData", keep_deferred=True).value is None
    assert np.array_equal(decode(made), large)


def test_a_file_cut_short_on_the_disk_is_truncated(tmp_path, dicom, saved):
    path = saved(dicom(np.tile(PIXELS, (16, 16))), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-100_000])
    assert ends(read(path)) == "truncated"


def test_rubbish_is_damaged_and_a_missing_file_is_the_systems_error(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"rubbish")
    with pytest.raises(UnreadableError, match=r"^damaged$"):
        read(tmp_path / "a.dcm")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b.dcm")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PixelData": None}, "truncated"),
        ({"BitsStored": None}, "truncated"),
        ({"BitsAllocated": 32}, "bit-depth"),
        ({"BitsStored": 17}, "bit-depth"),
        ({"PixelData": GRAIN.tobytes()[:1000]}, "truncated"),
        ({"PixelData": GRAIN.tobytes() * 2}, "decode-mismatch"),
        ({"Rows": 0}, "decode-mismatch"),
        ({"Columns": 193}, "truncated"),
        ({"NumberOfFrames": 2}, "decode-mismatch"),
        ({"NumberOfFrames": 10**9}, "decode-mismatch"),
        ({"Rows": 65535, "Columns": 65535}, "decode-mismatch"),
    ],
)
def test_what_can_not_be_decoded_has_a_reason(dicom, tags, reason):
    assert ends(dicom(GRAIN, **tags)) == reason


@pytest.mark.parametrize("syntax", [syntax for syntax in ENCODERS if syntax != uid.RLELossless])
def test_a_stream_that_is_not_what_the_header_says_is_refused(dicom, syntax):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    for keyword in ("Rows", "Columns"):
        for lie in (1, 50, 65535):
            was = made[keyword].value
            made[keyword].value = lie
            assert ends(made) == "decode-mismatch"
            made[keyword].value = was
    assert ends(made) == "exact"


@pytest.mark.parametrize("syntax", ENCODERS)
def test_half_a_stream_is_no_picture(dicom, syntax):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    made.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
    assert ends(made) in ("truncated", "decode-failed")


# The others decode a damaged block to noise in that place, which nothing gives away.
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLossless])
def test_64_zeroed_bytes_in_a_lossless_jpeg_are_seen(dicom, syntax):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    middle = len(frame) // 2
    frame[middle : middle + 64] = bytes(64)
    made.PixelData = encapsulate([bytes(frame)])
    assert ends(made) in ("damaged", "decode-failed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("syntax", ENCODERS)
def test_random_damage_never_raises_anything_else(dicom, syntax):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        broken = bytearray(frame)
        start = int(random.integers(0, len(frame) - 8)) if random.random() < 0.7 else int(random.integers(64))
        broken[start : start + 8] = random.bytes(8)
        made.PixelData = encapsulate([bytes(broken)])
        seen.add(ends(made))
    assert seen & {"decode-failed", "decode-mismatch", "damaged"}


@pytest.mark.parametrize("true", ENCODERS)
@pytest.mark.parametrize("said", [*ENCODERS, uid.ExplicitVRLittleEndian])
def test_a_wrong_transfer_syntax_gives_the_picture_or_a_reason(dicom, true, said):
    made = compressed(dicom(GRAIN), true, GRAIN)
    made.file_meta.TransferSyntaxUID = said
    reasons = ("decode-failed", "decode-mismatch", "truncated", "damaged")
    assert ends(made) in ("exact", *(() if true == said else reasons))


def test_a_huge_declared_size_takes_no_memory(dicom):
    made = compressed(dicom(GRAIN), uid.JPEGLosslessSV1, GRAIN)
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    at = frame.index(b"\xff\xc3") + 5
    frame[at : at + 4] = struct.pack(">HH", 65500, 65500)
    made.PixelData = encapsulate([bytes(frame)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ends(made) == "decode-mismatch"
    made.Rows = made.Columns = 65500
    assert ends(made) == "decode-mismatch"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_no_fast_decoder_is_asked_for_more_than_its_stream_declares(dicom, monkeypatch):
    made = compressed(dicom(GRAIN), uid.JPEG2000Lossless, GRAIN)
    made.Rows = 50
    refused = Decoder(lambda frame, kind: pytest.fail("was decoded"))
    monkeypatch.setitem(DECODERS, uid.JPEG2000Lossless, refused)
    assert ends(made) == "decode-mismatch"


def test_half_resolution_halves_both_sides_rounded_up(dicom):
    odd = GRAIN[:255, :191].copy()
    made = compressed(dicom(odd), uid.JPEG2000Lossless, odd)
    half = decode(made, halve_jpeg2000=True)
    assert half.shape == (128, 96)
    assert half.dtype == np.uint16
    assert half.mean() == pytest.approx(odd.mean(), rel=0.01)
    lossless = compressed(dicom(GRAIN), uid.JPEGLosslessSV1, GRAIN)
    assert decode(lossless, halve_jpeg2000=True).shape == GRAIN.shape


def test_real_jpegs_of_12_bits_and_real_jpeg_2000_decode(real):
    jpeg = decode(pydicom.dcmread(real / "nema_wg04" / "MG1_JPLY.dcm"))
    wavelets = decode(pydicom.dcmread(real / "nema_wg04" / "MG1_J2KI.dcm"))
    assert jpeg.shape == wavelets.shape == (4664, 3064)
    assert 255 < jpeg.max() < 4096
    # Both lost something of the same film, and not the same: about 20 of 4096 lie between them.
    assert np.abs(jpeg.astype(int) - wavelets).mean() < 30


def test_overlays_out_of_bounds_and_icons_are_not_looked_at(real):
    for name in ("siemens_biopsy/OutOfBoundsOverlay_scrubbed.dcm", "ge_ffdm/GH133_scrubbed.dcm"):
        made = read(real / name)
        stored = decode(made)
        assert stored.shape == (made.Rows, made.Columns)
        assert stored.max() < 4096
        assert np.array_equal(stored, made.pixel_array)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.HTJ2KLossless])
def test_a_wavelet_stream_that_lost_its_end_is_damaged_and_not_merely_blurred(dicom, syntax):
    grain = np.tile(GRAIN, (2, 2))
    made = compressed(dicom(grain), syntax, grain)
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    half = len(frame) // 2
    frame[half:-64] = bytes(len(frame) - half - 64)
    made.PixelData = encapsulate([bytes(frame)])
    assert ends(made) == "damaged"


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.HTJ2KLossless])
def test_a_black_picture_has_no_hole(dicom, syntax):
    black = np.zeros((2048, 2048), np.uint16)
    assert np.array_equal(decode(compressed(dicom(black), syntax, black)), black)


def test_a_large_stream_is_fetched_from_the_disk(tmp_path, dicom, saved):
    grain = np.tile(GRAIN, (8, 8))
    path = saved(compressed(dicom(grain), uid.JPEGLosslessSV1, grain), tmp_path / "a.dcm")
    assert path.stat().st_size > decoding.LARGE_BYTES
    assert np.array_equal(decode(read(path)), grain)


@pytest.mark.parametrize("extra", [2, 3, 192 * 2, 5000])
def test_bytes_behind_raw_pixels_are_let_pass_and_told(tmp_path, dicom, saved, extra):
    made = dicom(GRAIN, PixelData=GRAIN.tobytes() + bytes(extra + extra % 2))
    assert ends(made) == "exact"
    assert has_trailing_bytes(made)
    large = np.tile(PIXELS, (16, 16))
    stored = read(saved(dicom(large, PixelData=large.tobytes() + bytes(64)), tmp_path / "a.dcm"))
    assert np.array_equal(decode(stored), large), "where they lie on the disk, too"
    assert has_trailing_bytes(stored)


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("tail", [bytes(200), b"appended by a gateway" * 9, bytes(100_000)])
def test_bytes_behind_a_stream_are_let_pass_and_told(dicom, syntax, tail):
    made = compressed(dicom(GRAIN), syntax, GRAIN)
    assert not has_trailing_bytes(made)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    made.PixelData = encapsulate([frame.rstrip(b"\0") + tail])
    assert ends(made) == "exact"
    assert has_trailing_bytes(made)


def test_whole_pictures_have_no_trailing_bytes(dicom):
    odd = GRAIN[:5, :5].astype(np.uint8)
    assert not has_trailing_bytes(dicom(GRAIN))
    assert not has_trailing_bytes(dicom(odd, PixelData=odd.tobytes() + b"\0"))
    assert not has_trailing_bytes(compressed(dicom(GRAIN), uid.RLELossless, GRAIN))
