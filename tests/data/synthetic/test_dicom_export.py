"""A synthetic image as DICOM: valid, hung the right way, and known for synthetic whatever a tool removes."""

import re
import shutil
import subprocess
from io import BytesIO

import cv2
import numpy as np
import pydicom
import pytest

from mammogan.config.pixel_settings import Pixels
from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import Source
from mammogan.data.dicom import decode
from mammogan.data.dicom.fields import Origins
from mammogan.data.dicom.header import facts
from mammogan.data.phantom import render
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.synthetic.dicom_export import encode_dicom, stored
from mammogan.data.synthetic.pool_writer import write_parts
from mammogan.data.synthetic.synthetic_pool import DicomForm, Image, Pool

SIZE_PX = (320, 256)
FORMS = [DicomForm(laterality=side, pixel_mm=0.9, watermark=mark) for side in "LR" for mark in (False, True)]
VALIDATOR, RENDERER = shutil.which("dciodvfy"), shutil.which("dcm2pnm") or shutil.which("dcmj2pnm")
needs_validator = pytest.mark.skipif(
    not VALIDATOR, reason="needs dciodvfy, of the Debian package dicom3tools"
)
needs_renderer = pytest.mark.skipif(not RENDERER, reason="needs dcm2pnm, Debian package dcmtk")

TOO_NEW = re.compile(r"not a recognized standard attribute - \(0x0008,0x001c\)")
"""Synthetic Data (0008,001C) is of 2023; dciodvfy of Debian knows the standard of 2022."""

REMOVED = (
    "SyntheticData", "ContributingEquipmentSequence", "SOPInstanceUID", "StudyInstanceUID",
    "SeriesInstanceUID", "PatientName", "PatientID", "PatientSex", "PatientComments", "StudyID",
    "StudyDescription", "SeriesDescription", "DeviceSerialNumber", "DerivationDescription", "ImageComments",
)  # fmt: skip
"""What tools by the basic profile of PS3.15, table E.1-1, take of ours, and what those of old don't know."""


def make_pool(form, views=("CC", "MLO"), images=2, **named):
    height_px, width_px = SIZE_PX
    return Pool(
        checkpoint="c" * 64, seed=1, views=views, images_per_view=images, height_px=height_px,
        width_px=width_px, formats=("dicom",), dicom=form, **named,
    )  # fmt: skip


