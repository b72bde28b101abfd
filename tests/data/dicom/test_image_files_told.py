"""What PNG, PGM, TIFF and JPEG files say of depth, polarity, pages and the way they lie is heeded."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mammogan.config.source_settings import Images
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.dicom.image_files import dressed, dressed_header
from mammogan.errors import DataError

TWELVE = (np.arange(24 * 16).reshape(24, 16) * 10).astype(np.uint16)
EIGHT = (TWELVE >> 4).astype(np.uint8)
SEEN = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.T,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].T,
    8: np.rot90,
}


def reason(path, **images):
    """Say for what reason the header, or else the file, is refused."""
    try:
        dressed_header(path, Images(**images))
        return "", _reason(path, images)
    except UnreadableError as error:
        return str(error), ""


def _reason(path, images):
    try:
        dressed(path, Images(**images))
    except UnreadableError as error:
        return str(error)
    return ""


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path, pixels, colour=0, exif=b""):
    """Write a PNG of 8 or 16 bits: colour type 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""
    bits = 8 * pixels.itemsize
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels)
    chunks = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    chunks[1:1] = [chunk(b"eXIf", exif)] if exif else []
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def tiff(path, pages, **more):
    """Write an uncompressed TIFF; each page is pixels with its further tags, by number."""
    data, before = bytearray(b"II*\0\0\0\0\0"), 4
    for pixels, tags in pages:
        start = len(data)
        data += pixels.tobytes()
        known = {
            256: pixels.shape[1], 257: pixels.shape[0], 258: 8 * pixels.itemsize, 259: 1, 262: 1, 273: start,
            277: 1, 278: pixels.shape[0], 279: pixels.nbytes,
        }  # fmt: skip
        data[before : before + 4] = struct.pack("<I", len(data))
        entries = sorted((known | tags).items())
        data += struct.pack("<H", len(entries))
        data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
        before = len(data) - 4
    path.write_bytes(bytes(data))
    return path


