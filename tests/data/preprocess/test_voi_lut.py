import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from mammogan.data.dicom.header import UnreadableError
from mammogan.data.preprocess.voi_lut import grey_table

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


def test_a_window_without_width_is_refused(dicom):
    with pytest.raises(UnreadableError, match="broken-window"):
        grey(dicom(WindowWidth=0))


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
