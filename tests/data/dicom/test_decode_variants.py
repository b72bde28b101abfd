"""One mammogram in every form that DICOM knows gives one picture: computed, and real where one is at hand."""

import hashlib
from functools import cache

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from mammogan.config.pixel_settings import Pixels
from mammogan.data.dicom.decode import decode, read
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.preprocess.preprocess import take
from mammogan.data.preprocess.voi_lut import grey_table
from tests.data.conftest import make_dicom, save
from tests.data.forms import ENCODERS, compressed, uncompressed

TOP = (320, 256)
LINEAR = {"WindowCenter": 2100, "WindowWidth": 2500, "VOILUTFunction": "LINEAR"}
GE = "ge_ffdm/GH133_scrubbed.dcm"


@pytest.fixture(params=["computed", "real"])
def stored(request):
    """Give stored values of 12 bits, a right breast."""
    if request.param == "computed":
        return computed_breast()
    return real_breast(request.getfixturevalue("real"))


@cache
def real_breast(folder):
    return decode(read(folder / GE))[::2, ::2].copy()


@cache
def computed_breast():
    y, x = np.mgrid[:800, :630]
    depth = np.clip(1 - np.hypot((y - 400) / 300, (629 - x) / 400), 0, 1)
    grain = np.abs(np.random.default_rng(0).normal(0, 20, depth.shape)) * (1 + (depth > 0))
    return (np.sqrt(depth) * 3400 + grain).astype(np.uint16)


def described(stored, **tags):
    return make_dicom(stored, ImageLaterality="R", ViewPosition="MLO", **{**LINEAR, **tags})


def picture(made, **pixels):
    return take(made, "MLO", "R", Pixels(**pixels), TOP)


def digest(made, **pixels):
    shown = picture(made, **pixels)
    return hashlib.sha256(shown.image_HW.tobytes()).hexdigest(), shown.placing, shown.measures


def through_a_file(made, folder):
    return read(save(made, folder / "a.dcm"))


RAW = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)


@pytest.mark.parametrize("syntax", [*RAW, *ENCODERS], ids=lambda syntax: syntax.keyword)
def test_every_lossless_form_gives_the_same_picture(tmp_path, stored, syntax):
    make = compressed if syntax in ENCODERS else uncompressed
    made = through_a_file(make(described(stored), syntax, stored), tmp_path)
    assert made.file_meta.TransferSyntaxUID == syntax
    assert digest(made) == digest(described(stored))


def signed(stored):
    values = (stored.astype(np.int32) - 2048).astype(np.int16)
    return described(values, WindowCenter=2100 - 2048, PixelRepresentation=1)


def quadrupled(stored):
    """Count in 14 bits, a window that maps four steps as one was mapped before (PS3.3 C.11.2.1.2.1)."""
    return described(stored * 4, BitsStored=14, HighBit=13, WindowCenter=4 * 2100 - 1.5, WindowWidth=9997)


def rescaled(stored):
    return described(
        stored, RescaleSlope=0.5, RescaleIntercept=-7, WindowCenter=0.5 * 2099.5 - 7 + 0.5, WindowWidth=1250.5
    )


def modality_table(stored):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "US"
    table.LUTData = [2 * value + 5 for value in range(4096)]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    window = {"WindowCenter": 2 * 2099.5 + 5.5, "WindowWidth": 2 * 2499 + 1}
    return described(stored, ModalityLUTSequence=[table], **window)


SAME = {
    "monochrome1": lambda stored: described(
        4095 - stored, PhotometricInterpretation="MONOCHROME1", WindowCenter=4096 - 2100
    ),
    "monochrome1-and-inverse": lambda stored: described(
        4095 - stored,
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
        WindowCenter=4096 - 2100,
    ),
    "inverse": lambda stored: described(
        4095 - stored, PresentationLUTShape="INVERSE", WindowCenter=4096 - 2100
    ),
    "identity": lambda stored: described(stored, PresentationLUTShape="IDENTITY"),
    "14-bits-said": lambda stored: described(stored, BitsStored=14, HighBit=13),
    "14-bits-used": quadrupled,
    "junk-in-the-high-bits": lambda stored: described(stored | np.uint16(0xA000)),
    "junk-in-the-low-bits": lambda stored: described(stored << 4 | 5, BitsStored=12, HighBit=15),
    "signed": signed,
    "rescaled": rescaled,
    "modality-table": modality_table,
    "exact": lambda stored: described(
        stored, VOILUTFunction="LINEAR_EXACT", WindowCenter=2099.5, WindowWidth=2499
    ),
    "function-left-out": lambda stored: described(stored, VOILUTFunction=""),
    "first-of-several-windows": lambda stored: described(
        stored, WindowCenter=[2100, 1000], WindowWidth=[2500, 500]
    ),
    "icons-and-overlays": lambda stored: with_icon_and_overlay(described(stored)),
}


def with_icon_and_overlay(made):
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.BitsAllocated = icon.BitsStored = 8
    icon.PixelData = bytes(range(64))
    made.IconImageSequence = [icon]
    made.add_new(0x60000010, "US", 9000)  # rows, columns and origin: far out of bounds
    made.add_new(0x60000011, "US", 9000)
    made.add_new(0x60000050, "SS", [-500, 4000])
    made.add_new(0x60003000, "OW", b"\xff" * 100)
    return made


