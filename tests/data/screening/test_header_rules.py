from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import Source
from mammogan.data.dicom.fields import Origins
from mammogan.data.dicom.header import facts
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header


def coded(value, **more):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, "SNM3"
    for keyword, content in more.items():
        setattr(item, keyword, content)
    return [item]


def seen(made, has_pixels=True):
    return facts(made, Origins(Source(), made, "a.dcm"), has_pixels=has_pixels)


# One edit of a good mammogram for each rule, and the tags of real exports that made the rule.
REFUSED = [
    ("modality", {"Modality": "RG"}),
    ("modality", {"Modality": None}),
    ("no-pixel-data", {"PixelData": None}),
    ("tomosynthesis", {"NumberOfFrames": 4}),
    ("tomosynthesis", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}),
    ("tomosynthesis", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]}),
    ("synthetic-data", {"SyntheticData": "YES"}),
    ("synthetic-data", {"ImageType": ["DERIVED", "SECONDARY", "", "GAN_SYNTHETIC"]}),
    ("synthetic-2d", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}),
    ("synthetic-2d", {"SeriesDescription": "L CC C-View"}),
    ("synthetic-2d", {"SeriesDescription": "R MLO S-View"}),
    (
        "synthetic-2d",
        {"ManufacturerModelName": "FDR-3000AWS", "ImageType": ["DERIVED", "PRIMARY"]},
    ),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO", "LEFT"]}),
    ("stereo-or-biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "POSTFIRE_PLUS"]}),
    ("stereo-or-biopsy", {"DetectorMode": "STEREO"}),
    ("specimen", {"ViewCodeSequence": coded("G-8310")}),
    ("refused-word", {"StudyDescription": "STEREOTACTIC BREAST BIOPSY LEFT W SPECIMEN AND CLIP"}),
    ("contrast", {"ImageType": ["DERIVED", "PRIMARY", "", "", "SUBTRACTION"]}),
    ("contrast", {"ContrastBolusAgent": "Iohexol"}),
    ("quality-control", {"QualityControlImage": "YES"}),
    ("phantom-or-qc", {"PatientName": "PHANTOM^ACR"}),
    ("phantom-or-qc", {"PatientID": "QC 2021"}),
    ("phantom-or-qc", {"StudyDescription": "Weekly quality control"}),
    ("for-processing", {"PresentationIntentType": "FOR PROCESSING"}),
    ("secondary-capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    ("sop-class", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"}),
    ("intent", {"PresentationIntentType": "FOR TEACHING"}),
    ("colour", {"SamplesPerPixel": 3}),
    ("view-unknown", {"ViewPosition": None}),
    ("view-other", {"ViewPosition": "XCCL"}),
    ("view-other", {"ViewPosition": "LMLO ML"}),
    ("view-conflict", {"ViewPosition": "CC", "ViewCodeSequence": coded("R-10226")}),
    ("view-conflict", {"SeriesDescription": "L MLO"}),
    ("laterality-conflict", {"Laterality": "R"}),
    ("laterality-conflict", {"ViewPosition": "RCC"}),
    ("laterality-unknown", {"ImageLaterality": "B"}),
    ("spot-or-magnification", {"PaddleDescription": "9CM SPOT CONTACT"}),
    ("spot-or-magnification", {"SeriesDescription": "L CC MAG"}),
    ("spot-or-magnification", {"ViewPosition": "CCM"}),
    ("small-field", {"FieldOfViewDimensions": [67, 112]}),
    ("small-field", {"FieldOfViewDimensions": 90}),
    ("spot-or-magnification", {"EstimatedRadiographicMagnificationFactor": "1.8"}),
    ("spot-or-magnification", {"ViewModifierCodeSequence": coded("R-102D7")}),
    ("view-modifier", {"ViewModifierCodeSequence": coded("R-102D5")}),
    ("view-modifier", {"ViewModifierCodeSequence": coded("unheard-of")}),
    ("view-modifier", {"ViewPosition": "MLOID"}),
    ("partial-view", {"PartialView": "YES"}),
    ("partial-view", {"PartialViewCodeSequence": coded("399013002")}),
    ("implant", {"BreastImplantPresent": "YES"}),
    ("burned-in", {"BurnedInAnnotation": "YES"}),
    ("frame-size", {"Rows": 100}),
    ("patient-unknown", {"PatientID": ""}),
    ("no-instance-uid", {"SOPInstanceUID": None}),
]
STRICT = Screening(smallest_px=(320, 256), smallest_field_mm=(150, 180), only_flag=())


def test_every_rule_of_the_header_has_an_example():
    assert {reason for reason, _ in REFUSED} == set(HEADER_RULES)


@pytest.mark.parametrize(("reason", "tags"), REFUSED)
def test_a_rule_of_the_header_refuses_its_example(dicom, reason, tags):
    facts = seen(dicom(**tags), has_pixels="PixelData" not in tags)
    assert screen_header(facts, STRICT)[0] == reason


def test_a_good_mammogram_passes(dicom):
    assert screen_header(seen(dicom()), STRICT) == ("", ())


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientID": "Mass-Test_P_00820_LEFT_CC"},
        {"PatientName": "Testa^Maria", "StudyDescription": "Mammography, latest contest"},
        {"SeriesDescription": "L CC image spotless"},
        {"FieldOfViewDimensions": [240, 180]},
        {"ManufacturerModelName": "FDR-3000AWS", "ImageType": ["ORIGINAL", "PRIMARY"]},
        {"ViewCodeSequence": coded("R-10242"), "Laterality": "L", "SeriesDescription": "L-CC"},
        {"ConversionType": "WSD"},
    ],
)
def test_what_only_resembles_an_example_passes(dicom, tags):
    assert screen_header(seen(dicom(**tags)), STRICT) == ("", ())


def test_conflicts_flag_by_default(dicom):
    found = seen(dicom(SeriesDescription="R MLO"))
    lenient = Screening(smallest_px=(320, 256))
    assert screen_header(found, lenient) == ("", ("view-conflict", "laterality-conflict"))


def test_reasons_and_flags_of_tables_come_after_the_rules(dicom):
    found = replace(seen(dicom()), refused=("post-surgical",), flags=("clips",))
    assert screen_header(found, STRICT) == ("post-surgical", ("clips",))
    assert screen_header(replace(found, implant=True), STRICT)[0] == "implant"


def test_low_energy_contrast_images_pass(dicom):
    made = dicom(ContrastBolusAgent="Iohexol", ImageType=["ORIGINAL", "PRIMARY", "", "", "LOW_ENERGY"])
    assert screen_header(seen(made), STRICT)[0] == ""


def test_a_recipe_can_let_modifiers_and_synthetic_images_pass(dicom):
    made = dicom(ViewModifierCodeSequence=coded("R-102D5"), SeriesDescription="C-View")
    screening = STRICT.model_copy(update={"view_modifiers": ("implant-displaced",), "synthetic_2d": True})
    assert screen_header(seen(made), screening)[0] == ""


def test_a_rule_can_be_asked_to_flag_only(dicom):
    facts = seen(dicom(PartialView="YES"), has_pixels=True)
    flagging = STRICT.model_copy(update={"only_flag": ("partial-view",)})
    assert screen_header(facts, flagging) == ("", ("partial-view",))
