import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from mammogan.data.dicom.header import UnreadableError
from mammogan.data.preprocess.voi_lut import grey_table, odd_window

STORED = np.arange(4096)


def grey(made, voi_index=0):
    """Grey, 0 to 1, of the stored values 0 .. 4095."""
    return grey_table(made, voi_index)[0][:4096] / 65535


def table(values, bits=12, first=0):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.LUTData = [int(value) for value in values]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_the_standard(dicom, function):
    made = dicom(WindowCenter=2600, WindowWidth=900, VOILUTFunction=function)
    expected = apply_windowing(STORED.astype(np.int16), made) / 4095
    assert np.allclose(grey(made), expected, atol=1e-5)


def test_a_sigmoid_taken_for_linear_would_be_seen(dicom):
    sigmoid = grey(dicom(WindowCenter=2653, WindowWidth=900, VOILUTFunction="SIGMOID"))
    linear = grey(dicom(WindowCenter=2653, WindowWidth=900))
    assert sigmoid[2100] > 0.05
    assert linear[2100] == 0


def test_the_voi_table_goes_before_the_window_and_the_index_chooses(dicom):
    tables = [table(4095 - STORED), table(STORED // 2)]
    made = dicom(VOILUTSequence=tables, WindowCenter=1, WindowWidth=1)
    assert np.allclose(grey(made), (4095 - STORED) / 4095, atol=1e-5)
    assert np.allclose(grey(made, voi_index=1), (STORED // 2) / 4095, atol=1e-5)
    assert np.allclose(grey(made, voi_index=7), grey(made, voi_index=1))


def test_rescaling_goes_before_the_window(dicom):
    plain = grey(dicom(WindowCenter=2000, WindowWidth=1000))
    rescaled = dicom(
        WindowCenter=4100, WindowWidth=1999, RescaleSlope=2, RescaleIntercept=100, RescaleType="US"
    )
    assert np.allclose(grey(rescaled), plain, atol=1e-3)


def test_monochrome1_gives_the_picture_of_monochrome2_and_is_inverted_once(dicom):
    shown = grey(dicom(WindowCenter=2048, WindowWidth=4096))
    for shape in ("INVERSE", "IDENTITY"):
        inverse = dicom(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=shape)
        assert np.allclose(grey(inverse)[::-1], shown, atol=1 / 4095)


def test_padding_is_black_whatever_the_polarity(dicom):
    padding = {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 3050}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        shown = grey(dicom(PhotometricInterpretation=photometric, **padding))
        assert (shown[3000:3051] == 0).all()
        assert shown[2999] > 0
        assert shown[3051] > 0


def test_junk_above_the_stored_bits_is_masked(dicom):
    whole, _ = grey_table(dicom(), 0)
    assert np.array_equal(whole[4096:8192], whole[:4096])


def test_negative_stored_values_are_read_as_such(dicom):
    signed = dicom(np.zeros((8, 8), np.int16), WindowCenter=0, WindowWidth=4096)
    whole, _ = grey_table(signed, 0)
    by_value = [whole[np.array(v, np.int16).view(np.uint16)] for v in (-2048, -1000, 0, 1000, 2047)]
    assert by_value == sorted(by_value)
    assert by_value[0] == 0
    assert by_value[-1] == 65535


def test_without_a_window_the_whole_stored_range_is_shown(dicom):
    made = dicom(WindowCenter=None, WindowWidth=None)
    assert np.allclose(grey(made), STORED / 4095, atol=1e-5)
    assert not grey_table(made, 0)[1]


def window(dicom, centre, width, **tags):
    """Make a file with a window as text, however senseless."""
    made = dicom(WindowCenter=None, WindowWidth=None, **tags)
    for keyword, value in (("WindowCenter", centre), ("WindowWidth", width)):
        if value is not None:
            made.add_new(keyword, "LO", value)
    return made


STANDARD = np.clip((STORED - 2599.5) / 899 + 0.5, 0, 1)


@pytest.mark.parametrize(
    ("centre", "width"),
    [
        (["", "2600"], ["", "900"]),
        (["", "2600"], ["400", "900"]),
        (["2048", "2600"], ["", "900"]),
        (["2600", ""], ["900", ""]),
        (["0", "2600"], ["0", "900"]),
        (["2048", "2600"], ["-4096", "900"]),
        (["NaN", "2600"], ["4096", "900"]),
        (["2048", "2600"], ["inf", "900"]),
        (["2048", "2600"], ["0.5", "900"]),
        (["x", "2600"], ["y", "900"]),
        ("2600", ["900", "400"]),
        (["2600", "2048"], "900"),
    ],
)
def test_a_window_that_makes_no_sense_is_passed_over_for_the_next(dicom, centre, width):
    made = window(dicom, centre, width)
    assert np.allclose(grey(made), STANDARD, atol=1e-5)
    assert grey_table(made, 0)[1]
    first = (centre if isinstance(centre, str) else centre[0], width if isinstance(width, str) else width[0])
    assert odd_window(made, 0) == (first != ("2600", "900"))


@pytest.mark.parametrize(
    ("centre", "width"),
    [
        ("0", "0"), ("2048", "0"), ("2048", "-5"), ("", ""), ("2048", None), (None, "4096"),
        (["", ""], ["", ""]), ("NaN", "NaN"), ("2048", "0.5"), ("abc", "4096"),
    ],
)  # fmt: skip
def test_without_any_window_the_recipes_fallback_decides_and_that_is_told(dicom, centre, width):
    made = window(dicom, centre, width)
    assert not grey_table(made, 0)[1]
    assert np.allclose(grey(made), STORED / 4095, atol=1e-5)
    stated = [value for value in (centre, width) if value]
    assert odd_window(made, 0) == bool(stated)


def test_a_window_that_is_only_explained_is_none(dicom):
    made = window(dicom, None, None, WindowCenterWidthExplanation="NORMAL")
    assert not grey_table(made, 0)[1]
    assert odd_window(made, 0)
    assert not odd_window(window(dicom, None, None), 0)


def test_an_index_beyond_the_usable_windows_takes_the_last_of_them(dicom):
    made = window(dicom, ["1000", "2600", ""], ["300", "900", ""])
    assert np.allclose(grey(made, voi_index=2), STANDARD, atol=1e-5)
    assert np.allclose(grey(made, voi_index=9), STANDARD, atol=1e-5)
    assert odd_window(made, 9)
    assert not odd_window(made, 1)


@pytest.mark.parametrize("text", ["2600,0", " 2600 ", "2.6e3", "+2600"])
def test_numbers_are_read_as_viewers_read_them(dicom, text):
    made = window(dicom, text, "900")
    assert np.allclose(grey(made), STANDARD, atol=1e-5)
    assert odd_window(made, 0) == ("," in text)  # dcmtk stops at a comma, fo-dicom takes it for a point


@pytest.mark.parametrize(
    ("slope", "centre", "width"),
    [(1 / 4095, 0.5, 1.0), (1 / 4095, 0.4565, 0.913), (2e-7, 4e-4, 8e-4), (-1 / 4095, -0.5, 1.0)],
)
def test_narrow_windows_of_values_that_lie_close_are_exact(dicom, slope, centre, width):
    made = dicom(RescaleSlope=f"{slope:.9g}", RescaleIntercept="0", WindowCenter=centre, WindowWidth=width)
    assert np.allclose(grey(made), np.clip((STORED * slope - centre) / width + 0.5, 0, 1), atol=1e-3)
    assert grey(made)[[0, 4095]].tolist() != [0, 0]
    assert not odd_window(made, 0)


def test_a_window_narrower_than_a_step_of_the_values_makes_no_sense(dicom):
    made = dicom(RescaleSlope="0.25", RescaleIntercept="0", WindowCenter="100", WindowWidth="0.1")
    assert not grey_table(made, 0)[1]
    assert odd_window(made, 0)


def test_a_linear_window_of_width_one_is_a_threshold(dicom):
    shown = grey(dicom(WindowCenter="127.5", WindowWidth="1"))
    assert shown[:128].tolist() == [0] * 128  # 127 is c - 0.5, and still black: PS3.3 C.11.2.1.2.1
    assert shown[128:].tolist() == [1] * (4096 - 128)


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID", "sigmoid"])
def test_other_functions_may_be_narrower_than_one(dicom, function):
    made = dicom(WindowCenter=2048, WindowWidth=0.5, VOILUTFunction=function)
    shown = grey(made)
    assert shown[[2047, 2048, 2049]] == pytest.approx([0, 0.5, 1], abs=1e-3)
    assert not odd_window(made, 0)


@pytest.mark.parametrize("function", ["LOG", "SIGMOIDAL", ["LINEAR", "SIGMOID"], ["SIGMOID", "SIGMOID"]])
def test_a_function_that_nobody_knows_is_not_taken_for_linear(dicom, function):
    with pytest.raises(UnreadableError, match="broken-window"):
        grey(dicom(VOILUTFunction=function))


@pytest.mark.parametrize("function", ["", " ", "LINEAR", "linear", None])
def test_no_function_is_linear(dicom, function):
    made = dicom(WindowCenter=2600, WindowWidth=900)
    if function is not None:
        made.VOILUTFunction = function
    assert np.allclose(grey(made), STANDARD, atol=1e-5)


def test_a_table_makes_the_function_of_the_window_irrelevant(dicom):
    made = dicom(VOILUTSequence=[table(4095 - STORED)], VOILUTFunction="LOG")
    assert np.allclose(grey(made), (4095 - STORED) / 4095, atol=1e-5)


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [("", "0"), ("1", ""), ("", ""), ("0", "0"), ("NaN", "0"), ("1", "x"), ("abc", "0")],
)
def test_a_rescaling_that_makes_no_sense_is_left_out_and_that_is_told(dicom, slope, intercept):
    made = dicom(WindowCenter=2600, WindowWidth=900)
    made.add_new("RescaleSlope", "LO", slope)
    made.add_new("RescaleIntercept", "LO", intercept)
    assert np.allclose(grey(made), STANDARD, atol=1e-5)
    assert odd_window(made, 0)


def test_an_empty_item_among_the_tables_is_passed_over(dicom):
    tables = [Dataset(), table(4095 - STORED)]
    made = dicom(VOILUTSequence=tables, WindowCenter=1, WindowWidth=1)
    assert np.allclose(grey(made), (4095 - STORED) / 4095, atol=1e-5)
    assert odd_window(made, 0)
    assert not odd_window(made, 1)


def test_tables_that_are_all_empty_leave_the_window(dicom):
    made = dicom(VOILUTSequence=[Dataset()], WindowCenter=2600, WindowWidth=900)
    assert np.allclose(grey(made), STANDARD, atol=1e-5)
    assert odd_window(made, 0)
    assert not odd_window(dicom(VOILUTSequence=[], WindowCenter=2600, WindowWidth=900), 0)


def voi_table(values, declared, vr="US", word="<u2"):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), 0, declared])
    item.add_new("LUTData", vr, values.tolist() if vr == "US" else values.astype(word).tobytes())
    return item