def pgm(path, pixels, white):
    kind = ">u2" if white > 255 else "u1"
    path.write_bytes(
        f"P5 {pixels.shape[1]} {pixels.shape[0]} {white}\n".encode() + pixels.astype(kind).tobytes()
    )
    return path


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize(
    ("suffix", "pixels"), [("png", TWELVE), ("png", EIGHT), ("tif", TWELVE), ("tif", EIGHT)]
)
def test_files_are_turned_as_exif_says(tmp_path, orientation, suffix, pixels):
    path, images = tmp_path / f"a.{suffix}", Images(bits=12)
    if suffix == "png":
        exif = Image.Exif()
        exif[0x0112] = orientation
        png(path, pixels, exif=exif.tobytes())
    else:
        tiff(path, [(pixels, {274: orientation})])
    header, found = dressed_header(path, images), dressed(path, images)
    seen = SEEN[orientation](pixels)
    assert (header.Rows, header.Columns) == (found.Rows, found.Columns) == seen.shape
    assert np.array_equal(found.pixel_array, seen)


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_a_jpeg_is_turned_as_exif_says(tmp_path, orientation):
    plain = np.kron(np.array([[20, 200], [120, 60], [240, 90]], np.uint8), np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(plain).save(tmp_path / "a.jpg", quality=95, exif=exif)
    header, found = dressed_header(tmp_path / "a.jpg", Images()), dressed(tmp_path / "a.jpg", Images())
    seen = SEEN[orientation](plain)
    assert (header.Rows, header.Columns) == seen.shape
    assert np.abs(found.pixel_array.astype(int) - seen).max() < 8


@pytest.mark.parametrize("exif", [b"MM\0*\0\0\0", b"junk", bytes(40)])
def test_broken_exif_turns_nothing(tmp_path, exif):
    assert np.array_equal(dressed(png(tmp_path / "a.png", EIGHT, exif=exif), Images()).pixel_array, EIGHT)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_of_16_bits_is_known_at_plan_time_and_keeps_its_bits(tmp_path, colour, channels):
    pixels = np.repeat(TWELVE[..., None], channels, axis=2)
    if channels in (2, 4):
        pixels[..., -1] = 65535
    path = png(tmp_path / "a.png", pixels, colour)
    with pytest.raises(DataError, match=r"Set source\.images\.bits"):
        dressed_header(path, Images())
    header, found = dressed_header(path, Images(bits=12)), dressed(path, Images(bits=12))
    assert header.BitsAllocated == found.BitsAllocated == 16
    assert np.array_equal(found.pixel_array, TWELVE)


def test_a_ppm_of_16_bits_is_known_at_plan_time(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.ppm"), np.dstack([TWELVE] * 3))
    assert dressed_header(tmp_path / "a.ppm", Images(bits=12)).BitsAllocated == 16


def test_a_tiff_whose_white_is_zero_is_read_the_right_way_round(tmp_path):
    deep = dressed(tiff(tmp_path / "a.tif", [(TWELVE, {262: 0})]), Images(bits=12))
    assert deep.PhotometricInterpretation == "MONOCHROME1"
    assert np.array_equal(deep.pixel_array, TWELVE)
    again = dressed(tmp_path / "a.tif", Images(bits=12, inverted=True))
    assert again.PhotometricInterpretation == "MONOCHROME2"
    shallow = dressed(tiff(tmp_path / "b.tif", [(EIGHT, {262: 0})]), Images())
    assert shallow.PhotometricInterpretation == "MONOCHROME2"
    assert np.array_equal(shallow.pixel_array, 255 - EIGHT)


@pytest.mark.parametrize(
    ("pages", "ends"),
    [
        ([(EIGHT, {}), (EIGHT, {})], "several-pages"),
        ([(EIGHT, {}), (EIGHT[::2, ::2], {}), (EIGHT, {})], "several-pages"),
        ([(EIGHT[::2, ::2], {254: 1}), (EIGHT, {})], "several-pages"),  # OpenCV would read the preview
        ([(EIGHT, {}), (EIGHT[::2, ::2], {254: 1})], ""),
        ([(EIGHT, {254: 0}), (EIGHT, {254: 4}), (EIGHT[::4, ::4], {254: 5})], ""),
    ],
)
def test_several_pages_are_refused_for_that_and_previews_are_none(tmp_path, pages, ends):
    path = tiff(tmp_path / "a.tif", pages)
    assert reason(path) == (ends, "")
    if not ends:
        assert np.array_equal(dressed(path, Images()).pixel_array, EIGHT)


def test_a_png_that_moves_is_several_pages(tmp_path):
    frames = [Image.fromarray(EIGHT), Image.fromarray(EIGHT[::-1].copy())]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert reason(tmp_path / "a.png") == ("several-pages", "")


@pytest.mark.parametrize(
    ("mode", "suffix", "why"),
    [
        ("CMYK", "jpg", "colour"),
        ("CMYK", "tif", "colour"),
        ("LAB", "tif", "colour"),
        ("1", "png", "bit-depth"),
        ("F", "tif", "bit-depth"),
        ("I", "tif", "bit-depth"),
    ],
)
def test_what_holds_no_grey_of_8_or_16_bits_is_refused_at_plan_time(tmp_path, mode, suffix, why):
    Image.new(mode, (16, 24)).save(tmp_path / f"a.{suffix}")
    assert reason(tmp_path / f"a.{suffix}") == (why, "")


def test_signed_values_are_refused_at_plan_time(tmp_path):
    assert reason(tiff(tmp_path / "a.tif", [(TWELVE, {339: 2})]), bits=12) == ("bit-depth", "")


@pytest.mark.parametrize(
    ("pixels", "white", "told", "bits"),
    [
        (TWELVE, 65535, 16, 12),  # 12 bits in words: nearly black as 16
        (TWELVE >> 2, 65535, 16, 10),
        (TWELVE, 4095, 16, 12),  # the file itself says it
        (EIGHT >> 4, 255, None, 4),
        (EIGHT >> 4, 15, None, 4),
        (TWELVE, 65535, 12, 12),
        (TWELVE * 16, 65535, 16, 16),
        (TWELVE * 8, 65535, 16, 16),
        (EIGHT, 255, None, 8),
        (EIGHT // 2, 255, None, 8),
    ],
)
def test_a_pgm_is_as_deep_as_its_values(tmp_path, pixels, white, told, bits):
    found = dressed(pgm(tmp_path / "a.pgm", pixels, white), Images(bits=told))
    assert np.array_equal(found.pixel_array, pixels)
    assert (found.BitsStored, found.HighBit) == (bits, bits - 1)


def _png_of(rows, columns):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    content = packer.compress(bytes(1 << 20)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        _png_of(65535, 65535),
        _png_of(9000, 9000),
        b"P5 65535 65535 65535\n" + bytes(100),
        b"P5 1000000 100 255\n" + bytes(100),
    ],
)
def test_a_file_that_claims_more_than_any_mammogram_is_refused_before_it_is_decoded(
    tmp_path, content, monkeypatch
):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    (tmp_path / "a.png").write_bytes(content)
    assert reason(tmp_path / "a.png", bits=16) == ("too-large", "")


def test_a_tiff_whose_tiles_would_fill_the_memory_is_too_large(tmp_path):
    tags = {322: 1 << 16, 323: 1 << 16, 324: 8, 325: EIGHT.nbytes}
    assert reason(tiff(tmp_path / "a.tif", [(EIGHT, tags)]))[0] == "too-large"
    assert reason(tiff(tmp_path / "b.tif", [(EIGHT, {256: 1 << 16, 257: 1 << 16})]))[0] == "too-large"
