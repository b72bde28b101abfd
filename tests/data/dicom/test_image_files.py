import cv2
import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.pixel_settings import Pixels
from mammogan.config.source_settings import Images, Source, Table
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.shards.archive import Archive, index_tables
from mammogan.errors import ConfigError, DataError

TWELVE = (np.arange(1200 * 600).reshape(1200, 600) % 4096).astype(np.uint16)
EIGHT = (TWELVE >> 4).astype(np.uint8)


def write(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pgm" and "white" in more:
        head = f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n{more['white']}\n".encode()
        path.write_bytes(head + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes())
    else:
        assert cv2.imwrite(str(path), pixels)
    return path


def source(tables=(), **images):
    return Source(
        kind="images",
        view=("path:_(CC|MLO)",),
        laterality=("path:_([LR])_",),
        patient=("path:([^/_]+)_[^/]*$",),
        tables=tables,
        images=Images(**images),
    )


def archive(folder, **images):
    return Archive(source(**images), folder, None)


@pytest.mark.parametrize("name", ["p1_L_CC.png", "p1_L_CC.tif", "p1_L_CC.pgm"])
@pytest.mark.parametrize(("pixels", "images", "bits"), [(EIGHT, {}, 8), (TWELVE, {"bits": 12}, 12)])
def test_every_format_gives_its_own_values_in_the_depth_that_is_told(tmp_path, name, pixels, images, bits):
    path = write(tmp_path / "a" / name, pixels)
    made = archive(tmp_path, **images)
    header = made.header(path)
    assert (header.view, header.laterality, header.patient) == ("CC", "L", "p1")
    assert (header.rows, header.columns, header.frames, header.has_pixels) == (1200, 600, 1, True)
    assert header.sop_instance_uid == f"a/{name}"
    dicom = made.dicom(path)
    assert np.array_equal(dicom.pixel_array, pixels)
    assert (dicom.BitsStored, dicom.PhotometricInterpretation) == (bits, "MONOCHROME2")


def test_a_pgm_that_calls_4095_white_is_not_stretched(tmp_path):
    path = write(tmp_path / "p1_L_CC.pgm", TWELVE, white=4095)
    assert np.array_equal(archive(tmp_path, bits=12).dicom(path).pixel_array, TWELVE)


def test_sixteen_bit_files_need_their_bits_in_the_recipe(tmp_path):
    path = write(tmp_path / "CANARY_L_CC.png", TWELVE)
    with pytest.raises(DataError, match=r"Set source\.images\.bits, 9 to 16") as told:
        archive(tmp_path).header(path)
    assert "CANARY" not in str(told.value)
    with pytest.raises(UnreadableError, match=r"^bit-depth$"):
        archive(tmp_path, bits=11).dicom(path)


def test_an_inverted_file_is_shown_the_right_way_round(tmp_path):
    path = write(tmp_path / "p1_L_CC.png", EIGHT)
    assert archive(tmp_path, inverted=True).dicom(path).PhotometricInterpretation == "MONOCHROME1"


def test_grey_in_colour_files_is_taken_and_other_colour_refused(tmp_path, dicom):
    grey = write(tmp_path / "p1_L_CC.png", np.dstack([EIGHT] * 3))
    assert np.array_equal(archive(tmp_path).dicom(grey).pixel_array, EIGHT)
    opaque = write(tmp_path / "p2_L_CC.png", np.dstack([EIGHT] * 3 + [np.full_like(EIGHT, 255)]))
    assert np.array_equal(archive(tmp_path).dicom(opaque).pixel_array, EIGHT)
    colour = write(tmp_path / "p3_L_CC.png", np.dstack([EIGHT, EIGHT, np.flipud(EIGHT)]))
    with pytest.raises(UnreadableError, match=r"^colour$"):
        archive(tmp_path).dicom(colour)
    seen = archive(tmp_path, colour="luminance").dicom(colour).pixel_array
    assert seen.shape == EIGHT.shape and seen.dtype == np.uint8
    screening = load_recipe("images").screening
    refusing = archive(tmp_path, colour="refuse")
    assert screen_header(refusing.header(grey), screening)[0] == "colour"
    assert screen_header(archive(tmp_path).header(grey), screening)[0] == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty-file"), (b"name,side\n1,L\n", "not-an-image"), (b"\x89PNG\r\n\x1a\n half", "not-an-image")],
)
def test_what_is_no_image_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "p1_L_CC.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=rf"^{reason}$"):
        archive(tmp_path).header(path)


@pytest.mark.parametrize("suffix", ["png", "pgm", "jpg", "tif"])
def test_half_a_file_gives_no_half_picture(tmp_path, suffix):
    path = write(tmp_path / f"p1_L_CC.{suffix}", EIGHT)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableError, match=r"^(decode-failed|not-an-image)$"):
        archive(tmp_path).dicom(path)


def test_a_vanished_file_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        archive(tmp_path).dicom(tmp_path / "gone.png")
    with pytest.raises(UnreadableError, match=r"^no-access$"):
        archive(tmp_path).header(tmp_path / "gone.png")


def test_nothing_of_a_files_own_metadata_is_kept(tmp_path):
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", "CANARY")
    Image.fromarray(EIGHT).save(tmp_path / "p1_L_CC.png", pnginfo=text)
    dicom = archive(tmp_path).dicom(tmp_path / "p1_L_CC.png")
    del dicom.PixelData
    assert "CANARY" not in str(dicom)


def test_spacing_comes_from_the_recipe_or_from_a_table(tmp_path):
    path = write(tmp_path / "p1_L_CC.png", EIGHT)
    assert archive(tmp_path, spacing_mm=0.2).dicom(path).ImagerPixelSpacing == [0.2, 0.2]
    (tmp_path / "sizes.csv").write_text("name,mm\np1,0.05\n")
    table = Table(file="sizes.csv", match={"name": "path:([^/_]+)_[^/]*$"})
    told = source(tables=(table,), spacing=("table:mm",))
    index_tables(told, tmp_path, tmp_path / "index")
    assert Archive(told, tmp_path, tmp_path / "index").dicom(path).ImagerPixelSpacing == [0.05, 0.05]


def test_an_image_file_gives_the_picture_that_its_dicom_gives(tmp_path, dicom):
    made = dicom(WindowCenter=None, WindowWidth=None)
    pixels = Pixels(fallback="stored-range")
    path = write(tmp_path / "p1_L_CC.png", made.pixel_array)
    dressed = archive(tmp_path, bits=12).dicom(path)
    as_file, as_dicom = (take(d, "CC", "L", pixels, (160, 128)).image_HW for d in (dressed, made))
    assert np.array_equal(as_file, as_dicom)


def test_origins_of_headers_make_no_sense_for_image_files():
    with pytest.raises(ValueError, match="'ViewPosition' stands in 'view', but image files have no header"):
        Source(kind="images", view=("ViewPosition",), laterality=("path:x",), patient=("path:x",))
    with pytest.raises(ConfigError, match="image files have no header: use path:"):
        load_recipe("images", ['source.patient=["PatientID"]'])
