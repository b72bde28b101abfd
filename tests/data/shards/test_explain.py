"""Why one file is in a set or not, and what would change it: each answer is tried, not believed."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import HeaderRefusal
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header
from mammogan.data.screening.pixel_rules import PIXEL_RULES
from mammogan.data.shards import looser_settings
from mammogan.data.shards.archive import Archive
from mammogan.data.shards.explain import explain_file, find_file
from mammogan.data.shards.outcomes import Comparison, examples, find
from mammogan.data.shards.reasons import meaning
from mammogan.data.shards.shard_plan import plan
from mammogan.data.store import private_folder
from mammogan.errors import DataError
from tests.data.conftest import half_disc

SMALL = ("packing.top_px=[10,8]", "packing.samples_per_shard=4")
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def explained(tmp_path, saved, dicom):
    """Explain a mammogram with these tags and pixels by the recipe `phantom` with these settings."""

    def explain(*settings, pixels=None, **tags):
        path = saved(dicom(pixels, **tags), tmp_path / "a.dcm")
        return explain_file(path, load_recipe("phantom", [*SMALL, *settings]), workers=0)

    return explain


@pytest.mark.parametrize(
    ("rule", "tags", "seen", "key"),
    [
        ("modality", {"Modality": "DX"}, {"Modality": "DX"}, "modalities"),
        ("intent", {"PresentationIntentType": "RESEARCH"}, {"PresentationIntentType": "RESEARCH"}, "intents"),
        ("secondary-capture", {"SOPClassUID": SECONDARY}, {"SOPClassUID": SECONDARY}, "sop_classes"),
        (
            "spot-or-magnification",
            {"EstimatedRadiographicMagnificationFactor": "1.53"},
            {"EstimatedRadiographicMagnificationFactor": "1.53"},
            "max_magnification",
        ),
        (
            "refused-word",
            {"StudyDescription": "Stereotactic biopsy"},
            {"StudyDescription": "Stereotactic biopsy"},
            "refused_words",
        ),
        ("phantom-or-qc", {"PatientName": "Test^A"}, {"PatientName": "Test^A"}, "qc_words"),
        ("frame-size", {}, {"Rows": "512", "Columns": "400"}, "smallest_px"),
    ],
)
def test_a_rule_of_the_header_shows_its_tags_its_setting_and_what_would_change_it(
    explained, rule, tags, seen, key
):
    more = ["screening.smallest_px=[600,500]"] if rule == "frame-size" else []
    found = explained(*more, **tags)
    asked = next(one for one in found.header if one.rule == rule)
    assert found.reason == rule
    assert seen.items() <= asked.value.items()
    assert key in asked.threshold
    assert asked.changes[0].startswith(f"screening.{key}=")
    changed = explained(*more, *asked.changes, **tags)
    assert rule not in [one.rule for one in changed.header]


@pytest.mark.parametrize(
    ("rule", "setting", "pixels"),
    [
        ("breast-area", "screening.breast_area=[0.6,0.85]", half_disc()),
        ("half-decoded", "screening.repeated_rows=0.001", np.repeat(half_disc(256), 2, axis=0)),
        ("paddle", "screening.paddle_length=0.0", half_disc()),
    ],
)
def test_a_rule_of_the_pixels_shows_its_measure_beside_its_threshold(explained, rule, setting, pixels):
    found = explained(setting, "screening.smallest_px=[100,100]", pixels=pixels)
    asked = next(one for one in found.pixels if one.rule == rule)
    assert asked.says == "refuses"
    assert asked.value.keys() == asked.threshold.keys() == {*PIXEL_RULES[rule].thresholds}
    assert [one.rule for one in found.pixels] == [*PIXEL_RULES]
    changed = explained("screening.smallest_px=[100,100]", *asked.changes, pixels=pixels)
    assert next(one for one in changed.pixels if one.rule == rule).says == "nothing"
    marked = explained(setting, "screening.smallest_px=[100,100]", asked.flagging, pixels=pixels)
    assert next(one for one in marked.pixels if one.rule == rule).says == "flags"


def test_each_origin_of_a_fact_is_shown_with_what_it_says(explained):
    found = explained(ViewPosition="MLO", SeriesDescription="R CC", Laterality="L")
    view, side, patient = found.facts
    assert (view.value, side.value, patient.value) == ("MLO", "L", "patient-1")
    assert ("ViewPosition", "MLO", "MLO") in view.origins
    assert ("text:SeriesDescription", "R CC", "CC") in view.origins
    assert ("text:SeriesDescription", "R CC", "R") in side.origins
    assert {asked.rule for asked in found.header} >= {"view-conflict", "laterality-conflict"}


def test_a_good_file_is_accepted_and_needs_no_change(explained):
    found = explained()
    assert (found.outcome, found.reason, found.header, found.accept) == ("accepted", "", (), "")
    assert all(asked.says == "nothing" for asked in found.pixels)


def test_the_line_for_the_accept_list_lets_the_file_pass(explained, tmp_path, saved, dicom):
    tags = {"BreastImplantPresent": "YES", "PartialView": "YES", "SOPInstanceUID": "1.2.3"}
    found = explained(**tags)
    assert found.accept == "1.2.3: partial-view, implant"
    (tmp_path / "accept.txt").write_text(found.accept)
    recipe = load_recipe("phantom", [*SMALL, f"source.accept_list={tmp_path / 'accept.txt'}"])
    again = explain_file(tmp_path / "a.dcm", recipe, str(tmp_path), workers=0)
    assert again.outcome == "accepted"
    assert {asked.says for asked in again.header} == {"accepted"}
    assert again.listed == (("accept_list", "1.2.3"),)


def test_what_no_setting_changes_has_no_line_for_the_list(explained):
    found = explained(PatientID="")
    assert (found.reason, found.accept) == ("patient-unknown", "")
    assert found.header[0].changes == ()


def test_files_that_are_damaged_say_where_they_end(tmp_path, saved, dicom, explained):
    recipe = load_recipe("phantom", SMALL)
    (tmp_path / "b.dcm").write_bytes(b"no mammogram" * 50)
    assert explain_file(tmp_path / "b.dcm", recipe, workers=0).unreadable == "not-dicom"
    path = saved(dicom(), tmp_path / "c.dcm")
    path.write_bytes(path.read_bytes()[:-1000])
    found = explain_file(path, recipe, workers=0)
    assert (found.outcome, found.unreadable, found.facts[0].value) == ("unreadable", "truncated", "CC")
    with pytest.raises(DataError, match=r"no file '.*nowhere\.dcm'"):
        explain_file(tmp_path / "nowhere.dcm", recipe)


def test_every_setting_of_a_header_rule_has_a_way_out_or_is_a_list_of_words():
    screening = Screening()
    for rule in HEADER_RULES.values():
        for key in rule.keys:
            assert key in looser_settings.LOOSER or isinstance(getattr(screening, key), tuple), key


def test_every_reason_has_a_meaning():
    assert all(map(meaning, (*HEADER_RULES, *PIXEL_RULES, "duplicate", "same-woman", "truncated")))


@pytest.fixture
def shardset(tmp_path, saved, dicom):
    for number, tags in enumerate(({}, {"BreastImplantPresent": "YES"}, {"PartialView": "YES"}, {})):
        saved(
            dicom(SOPInstanceUID=f"1.2.{number}", PatientID=f"w{number}", **tags),
            tmp_path / "files" / f"{number}.dcm",
        )
    (tmp_path / "files" / "note.txt").write_text("x")
    plan(tmp_path / "set", [(load_recipe("phantom", SMALL), tmp_path / "files")], workers=0)
    return tmp_path / "set"


@pytest.mark.parametrize("form", ["1.2.1", "{files}/1.dcm", "1.dcm", "{key}", "{short}"])
def test_a_file_is_found_by_uid_path_or_key(shardset, form):
    files = shardset.with_name("files")
    key = examples(shardset)[0, "refused", "implant"]
    found = find_file(shardset, form.format(files=files, key=key, short=key[:8]))
    assert [one.path for one in found] == [files / "1.dcm"]
    assert found[0].lines[0]["reason"] == "implant"
    assert found[0].lines[0]["value"]["BreastImplantPresent"] == "YES"


def test_a_file_that_came_after_the_plan_is_explained_and_a_strange_one_is_not(shardset, saved, dicom):
    new = saved(dicom(), shardset.with_name("files") / "new.dcm")
    assert find_file(shardset, str(new))[0].lines == []
    with pytest.raises(DataError, match=r"knows no file '9\.9'"):
        find_file(shardset, "9.9")


def test_an_unreadable_file_has_a_key_too(shardset):
    key = examples(shardset)[0, "unreadable", "text-file"]
    assert find(shardset, key)[0]["path"].endswith("note.txt")


def test_two_plans_are_compared_by_file(shardset, saved, dicom):
    before = Comparison(shardset)
    files = shardset.with_name("files")
    (files / "3.dcm").unlink()
    saved(dicom(), files / "9.dcm")
    only = ["burned-in", "view-conflict", "laterality-conflict", "partial-view"]
    settings = [*SMALL, f"screening.only_flag={only}", 'screening.modalities=["MG","CT"]']
    plan(shardset, [(load_recipe("phantom", settings), files)], workers=0)
    changes = before.changes(shardset)
    told = {(one.was, one.was_reason, one.outcome, one.reason): one.files for one in changes}
    assert told == {
        ("refused", "partial-view", "accepted", ""): 1,
        ("accepted", "", "", ""): 1,
        ("", "", "accepted", ""): 1,
    }
    example = next(one.example for one in changes if one.was_reason == "partial-view")
    assert find(shardset, example)[0]["path"].endswith("2.dcm")


def test_the_private_ledger_of_a_plan_has_uid_value_and_threshold(shardset):
    lines = list(private_folder.read_lines(private_folder.folder(shardset) / "refused.jsonl"))
    refused = next(line for line in lines if line["reason"] == "partial-view")
    assert (refused["uid"], refused["value"]["PartialView"]) == ("1.2.2", "YES")
    assert refused["threshold"] == {}


def test_settings_are_rounded_past_the_measure(tmp_path, saved, dicom):
    screening = Screening()
    measures = {"implant-like": (0.123456,), "breast-area": (0.0123,)}
    assert looser_settings.for_pixels("implant-like", measures, screening) == ["screening.implant_area=0.13"]
    assert looser_settings.for_pixels("breast-area", measures, screening) == [
        "screening.breast_area=[0.012, 0.85]"
    ]
    assert looser_settings.flagging("modality", screening) == ""
    assert shlex.split(looser_settings.flagging("metal", screening))


def test_a_modifier_that_no_setting_knows_is_not_suggested(tmp_path, saved, dicom):
    path = saved(dicom(), tmp_path / "a.dcm")
    header = replace(
        Archive(load_recipe("phantom").source, tmp_path, None).header(path), modifiers=("other",)
    )
    assert screen_header(header, Screening(smallest_px=(1, 1)))[0] == "view-modifier"
    assert looser_settings.for_header("view-modifier", header, Screening()) == []


def test_a_recipes_own_refusal_shows_tag_and_pattern_and_a_list_overrides_it(tmp_path, saved, dicom):
    path = saved(dicom(StationName="MG03"), tmp_path / "a.dcm")
    recipe = load_recipe("phantom", SMALL)
    rule = HeaderRefusal(reason="old-unit", keyword="StationName", matches="^MG0")
    source = recipe.source.model_copy(update={"refuse": (rule,)})
    found = explain_file(path, recipe.model_copy(update={"source": source}), workers=0)
    assert (found.outcome, found.reason) == ("refused", "old-unit")
    asked = next(one for one in found.header if one.rule == "old-unit")
    assert (asked.value, asked.threshold) == ({"StationName": "MG03"}, {"StationName": "^MG0"})
    assert found.accept.endswith(": old-unit")


@pytest.mark.parametrize(
    ("rule", "measured", "change"),
    [
        ("too-dark", 0.2345, "screening.too_dark=0.23"),
        ("too-bright", 0.9123, "screening.too_bright=0.92"),
        ("few-greys", 5.0, "screening.few_greys=5"),
    ],
)
def test_thresholds_are_moved_to_the_side_on_which_the_image_passes(rule, measured, change):
    assert looser_settings.for_pixels(rule, {rule: (measured,)}, Screening()) == [change]
