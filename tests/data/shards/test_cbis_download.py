"""The usual download of CBIS-DDSM: full images, cut-out lesions and their masks, mixed."""

import numpy as np
import pydicom
import pytest
from pydicom import uid

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.decode import decode, read
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.screening.pixel_rules import screen_pixels
from mammogan.data.shards.archive import Archive

RECIPE = load_recipe("cbis-ddsm")
FULL, MASK, CROP = "full mammogram images", "ROI mask images", "cropped images"
TOP_PX = (640, 512)


@pytest.fixture
def downloaded(tmp_path, dicom, saved):
    """Lay a file out as the archive does, and say what the recipe makes of its header."""

    def lay(case, series, number="1-1", rows=2400, columns=1600, view="CC", **tags):
        tags = {
            "SOPClassUID": uid.SecondaryCaptureImageStorage, "PresentationIntentType": None,
            "ViewPosition": None,
            "ImageLaterality": None, "PatientID": case, "PatientName": case, "PatientOrientation": view,
            "Laterality": "L", "SeriesDescription": series, "WindowCenter": None, "WindowWidth": None,
            "Rows": rows, "Columns": columns, **tags,
        }  # fmt: skip
        made = dicom(np.zeros((4, 4), np.uint16), **tags)
        folder = tmp_path / "CBIS-DDSM" / case / "10-04-2016-DDSM-NA-44260" / f"1.000000-{series}-12345"
        header = Archive(RECIPE.source, tmp_path, None).header(saved(made, folder / f"{number}.dcm"))
        reason, _ = screen_header(header, RECIPE.screening)
        return reason or (header.view, header.laterality, header.patient)

    return lay


def test_full_images_are_taken(downloaded):
    assert downloaded("Mass-Test_P_00173_LEFT_CC", FULL) == ("CC", "L", "P_00173")
    assert downloaded("Calc-Training_P_01437_LEFT_MLO", FULL, view="MLO") == ("MLO", "L", "P_01437")
    assert downloaded("Calc-Training_P_01438_LEFT_CC", "", "1-9") == ("CC", "L", "P_01438")


@pytest.mark.parametrize(
    ("case", "series", "number", "rows"),
    [
        ("Mass-Test_P_00173_LEFT_CC_1", MASK, "1-1", 2000),
        ("Mass-Test_P_00173_LEFT_CC_1", MASK, "1-2", 2000),
        ("Mass-Training_P_00174_LEFT_MLO_2", CROP, "1-1", 1500),
        ("Calc-Test_P_00038_LEFT_CC_12", "", "1-1", 2000),
        ("Mass-Test_P_00173_LEFT_CC", MASK, "1-1", 2000),
        ("Mass-Test_P_00173_LEFT_CC", "roi_mask", "1-1", 2000),
        ("Mass-Test_P_00173_LEFT_CC", "Cropped Image", "1-1", 1500),
    ],
)
def test_masks_and_crops_are_left_out_by_what_their_headers_say(downloaded, case, series, number, rows):
    assert downloaded(case, series, number, rows) == "region-of-interest"


def test_a_small_crop_that_says_nothing_is_too_small(downloaded):
    assert downloaded("Mass-Test_P_00173_LEFT_CC", "", rows=300, columns=280) == "frame-size"


@pytest.fixture
def film(films):
    return read(min(films.rglob("*.dcm")))


def judged(film, pixels):
    made = pydicom.Dataset(film)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    picture = take(made, "CC", "L", RECIPE.pixels, TOP_PX)
    return screen_pixels(picture.measures, RECIPE.screening)[0]


def disc(shape, radius):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y - shape[0] * 0.4) ** 2 + (x - shape[1] * 0.3) ** 2) < radius**2


def test_what_has_lost_its_names_is_known_by_its_pixels(film):
    stored = decode(film)
    assert judged(film, stored) == "", "the film itself is taken"
    lesion = disc(stored.shape, 200)
    assert judged(film, np.where(lesion, 255, 0).astype(np.uint8)) in ("few-greys", "breast-area")
    assert judged(film, np.where(lesion, 65535, 0).astype(np.uint16)) in ("few-greys", "breast-area")
    large = disc(stored.shape, 900)
    assert judged(film, np.where(large, 255, 0).astype(np.uint8)) == "few-greys"
    assert judged(film, stored[1500:2900, 300:1400].copy()) == "breast-area", "a crop that the breast fills"
