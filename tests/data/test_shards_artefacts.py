import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.screening import Screening
from mammogan.data.artefacts import PIXEL_RULES, Measures, screen_pixels
from mammogan.data.picture import take

STRICT = Screening(smallest_px=(320, 256), only_flag=())
GOOD = Measures(
    constant=False, no_window=False, breast=0.3, saturated=0.0, smooth_bright=0.0, inner=10.0, outer=1.0
)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("no-window", {"no_window": True}),
        ("constant-image", {"constant": True}),
        ("breast-area", {"breast": 0.01}),
        ("breast-area", {"breast": 0.95}),
        ("orientation", {"inner": 1.0, "outer": 10.0}),
        ("implant-like", {"smooth_bright": 0.2}),
        ("saturated-body", {"saturated": 0.01}),
    ],
)
def test_a_rule_of_the_pixels_refuses_its_example(reason, change):
    assert reason in PIXEL_RULES
    assert screen_pixels(Measures(**{**vars(GOOD), **change}), STRICT)[0] == reason
    assert screen_pixels(GOOD, STRICT) == ("", ())


def test_pictures_without_breast_or_the_wrong_way_round_are_refused(dicom):
    pixels = load_recipe("phantom").pixels

    def reason(made, laterality="L"):
        return screen_pixels(take(made, "CC", laterality, pixels, (160, 128)).measures, STRICT)[0]

    assert reason(dicom()) == ""
    assert reason(dicom(WindowCenter=None)) == "no-window"
    assert reason(dicom(), laterality="R") == "orientation"
    assert reason(dicom(np.full((512, 400), 700, np.uint16))) == "constant-image"
    speck = np.zeros((512, 400), np.uint16)
    speck[200:230, :30] = 3000
    assert reason(dicom(speck)) == "breast-area"