@pytest.mark.parametrize("form", SAME)
def test_every_description_of_the_same_greys_gives_the_same_picture(tmp_path, stored, form):
    assert digest(through_a_file(SAME[form](stored), tmp_path)) == digest(described(stored))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("centre", [2048, 2100, 1999.5])
def test_inversion_falls_to_the_same_side_of_every_tie(dicom, function, centre):
    shown = dicom(WindowCenter=centre, WindowWidth=2500, VOILUTFunction=function)
    mirrored = (4096 if function == "LINEAR" else 4095) - centre
    inverse = dicom(
        WindowCenter=mirrored,
        WindowWidth=2500,
        VOILUTFunction=function,
        PhotometricInterpretation="MONOCHROME1",
    )
    assert np.array_equal(grey_table(inverse, 0)[0][:4096][::-1], grey_table(shown, 0)[0][:4096])


def test_a_sigmoid_is_steeper_in_the_middle_and_clips_nothing(stored):
    sigmoid = grey_table(described(stored, VOILUTFunction="SIGMOID"), 0)[0][:4096].astype(int)
    linear = grey_table(described(stored), 0)[0][:4096].astype(int)
    assert abs(sigmoid[2100] - 32768) < 10
    assert (np.diff(sigmoid) >= 0).all()
    assert sigmoid[0] > 0 == linear[0]
    assert sigmoid[4095] < 65535 == linear[4095]
    shown = picture(described(stored, VOILUTFunction="SIGMOID"))
    assert digest(described(stored, VOILUTFunction="SIGMOID")) != digest(described(stored))
    assert shown.image_HW.max() < 65535


def test_without_a_window_the_recipe_decides(stored):
    bare = described(stored, WindowCenter=None, WindowWidth=None)
    whole = described(stored, WindowCenter=2048, WindowWidth=4096)
    assert picture(bare).measures["no-window"] == (1.0,)
    assert np.array_equal(picture(bare, fallback="stored-range").image_HW, picture(whole).image_HW)
    stretched = picture(bare, fallback="breast-range").image_HW
    assert picture(bare, fallback="breast-range").measures["no-window"] == (0.0,)
    assert stretched.max() == 65535
    lit = stretched > 0
    assert 0 < (stretched[lit] == 65535).mean() < 0.01


def test_a_voi_table_stands_in_for_the_window(stored):
    values = np.clip((np.arange(4096) - 2099.5) / 2499 + 0.5, 0, 1)
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.rint(np.round(values, 12) * 65535).astype(int).tolist()
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    made = described(stored, WindowCenter=1, WindowWidth=1, VOILUTSequence=[table])
    assert digest(made) == digest(described(stored))


def test_the_real_files_own_table_and_window_agree(real):
    dicom = read(real / GE)
    by_table, found = grey_table(dicom, 0)
    del dicom.VOILUTSequence
    by_window, _ = grey_table(dicom, 0)
    assert found
    assert np.abs(by_table.astype(int) - by_window)[31:4096].max() < 2 * 16  # 2 of 4095
    assert (by_table[:31] == 0).all(), "what is padded is black"


def test_padding_is_black_in_both_polarities_and_nothing_else_changes(stored):
    shown = np.clip(stored, 40, 4000)
    padded = shown.copy()
    padded[:300, :100] = 4
    window = {"WindowCenter": 1500, "WindowWidth": 4000}  # would show the padding as grey
    plain = described(padded, PixelPaddingValue=0, PixelPaddingRangeLimit=30, **window)
    inverse = described(
        4095 - padded,
        PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=4095,
        PixelPaddingRangeLimit=4065,
        **{**window, "WindowCenter": 4096 - 1500},
    )
    assert digest(inverse) == digest(plain)
    table, _ = grey_table(plain, 0)
    unpadded, _ = grey_table(described(padded, **window), 0)
    assert (table[:31] == 0).all()
    assert (unpadded[:31] > 0).all()
    assert np.array_equal(table[31:4096], unpadded[31:4096])


def test_half_resolution_differs_little_and_keeps_the_scale(tmp_path, stored):
    made = through_a_file(compressed(described(stored), uid.JPEG2000Lossless, stored), tmp_path)
    whole, half = picture(made), picture(made, jpeg2000_reduce=1)
    difference = (whole.image_HW.astype(int) - half.image_HW) / 16
    assert half.placing.scale == pytest.approx(whole.placing.scale, rel=2e-3)
    assert 0 < np.sqrt(np.square(difference).mean()) < 12
    full = (1280, 1024)  # half would be smaller than that
    whole, half = (take(made, "MLO", "R", Pixels(jpeg2000_reduce=reduce), full) for reduce in (0, 1))
    assert np.array_equal(whole.image_HW, half.image_HW)


def test_a_broken_table_is_a_reason(stored):
    with pytest.raises(UnreadableError, match=r"^broken-window$"):
        picture(described(stored, ModalityLUTSequence=[Dataset()]))


@pytest.mark.parametrize("width", [0, -5])
def test_without_a_window_that_makes_sense_the_recipe_decides(stored, width):
    taken = picture(described(stored, WindowWidth=width))
    assert taken.measures["no-window"] == (1,)
    assert taken.flags == ("odd-window",)
    assert picture(described(stored, WindowWidth=width), fallback="stored-range").measures["no-window"] == (
        0,
    )
