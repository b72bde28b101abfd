import io
from typing import get_args

import numpy as np
import pydicom
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.screening_settings import PixelFlag, Screening
from mammogan.data.phantom import header_edits
from mammogan.data.phantom.defects import DEFECTS, Defect, make_defect, make_defective
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.pixel_rules import PIXEL_RULES, PixelRule, screen_pixels
from tests.bench import rules
from tests.data.conftest import half_disc

STRICT = Screening(smallest_px=(320, 256), only_flag=())
GOOD = {
    "no-window": (0.0,),
    "constant-image": (0.0,),
    "few-greys": (500.0,),
    "too-dark": (0.7,),
    "too-bright": (0.5,),
    "half-decoded": (0.03, 0.0),
    "breast-area": (0.3,),
    "orientation": (-9.5,),
    "orientation-conflict": (-0.7, -0.4, -0.6, -0.3, -0.1),
    "paddle": (0.18,),
    "implant-like": (0.03,),
    "foreign-body": (0.0,),
    "metal": (0.0,),
}


@pytest.mark.parametrize(
    ("reason", "measured"),
    [
        ("no-window", (1.0,)),
        ("constant-image", (1.0,)),
        ("few-greys", (2.0,)),
        ("too-dark", (0.2,)),
        ("too-bright", (0.95,)),
        ("orientation-conflict", (-0.7, -0.4, 0.3, -0.3, -0.1)),
        ("half-decoded", (0.4, 0.0)),
        ("half-decoded", (0.0, 0.1)),
        ("breast-area", (0.01,)),
        ("breast-area", (0.95,)),
        ("orientation", (9.5,)),
        ("implant-like", (0.2,)),
        ("foreign-body", (0.05,)),
        ("paddle", (0.4,)),
        ("metal", (0.03,)),
    ],
)
def test_a_rule_of_the_pixels_refuses_its_example(reason, measured):
    assert screen_pixels({**GOOD, reason: measured}, STRICT)[0] == reason
    assert screen_pixels(GOOD, STRICT) == ("", ())


def test_a_rule_is_one_row_of_the_table(monkeypatch, dicom):
    """Measured, compared with its threshold, named as the reason, and only a flag where a recipe says so."""
    row = PixelRule(lambda p: (float(p.frame_HW.mean()),), "mean grey", "too bright", ("paddle_length",))
    monkeypatch.setitem(PIXEL_RULES, "throw-away", row)
    made = take(dicom(half_disc()), "CC", "L", load_recipe("phantom").pixels, (160, 128))
    assert screen_pixels(made.measures, STRICT)[0] == "throw-away"
    only_flag = STRICT.model_copy(update={"only_flag": ("throw-away",)})
    assert screen_pixels(made.measures, only_flag) == ("", ("throw-away",))


def test_pictures_without_breast_or_the_wrong_way_round_are_refused(dicom):
    pixels = load_recipe("phantom").pixels

    def reason(made, laterality="L"):
        return screen_pixels(take(made, "CC", laterality, pixels, (160, 128)).measures, STRICT)[0]

    assert reason(dicom()) == ""
    assert reason(dicom(WindowCenter=None)) == "no-window"
    assert reason(dicom(), laterality="R") == "orientation"
    assert reason(dicom(np.full((512, 400), 700, np.uint16))) == "constant-image"
    speck = np.zeros((512, 400), np.uint16)
    speck[200:230, :30] = np.arange(900).reshape(30, 30) + 2000
    assert reason(dicom(speck)) == "breast-area"


# What the pixels of a phantom say, by what its truth calls the trouble.
SEEN = {
    "implant": {"implant-like"},
    "foreign_body": {"foreign-body", "metal"},
    "paddle": {"paddle", "half-decoded"},  # a shutter along the rows is a break between rows
    "wrong_side": {"orientation"},
    "half_decoded": {"half-decoded"},
    "accept": {""},
}
UNSEEN = {"implant_tagged", "implicit_little_endian", "byte_copy", "same_uid"}


def reason_of(made):
    pixels = load_recipe("phantom").pixels
    dicom = pydicom.dcmread(io.BytesIO(made.data))
    picture = take(dicom, made.truth["view"], made.truth["laterality"], pixels, (1280, 1024))
    return screen_pixels(picture.measures, STRICT)[0]


