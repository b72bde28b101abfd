"""The table of words, what rules saw in a header, and what a recipe adds to both."""

import tomllib
from typing import get_args

import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.screening_settings import Modifier, Screening
from mammogan.config.settings import validate
from mammogan.config.source_settings import Source
from mammogan.data.dicom.fields import Origins, check
from mammogan.data.dicom.header import DESCRIPTIONS, facts
from mammogan.data.dicom.vocabulary import normalised, spelt_out
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header
from mammogan.data.screening.header_words import QC, REFUSED
from mammogan.data.screening.words import KINDS, USUAL, _table, meanings, words
from mammogan.errors import ConfigError
from tests.data.conftest import make_dicom
from tests.data.screening.test_header_cases import SMALL, header, item


def judged(edit, **screening):
    """Give reason and flags under the defaults and these settings."""
    return screen_header(header(edit), SMALL.model_copy(update=screening))


def refusing(edit, *rules):
    """Give reasons and flags of a recipe's own rules."""
    made = make_dicom(np.zeros((8, 8), np.uint16))
    for keyword, value in edit.items():
        setattr(made, keyword, value)
    source = validate(Source, {"refuse": list(rules)}, "recipe.toml")
    check(source)
    found = facts(made, Origins(source, made, "a.dcm"), has_pixels=True)
    return screen_header(found, SMALL)


def test_the_table_is_sound():
    assert set(KINDS) == set(DESCRIPTIONS)
    for group in _table()["words"]:
        assert {*group.get("asked", USUAL)} <= {*KINDS.values()}
        for language in group.keys() - {"meaning", "asked"}:
            assert len(language) == 2
            plain = [p.replace(" ...", "").replace("|", "x").replace("*", "x") for p in group[language]]
            assert [phrase for phrase in plain if normalised(phrase) != phrase] == []
    assert {*get_args(Modifier), *REFUSED, *QC} <= {*meanings(), "axillary-tissue"}
    assert {*REFUSED} == {*Screening().refused_words}


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("L MLO ID", "l mlo implant displaced"),
        ("lmloid", "l mlo implant displaced"),
        ("RCCSpot", "r cc spot compression"),
        ("R_SMLO", "r mlo spot compression"),
        ("L CC RL 2", "l cc rolled 2"),
        ("MLO at 45 degrees", "mlo at 45 degrees"),
        ("Médio-latérale oblique, gauche", "mlo gauche"),
        ("Vergrößerung", "vergrosserung"),
        ("XCCL", "xccl"),
        ("", ""),
    ],
)
def test_what_is_glued_to_a_view_is_spelt_out(text, spelt):
    assert spelt_out(text) == spelt


def test_a_denial_concerns_only_what_it_denies():
    found = words((("SeriesDescription", "no implant, spot view"),))
    assert [word.meaning for word in found] == ["spot-compression"]


@pytest.mark.parametrize(
    ("rule", "edit", "seen"),
    [
        ("implant", {"ProtocolName": "IMPLANT ROUTINE"}, "'implant' in ProtocolName"),
        ("spot-or-magnification", {"PaddleDescription": "9CM SPOT"}, "'spot' in PaddleDescription"),
        ("view-modifier", {"SeriesDescription": "LMLOID"}, "'implant displaced' in SeriesDescription"),
        ("refused-word", {"StudyDescription": "Core BX"}, "'core bx' in StudyDescription"),
        ("phantom-or-qc", {"PatientName": "ACR^PHANTOM"}, "'phantom' in PatientName"),
        ("synthetic-2d", {"SeriesDescription": "C_VIEW"}, "'c view' in SeriesDescription"),
        ("contrast", {"StudyDescription": "CESM"}, "'cesm' in StudyDescription"),
        ("implant", {}, ""),
        ("modality", {"SeriesDescription": "IMPLANT"}, ""),
    ],
)
def test_a_rule_says_which_word_it_saw_where(rule, edit, seen):
    assert HEADER_RULES[rule].saw(header(edit), SMALL) == seen


def test_every_attribute_that_a_rule_on_words_asks_is_named():
    for name, rule in HEADER_RULES.items():
        for keyword in DESCRIPTIONS:
            text = {"refused-word": "biopsy", "contrast": "cesm", "tomosynthesis": "dbt"}.get(name, "spot")
            if rule.saw(header({keyword: text}), SMALL):
                assert keyword in rule.attributes


