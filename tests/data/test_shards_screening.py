import pytest
from pydicom.dataset import Dataset

from mammogan.config.screening import Screening
from mammogan.config.source import Source
from mammogan.data import header
from mammogan.data.screening import HEADER_RULES, screen_header


def modifier(value):
    item = Dataset()
    item.CodeValue = value
    return [item]


# One edit of a good mammogram for each rule, and the tags of real exports that made the rule.
REFUSED = [
    ("modality", {"Modality": "RG"}),
    ("modality", {"Modality": None}),
    ("no-pixel-data", {"PixelData": None}),
    ("tomosynthesis", {"NumberOfFrames": 4}),
    ("tomosynthesis", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}),
    ("tomosynthesis", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]}),
    ("synthetic-2d", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}),
    ("synthetic-2d", {"SeriesDescription": "L CC C-View"}),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO", "LEFT"]}),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "POSTFIRE_PLUS"]}),
    ("stereo-or-biopsy", {"DetectorMode": "STEREO"}),
    ("refused-word", {"StudyDescription": "STEREOTACTIC BREAST BIOPSY LEFT W SPECIMEN AND CLIP"}),
    ("contrast", {"ImageType": ["DERIVED", "PRIMARY", "", "", "SUBTRACTION"]}),
    ("contrast", {"ContrastBolusAgent": "Iohexol"}),
    ("quality-control", {"QualityControlImage": "YES"}),
    ("for-processing", {"PresentationIntentType": "FOR PROCESSING"}),
    ("sop-class", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    ("intent", {"PresentationIntentType": None}),
    ("colour", {"SamplesPerPixel": 3}),
    ("view-unknown", {"ViewPosition": None}),
    ("view-other", {"ViewPosition": "XCCL"}),
    ("laterality-unknown", {"ImageLaterality": "B"}),
    ("spot-or-magnification", {"PaddleDescription": "9CM SPOT CONTACT"}),
    ("spot-or-magnification", {"EstimatedRadiographicMagnificationFactor": "1.8"}),
    ("spot-or-magnification", {"ViewModifierCodeSequence": modifier("R-102D7")}),
    ("view-modifier", {"ViewModifierCodeSequence": modifier("R-102D5")}),
    ("view-modifier", {"ViewModifierCodeSequence": modifier("unheard-of")}),
    ("partial-view", {"PartialView": "YES"}),
    ("implant", {"BreastImplantPresent": "YES"}),
    ("burned-in", {"BurnedInAnnotation": "YES"}),
    ("frame-size", {"Rows": 100}),
    ("patient-unknown", {"PatientID": ""}),
    ("no-instance-uid", {"SOPInstanceUID": None}),
]
STRICT = Screening(smallest_px=(320, 256), only_flag=())


def test_every_rule_of_the_header_has_an_example():
    assert {reason for reason, _ in REFUSED} == set(HEADER_RULES)


@pytest.mark.parametrize(("reason", "tags"), REFUSED)
def test_a_rule_of_the_header_refuses_its_example(dicom, reason, tags):
    facts = header._facts(dicom(**tags), Source(), has_pixels="PixelData" not in tags)
    assert screen_header(facts, STRICT)[0] == reason


def test_a_good_mammogram_passes(dicom):
    assert screen_header(header._facts(dicom(), Source(), has_pixels=True), STRICT) == ("", ())


def test_low_energy_contrast_images_pass(dicom):
    made = dicom(ContrastBolusAgent="Iohexol", ImageType=["ORIGINAL", "PRIMARY", "", "", "LOW_ENERGY"])
    assert screen_header(header._facts(made, Source(), has_pixels=True), STRICT)[0] == ""


def test_a_recipe_can_let_modifiers_and_synthetic_images_pass(dicom):
    made = dicom(ViewModifierCodeSequence=modifier("R-102D5"), SeriesDescription="C-View")
    screening = STRICT.model_copy(update={"view_modifiers": ("implant-displaced",), "synthetic_2d": True})
    assert screen_header(header._facts(made, Source(), has_pixels=True), screening)[0] == ""


def test_a_rule_can_be_asked_to_flag_only(dicom):
    facts = header._facts(dicom(PartialView="YES"), Source(), has_pixels=True)
    flagging = STRICT.model_copy(update={"only_flag": ("partial-view",)})
    assert screen_header(facts, flagging) == ("", ("partial-view",))