@pytest.mark.parametrize(
    "number",
    [n for n, defect in enumerate(DEFECTS) if defect.expected in SEEN and defect.kind not in UNSEEN],
    ids=lambda number: DEFECTS[number].kind,
)
def test_a_phantom_is_refused_for_what_its_pixels_show_and_for_nothing_else(number):
    for made in make_defect(0, number, frame_scale=0.25):
        assert reason_of(made) in SEEN[DEFECTS[number].expected]


GREYS = {
    "twelve bits in a window of sixteen": ("too-dark", header_edits.windowed(4)),
    "twelve bits in a window of fourteen": ("too-dark", header_edits.windowed(2)),
    "a window below all tissue": ("too-bright", header_edits.windowed(-3)),
    "a lesion's mask": ("few-greys", header_edits.outlined),
    "a breast's outline": ("few-greys", lambda ds, pixels: ((pixels > 0) * 4095).astype(np.uint16)),
    "eight greys": ("few-greys", lambda ds, pixels: pixels >> (ds.BitsStored - 3) << (ds.BitsStored - 3)),
    "eight bits": ("", lambda ds, pixels: pixels >> (ds.BitsStored - 8) << (ds.BitsStored - 8)),
    "the whole range": ("", header_edits.windowed(0)),
}


@pytest.mark.parametrize("name", GREYS)
@pytest.mark.parametrize(("patient", "view"), [(0, "CC"), (1, "MLO")])
def test_pictures_nearly_black_nearly_white_or_of_few_greys_are_refused(name, patient, view):
    reason, edit = GREYS[name]
    for made in make_defective(Defect(name, views=(("L", view),), edit=edit), 1, patient, 0.125):
        assert reason_of(made) == reason


@pytest.mark.parametrize("stuck", [False, True])
def test_a_row_that_repeats_to_the_end_is_told_from_an_even_one(dicom, stuck):
    pixels = half_disc()
    if stuck:
        pixels[260:] = pixels[260]
    measures = take(dicom(pixels), "CC", "L", load_recipe("phantom").pixels, (320, 256)).measures
    assert (measures["half-decoded"][1] > 0.4) is stuck


def test_what_lies_outside_the_breast_is_no_metal(dicom):
    pixels = half_disc(1280, 1000)
    lead = pixels.copy()
    lead[40:80, 880:960] = 4095
    clip = pixels.copy()
    clip[600:604, 200:230] = 4095
    found = [
        take(dicom(picture), "CC", "L", load_recipe("phantom").pixels, (1280, 1024)).measures["metal"][0]
        for picture in (pixels, lead, clip)
    ]
    assert found[:2] == [0, 0]
    assert found[2] == pytest.approx(30 / 1280, rel=0.2)


@pytest.mark.parametrize("turn_deg", [0, 3, 20])
def test_a_straight_edge_counts_along_the_frame_and_not_aslant(dicom, turn_deg):
    pixels = half_disc(640, 500)
    y, x = np.mgrid[:640, :500]
    beyond = (y - 330) * np.cos(np.deg2rad(turn_deg)) - (x - 100) * np.sin(np.deg2rad(turn_deg)) > 0
    pixels[beyond] += 700
    found = take(dicom(pixels), "CC", "L", load_recipe("phantom").pixels, (640, 512)).measures["paddle"][0]
    assert (found > 0.5) is (turn_deg < 5)


def test_every_rule_of_the_pixels_is_explained_has_its_thresholds_and_can_be_asked_to_flag_only():
    asked = set(PIXEL_RULES) - {"no-window"}  # that one is a choice of [pixels] fallback
    assert asked == set(get_args(PixelFlag))
    page = rules.PAGE.read_text(encoding="utf-8")
    for name, rule in PIXEL_RULES.items():
        assert f"| `{name}` |" in page
        assert rule.reason and rule.unit
        assert set(rule.thresholds) <= set(Screening.model_fields)


def test_the_interval_of_a_share_is_wilsons():
    assert rules.of(50, 50) == "50 of 50 (92.9-100.0 %)"
    assert rules.of(3, 300) == "3 of 300 (0.3-2.9 %)"