@pytest.mark.parametrize(
    ("edit", "settings", "reason"),
    [
        ({"StudyDescription": "Needle biopsy"}, {"refused_words": ()}, ""),
        ({"StudyDescription": "Needle biopsy"}, {"refused_words": ("wire",)}, ""),
        ({"StudyDescription": "Drahtmarkierung"}, {"refused_words": ("wire",)}, "refused-word"),
        ({"StudyDescription": "Wireless"}, {"refused_words": ("wire",)}, ""),
        ({"StudyDescription": "Gynäkomastie"}, {"refused_words": ("gynako",)}, "refused-word"),
        ({"StudyDescription": "prefixes-first"}, {"refused_words": ("fixes_f",)}, "refused-word"),
        ({"StudyDescription": "Weekly QC"}, {"qc_words": ("phantom",)}, ""),
        ({"PatientName": "Dummy^One"}, {"qc_words": ("dummy",)}, "phantom-or-qc"),
        ({"PatientName": "TEST^TEST"}, {"qc_words": ()}, ""),
        ({"SeriesDescription": "L MLO ID"}, {"view_modifiers": ("implant-displaced",)}, ""),
        ({"SeriesDescription": "L MLO MAG"}, {"view_modifiers": ("magnification",)}, ""),
        ({"SeriesDescription": "L MLO C-View"}, {"synthetic_2d": True}, ""),
        ({"SeriesDescription": "L MLO Tomosynthesis 2D"}, {"synthetic_2d": True}, ""),
        ({"StudyDescription": "Tan implant clinic"}, {"overlooked_words": ("Implant Clinic",)}, ""),
        ({"StudyDescription": "Tan implant"}, {"overlooked_words": ("Implant Clinic",)}, "implant"),
        ({"StudyDescription": "Biopark"}, {"refused_words": ("bio",), "overlooked_words": ("biopark",)}, ""),
        ({"SeriesDescription": "L MLO burned in"}, {"only_flag": ()}, "burned-in"),
    ],
)
def test_recipes_choose_and_add_words(edit, settings, reason):
    assert judged(edit, **settings)[0] == reason


MALE = {"reason": "male", "keyword": "PatientSex", "values": ["M"]}
TRIAL = {"reason": "trial", "keyword": "ImageType", "values": ["trial"]}
STATION = {"reason": "old-unit", "keyword": "StationName", "matches": "^MG0[1-7]$"}
NESTED = {"reason": "local", "keyword": "ViewCodeSequence.CodeMeaning", "matches": "(?i)scout"}


@pytest.mark.parametrize(
    ("edit", "rule", "reason"),
    [
        ({"PatientSex": "M"}, MALE, "male"),
        ({"PatientSex": "m"}, MALE, "male"),
        ({"PatientSex": "F"}, MALE, ""),
        ({}, MALE, ""),
        ({}, MALE | {"values": ["M", ""]}, "male"),
        ({"PatientSex": "O"}, MALE | {"values": ["*"]}, "male"),
        ({}, MALE | {"values": ["*"]}, ""),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "TRIAL"]}, TRIAL, "trial"),
        ({"StationName": "MG07"}, STATION, "old-unit"),
        ({"StationName": "MG08"}, STATION, ""),
        ({"ViewCodeSequence": [item({"CodeMeaning": "Scout"})]}, NESTED, "local"),
        ({"ViewCodeSequence": [item({"CodeMeaning": "cc"})]}, NESTED, ""),
        ({"ViewCodeSequence": []}, NESTED, ""),
    ],
)  # fmt: skip
def test_a_recipe_refuses_by_any_attribute(edit, rule, reason):
    assert refusing(edit, rule)[0] == reason


def test_a_recipes_rule_may_only_flag_and_comes_after_the_rules_of_the_header():
    assert refusing({"PatientSex": "M"}, MALE | {"only_flag": True}) == ("", ("male",))
    assert refusing({"PatientSex": "M", "BreastImplantPresent": "YES"}, MALE)[0] == "implant"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            MALE | {"keyword": "PatientSexx"},
            "'PatientSexx' names no DICOM attribute. Did you mean 'PatientSex'",
        ),
        (MALE | {"keyword": "0010,0040"}, "named by its DICOM keyword"),
        (MALE | {"matches": "M"}, "needs either values or matches"),
        ({"reason": "male", "keyword": "PatientSex"}, "needs either values or matches"),
        ({"reason": "male", "keyword": "PatientSex", "matches": "("}, "not a regular expression"),
        (MALE | {"reason": "No Men"}, "small letters"),
    ],
)
def test_a_wrong_rule_of_a_recipe_is_explained(rule, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        refusing({}, rule)


def test_recipes_of_before_are_the_same_settings():
    for name in ("folder", "embed", "rsna"):
        tree = load_recipe(name).model_dump(mode="json")
        assert "refuse" not in tree["source"]
        assert "overlooked_words" not in tree["screening"]
    text = '[[refuse]]\nreason = "male"\nkeyword = "PatientSex"\nvalues = ["M"]\n'
    assert validate(Source, tomllib.loads(text), "x").model_dump()["refuse"][0]["values"] == ("M",)