@pytest.fixture(scope="module")
def images():
    """A phantom's left breast in both views, chest wall on the left, as a generator draws it."""
    made = {}
    for view in ("CC", "MLO"):
        seen = render(3, 1, view, "L", frame_scale=0.125)
        grey = cv2.resize(seen.pixels, SIZE_PX[::-1], interpolation=cv2.INTER_AREA)
        made[view] = Image(view, 7, grey * np.uint16(65535 // (1 << seen.bits)))
    return made


def opened(content):
    return pydicom.dcmread(BytesIO(content))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_the_pixels_are_the_images_to_the_bit_hung_as_its_side_is(images, view, form):
    image = images[view]
    ds = opened(encode_dicom(make_pool(form), image))
    assert np.array_equal(ds.pixel_array, stored(image.pixels_HW, form))
    twelve_HW = np.rint(image.pixels_HW * (4095 / 65535))
    hung_HW = twelve_HW if form.laterality == "L" else np.fliplr(twelve_HW)
    upper = slice(0, SIZE_PX[0] * 3 // 4)  # where no watermark is
    assert np.array_equal(ds.pixel_array[upper], hung_HW[upper])
    assert np.array_equal(ds.pixel_array, hung_HW) != form.watermark
    assert ds.BurnedInAnnotation == ("YES" if form.watermark else "NO")


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_our_own_reader_takes_the_image_back_by_view_side_and_window(images, tmp_path, view, side):
    path = tmp_path / "image.dcm"
    path.write_bytes(encode_dicom(make_pool(DicomForm(laterality=side, pixel_mm=0.9)), images[view]))
    dicom = decode.read(path)
    assert (dicom.ViewPosition, dicom.ImageLaterality) == (view, side)
    picture = take(dicom, view, side, Pixels(), SIZE_PX)
    assert picture.placing.mirrored == (side == "R")
    off = np.abs(picture.image_HW.astype(int) - images[view].pixels_HW)
    assert off.max() <= 65535 / 4095 / 2 + 1


@pytest.mark.parametrize(
    ("side", "view", "orientation"),
    [("L", "CC", ["A", "R"]), ("R", "CC", ["P", "L"]), ("L", "MLO", ["A", "FR"]), ("R", "MLO", ["P", "FL"])],
)
def test_view_and_orientation_are_said_in_every_place_where_viewers_look(images, side, view, orientation):
    ds = opened(encode_dicom(make_pool(DicomForm(laterality=side, pixel_mm=0.25)), images[view]))
    assert ds.ViewCodeSequence[0].CodeValue == {"CC": "399162004", "MLO": "399368009"}[view]
    assert (ds.ViewPosition, ds.ImageLaterality, list(ds.PatientOrientation)) == (view, side, orientation)
    assert ds.SeriesDescription.startswith(f"{side} {view}")
    assert list(ds.ImagerPixelSpacing) == list(ds.PixelSpacing) == [0.25, 0.25]
    assert ds.file_meta.MediaStorageSOPClassUID.name.endswith("For Presentation")


def test_it_is_known_for_synthetic_after_all_is_gone_that_tools_remove(images):
    ds = opened(encode_dicom(make_pool(FORMS[1]), images["CC"]))
    assert ds.SyntheticData == "YES"
    item = ds.ContributingEquipmentSequence[0]
    assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    for said in ("c" * 64, "seed 1", "number 7", "view CC", "truncation 1"):
        assert said in item.ContributionDescription
    for keyword in REMOVED:
        assert keyword in ds
        delattr(ds, keyword)
    ds.remove_private_tags()
    assert ds.ImageType == ["DERIVED", "SECONDARY", "", "GAN_SYNTHETIC"]
    left = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "WindowCenterWidthExplanation")
    assert all("SYNTHETIC" in getattr(ds, keyword) for keyword in left)
    assert ds.BurnedInAnnotation == "YES"  # and the word is in the pixels


@pytest.mark.parametrize("lost", [(), REMOVED[:-1]], ids=["whole", "stripped"])
def test_our_own_shards_refuse_it_as_training_data(images, tmp_path, lost):
    ds = opened(encode_dicom(make_pool(FORMS[0]), images["CC"]))
    for keyword in lost:
        delattr(ds, keyword)
    ds.PatientID, ds.SOPInstanceUID = "A1", "1.2.3"
    seen = facts(ds, Origins(Source(), ds, "a.dcm"), has_pixels=True)
    assert screen_header(seen, Screening(smallest_px=(32, 32)))[0] == "synthetic-data"


def test_it_says_nothing_that_is_not_so(images):
    ds = opened(encode_dicom(make_pool(FORMS[0]), images["CC"]))
    assert not ds.StudyDate and not ds.PatientBirthDate and not ds.ReferringPhysicianName
    assert not [word for word in ("KVP", "Exposure", "OrganDose", "AcquisitionDate") if word in ds]
    assert "TOMO" not in str(ds.ImageType) and "GENERATED_2D" not in str(ds.ImageType)


def uids(content):
    ds = opened(content)
    return ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.PatientID


def test_a_file_has_its_uids_in_every_pool_and_no_other_file_has_them(images):
    pool, image = make_pool(FORMS[0]), images["CC"]
    larger = make_pool(FORMS[0], views=("CC",), images=900)
    assert encode_dicom(pool, image) == encode_dicom(larger, image)
    others = [
        encode_dicom(pool, images["MLO"]),
        encode_dicom(pool, Image("CC", 8, image.pixels_HW)),
        encode_dicom(make_pool(FORMS[2]), image),
        encode_dicom(make_pool(FORMS[1]), image),
        encode_dicom(pool.model_copy(update={"seed": 2}), image),
        encode_dicom(pool.model_copy(update={"checkpoint": "d" * 64}), image),
        encode_dicom(pool.model_copy(update={"truncation": 0.5}), image),
    ]
    for names in zip(uids(encode_dicom(pool, image)), *map(uids, others), strict=True):
        assert len(set(names)) == len(names)
        assert all(len(name) <= 64 for name in names)


def test_views_of_a_pair_are_one_study_and_say_what_that_means(images):
    pool = make_pool(FORMS[0], pairs=True)
    cc, mlo = (opened(encode_dicom(pool, images[view])) for view in ("CC", "MLO"))
    assert (cc.StudyInstanceUID, cc.PatientID) == (mlo.StudyInstanceUID, mlo.PatientID)
    assert (cc.SeriesNumber, mlo.SeriesNumber) == (1, 2)
    assert "nothing asks that they be one breast" in cc.ImageComments


def validated(path):
    """Give the errors that dciodvfy prints; its exit code is 0 whatever it finds."""
    told = subprocess.run([VALIDATOR, path], capture_output=True, text=True, check=False)
    assert "MammographyImageForPresentation" in told.stdout + told.stderr
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


def rendered(path):
    """Render as a viewer does, by the file's own window."""
    png = path.with_suffix(".png")
    subprocess.run([RENDERER, "+on", "+Wi", "1", path, png], check=True, capture_output=True)
    return cv2.imread(str(png), cv2.IMREAD_GRAYSCALE)


@needs_validator
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("pairs", [False, True])
def test_a_validator_finds_one_error_that_its_dictionary_is_too_old(images, tmp_path, form, pairs):
    for view, image in images.items():
        path = tmp_path / f"{view}.dcm"
        path.write_bytes(encode_dicom(make_pool(form, pairs=pairs), image))
        (error,) = validated(path)
        assert TOO_NEW.search(error)


@needs_validator
def test_the_validator_would_find_what_is_missing_or_wrong(images, tmp_path):
    ds = opened(encode_dicom(make_pool(FORMS[0]), images["CC"]))
    del ds.ViewCodeSequence
    ds.PartialView = "PERHAPS"
    ds.save_as(tmp_path / "wrong.dcm")
    assert len(validated(tmp_path / "wrong.dcm")) >= 3


@needs_renderer
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_a_viewer_shows_the_image_hung_the_right_way_in_its_grey(images, tmp_path, form, view):
    path = tmp_path / "image.dcm"
    path.write_bytes(encode_dicom(make_pool(form), images[view]))
    shown_HW = rendered(path).astype(float)
    assert np.abs(shown_HW - stored(images[view].pixels_HW, form) / 4095 * 255).max() <= 1
    left, right = np.array_split(shown_HW[: SIZE_PX[0] * 3 // 4], 2, axis=1)
    assert (left.mean() > right.mean()) == (form.laterality == "L")


@pytest.mark.slow
@needs_validator
@needs_renderer
def test_of_1000_files_each_is_valid_and_opens_in_a_viewer(images, tmp_path):
    pool = make_pool(DicomForm(laterality="R", pixel_mm=0.9), images=500)
    drawn = (
        (part, Image(view, number, np.roll(images[view].pixels_HW, number, axis=0)))
        for part in pool.parts
        for view, number in part.order
    )
    write_parts(tmp_path, pool, drawn, lambda: None)
    paths = sorted((tmp_path / "dicom").glob("*.dcm"))
    assert len(paths) == 1000
    for path in paths:
        (error,) = validated(path)
        assert TOO_NEW.search(error)
        left, right = np.array_split(rendered(path), 2, axis=1)
        assert right.mean() > 2 * left.mean()