RAMP = np.arange(4096)


@pytest.mark.parametrize(
    ("values", "declared", "vr", "word"),
    [
        (RAMP, 16, "US", ""),  # the words' width in the place of the depth: nearly black
        (RAMP, 16, "OW", "<u2"),
        (RAMP >> 2, 16, "US", ""),
        (RAMP * 4, 16, "OW", "<u2"),
        (RAMP, 8, "US", ""),  # all white above 255
        (RAMP * 16, 8, "OW", "<u2"),
        (RAMP * 16, 12, "US", ""),
        (RAMP >> 4, 16, "OW", "u1"),  # entries of a byte
        (RAMP >> 4, 8, "OW", "u1"),
        (RAMP >> 4, 8, "OW", "<u2"),
        (RAMP, 12, "US", ""),  # and the right descriptors
        (RAMP * 16, 16, "US", ""),
        (np.minimum(RAMP + 1, 4096), 12, "US", ""),
    ],
)
def test_the_entries_of_a_table_say_how_deep_they_are(dicom, values, declared, vr, word):
    made = dicom(VOILUTSequence=[voi_table(values, declared, vr, word)])
    table, found = grey_table(made, 0)
    assert found
    assert np.abs(table[:4096] / 65535 - STORED / 4095).max() < 1 / 200


@pytest.mark.parametrize("greatest", [2047, 1500, 3000])
def test_a_table_that_stays_dim_is_dim(dicom, greatest):
    made = dicom(VOILUTSequence=[voi_table(RAMP * greatest // 4095, 12)])
    assert grey_table(made, 0)[0][4095] == pytest.approx(65535 * greatest / 4095, abs=1)


@pytest.mark.parametrize("declared", [0, 7, 17, 4096])
def test_a_table_of_no_depth_that_there_is_is_broken(dicom, declared):
    with pytest.raises(UnreadableError, match=r"^broken-window$"):
        grey_table(dicom(VOILUTSequence=[voi_table(RAMP, declared)]), 0)


def test_a_table_that_ends_early_is_broken_and_one_of_zeros_is_black(dicom):
    short = voi_table(RAMP, 12)
    short.LUTDescriptor = [4097, 0, 12]
    with pytest.raises(UnreadableError, match=r"^broken-window$"):
        grey_table(dicom(VOILUTSequence=[short]), 0)
    assert not grey_table(dicom(VOILUTSequence=[voi_table(RAMP * 0, 12)]), 0)[0].any()
