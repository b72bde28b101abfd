"""Headers as archives hold them, and what an expert of mammography would do with each."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import Source
from mammogan.data.dicom.fields import Origins
from mammogan.data.dicom.header import facts
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header
from tests.data.conftest import make_dicom

FOLDER = Path(__file__).parent
SMALL = Screening(smallest_px=(8, 8), largest_px=(9999, 9999))


def lines(name):
    """Give the lines of a table, without comments."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


CASES = [(expected, json.loads(edit)) for expected, edit in lines("header_cases.tsv")]
INNOCENT = lines("innocent_descriptions.txt")


def item(tags):
    made = Dataset()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def header(edit):
    """Read the facts of a clean left MLO after an edit; texts are taken as they are, numbers or not."""
    made = make_dicom(np.zeros((8, 8), np.uint16))
    made.StudyDescription, made.SeriesDescription = "Mammography bilateral", "L MLO"
    made.PatientName, made.ViewPosition, made.PaddleDescription = "Ash^Ida", "MLO", "24CM SCREENING"
    made.ImageType, made.BreastImplantPresent = ["DERIVED", "PRIMARY"], "NO"
    made.ViewCodeSequence = [item({"CodeValue": "R-10226", "CodingSchemeDesignator": "SNM3"})]
    for keyword, value in edit.items():
        if keyword in made:
            del made[keyword]
        if isinstance(value, list) and all(isinstance(part, dict) for part in value):
            setattr(made, keyword, [item(part) for part in value])
        elif keyword in ("EstimatedRadiographicMagnificationFactor", "FieldOfViewDimensions"):
            made.add_new(keyword, "LO", value)
        elif value is not None:
            setattr(made, keyword, value)
    return facts(made, Origins(Source(), made, "a.dcm"), has_pixels=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("expected", "edit"), CASES, ids=str)
def test_a_header_is_judged_as_an_expert_would(expected, edit):
    reason, flags = screen_header(header(edit), SMALL)
    flag = expected.removeprefix("-") if expected.startswith("-") else ""
    assert reason == ("" if expected.startswith("-") else expected)
    assert flag in flags if flag else not {"unreadable-number", "burned-in"} & {*flags}


@pytest.mark.parametrize(("keyword", "text"), INNOCENT, ids=lambda part: part)
def test_a_plain_description_refuses_nothing(keyword, text):
    found = header({keyword: text})
    assert screen_header(found, SMALL)[0] == ""
    assert [rule.saw(found, SMALL) for rule in HEADER_RULES.values() if rule.saw(found, SMALL)] == []


def test_the_tables_hold_controls_of_every_kind():
    assert sum(expected.startswith("-") for expected, _ in CASES) > 60
    assert len(INNOCENT) > 80
