"""Lists that a steward writes: what a line may name, what it overrides, and which lines matched nothing."""

import json

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.screening.header_rules import HEADER_RULES
from mammogan.data.shards.build_set import build
from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.image_lists import entries, overridable
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import load_plan
from mammogan.errors import DataError

SMALL = ("packing.top_px=[10,8]", "packing.samples_per_shard=4")


@pytest.fixture
def files(tmp_path, saved, dicom):
    """Save four mammograms in two folders; two are refused by their headers."""
    for number, tags in enumerate(({}, {"BreastImplantPresent": "YES"}, {"PartialView": "YES"}, {})):
        made = dicom(
            PatientID=f"w{number}", SOPInstanceUID=f"1.2.{number}", AccessionNumber=f"A{number}", **tags
        )
        made.PixelData = bytes(number + 1) + made.PixelData[number + 1 :]
        saved(made, tmp_path / "files" / f"p {number // 2}" / f"{number}.dcm")
    return tmp_path / "files"


def planned(tmp_path, files, name, *lines):
    (tmp_path / "list.txt").write_text("".join(f"{line}\n" for line in lines))
    recipe = load_recipe("phantom", [*SMALL, f"source.{name}={tmp_path / 'list.txt'}"])
    made = plan(tmp_path / "set", [(recipe, files)], workers=0)
    names = [
        line["path"].rpartition("/")[2][:1]
        for shard in made.shards
        for line in planned_lines(tmp_path / "set", shard)
    ]
    return made, sorted(names)


@pytest.mark.parametrize("form", ["1.2.0", "A0", "p 0/0.dcm", "./p 0/0.dcm", "{files}/p 0/0.dcm", "p 0/"])
def test_a_line_names_an_image_by_uid_accession_or_path(tmp_path, files, form):
    made, names = planned(tmp_path, files, "exclude_list", form.format(files=files))
    assert names == ["3"]
    assert [(found.entries, found.matched) for found in made.lists] == [(1, 1)]


def test_lines_that_match_nothing_are_counted_and_named_in_the_private_folder(tmp_path, files):
    made, names = planned(
        tmp_path, files, "include_list", "# ours", "1.2.0", "A3", "1.2.9", "p 0/9.dcm", "p 0"
    )
    assert names == ["0", "3"]
    assert [(found.name, found.entries, found.matched) for found in made.lists] == [("include_list", 5, 2)]
    left = private_folder.read_lines(private_folder.folder(tmp_path / "set") / "unmatched.jsonl")
    assert [line["entry"] for line in left] == ["1.2.9", "p 0", "p 0/9.dcm"]
    assert "1.2.9" not in (tmp_path / "set" / "plan.json").read_text()


def test_a_line_that_names_a_damaged_file_by_its_path_has_matched(tmp_path, files):
    (files / "broken.dcm").write_bytes(b"x" * 2000)
    made, _ = planned(tmp_path, files, "exclude_list", "broken.dcm")
    assert made.lists[0].matched == 1


@pytest.mark.parametrize(
    ("line", "names", "flags"),
    [
        ("1.2.1: implant", ["0", "1", "3"], {"implant": 1, "accept-list": 1}),
        ("p 0/1.dcm: implant, metal", ["0", "1", "3"], {"implant": 1, "accept-list": 1}),
        ("A2: partial-view", ["0", "2", "3"], {"partial-view": 1, "accept-list": 1}),
        ("1.2.1: partial-view", ["0", "3"], {}),
        ("1.2.0: implant", ["0", "3"], {}),
    ],
)
def test_a_line_of_the_accept_list_overrides_its_rules_for_its_image_alone(
    tmp_path, files, line, names, flags
):
    made, found = planned(tmp_path, files, "accept_list", line)
    assert found == names
    assert made.flags == flags


def test_a_rule_of_the_pixels_is_overridden_at_the_build_and_recorded(tmp_path, files):
    settings = ["screening.breast_area=[0.0,0.01]", *SMALL]
    wanted = [
        (load_recipe("phantom", [*settings, *more]), files) for more in ([], accepting(tmp_path, "1.2.0"))
    ]
    with pytest.raises(DataError, match="2 breast-area"):
        plan(tmp_path / "none", wanted[:1], workers=0) and build(tmp_path / "none", workers=0)
    first = load_plan(tmp_path / "none").identity
    private_folder.secret_key(tmp_path / "none")
    key = private_folder.folder(tmp_path / "none") / "key"
    made = plan(tmp_path / "set", wanted[1:], key_file=key, workers=0)
    assert made.identity != first, "the list decides about bytes"
    built = build(tmp_path / "set", workers=0)
    assert (built.images, built.flags) == (1, {"accept-list": 1, "breast-area": 1})
    lines = list(private_folder.read_lines(private_folder.folder(tmp_path / "set") / "ledger.jsonl"))
    refused = next(line for line in lines if line["reason"] == "breast-area")
    assert refused["uid"] == "1.2.3"
    assert refused["value"]["breast_area"] > 0.01
    assert refused["threshold"] == {"breast_area": [0.0, 0.01]}
    assert "accept-list" in json.dumps(ShardSet(tmp_path / "set").manifest.flags)


def accepting(tmp_path, uid):
    (tmp_path / "accept.txt").write_text(f"{uid}: breast-area")
    return [f"source.accept_list={tmp_path / 'accept.txt'}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.2.1", r"line 2, names no rule.*'1\.2\.840\.1: implant-like, metal'"),
        ("1.2.1: implnt", "line 2: no list overrides 'implnt'. Did you mean 'implant'"),
        ("1.2.1: view-other", "no list overrides 'view-other'"),
        ("1.2.1: duplicate", "no list overrides 'duplicate'"),
    ],
)
def test_a_line_that_overrides_nothing_is_refused_before_anything_is_read(tmp_path, files, line, message):
    with pytest.raises(DataError, match=message):
        planned(tmp_path, files, "accept_list", "# by Anna", line)
    assert not (tmp_path / "set").exists()


def test_what_is_needed_of_a_picture_can_not_be_overridden():
    source = load_recipe("phantom").source
    assert {"view-unknown", "laterality-unknown", "patient-unknown"} <= {*HEADER_RULES} - {
        *overridable(source)
    }
    assert "post-surgical" not in overridable(source)


def test_a_list_that_was_edited_is_read_again(tmp_path, files):
    _, before = planned(tmp_path, files, "exclude_list", "1.2.0")
    _, after = planned(tmp_path, files, "exclude_list", "1.2.3")
    assert (before, after) == (["3"], ["0"])


def test_entries_are_read_without_comments_and_spaces(tmp_path):
    (tmp_path / "list.txt").write_text("\ufeff# head\n\n  1.2.3  \r\n")
    source = load_recipe("phantom", ["source.exclude_list=list.txt"]).source
    assert list(entries(source, tmp_path)) == [("exclude_list", "1.2.3", "")]
