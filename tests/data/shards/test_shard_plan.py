import json
import os
import random
import shutil
import stat
from collections import Counter

import cv2
import numpy as np
import pytest

from mammogan.config.dataset import Splits, load_recipe
from mammogan.data.shards import file_listing, header_catalogue
from mammogan.data.shards.build_set import build
from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.file_listing import list_files
from mammogan.data.shards.header_catalogue import read_headers
from mammogan.data.shards.patient_splits import splits_by_rank
from mammogan.data.shards.shard_plan import arrange, begin, plan
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import load_plan
from mammogan.errors import ConfigError, DataError
from tests.data.conftest import digests

# What the phantoms' truth calls the trouble, as the reasons of screening that may answer it.
FAMILIES = {
    "implant": {"implant", "implant-like"},
    "foreign_body": {"foreign-body", "metal"},
    "paddle": {"paddle", "half-decoded"},  # a shutter along the rows is a break between rows
    "wrong_side": {"orientation"},
    "half_decoded": {"half-decoded"},
    "intent": {"for-processing"},
    "modifier": {"spot-or-magnification"},
    "view": {"view-other"},
    "tomosynthesis": {"tomosynthesis"},
    "modality": {"modality"},
    "unreadable": {"truncated", "empty-file"},
    "not_dicom": {"not-dicom"},
    "duplicate": {"duplicate"},
    "accept": {""},
}


def test_every_phantom_ends_as_its_truth_says(tmp_path, cohort):
    plan(tmp_path / "set", [(load_recipe("phantom"), cohort)], workers=0)
    build(tmp_path / "set", workers=0)
    lines = (private_folder.folder(tmp_path / "set") / "ledger.jsonl").read_text().splitlines()
    ledger = map(json.loads, lines)
    reasons = {entry["path"]: entry["reason"] for entry in ledger}
    files = json.loads((cohort / "truth.json").read_text())["files"]
    wrong = []
    for file in files:
        reason = reasons[str(cohort / file["path"])]
        wrong += [] if reason in FAMILIES[file["expected"]] else [(file["kind"], file["expected"], reason)]
    # Of two copies either may be the one that is kept.
    assert not [row for row in wrong if row[0] not in ("byte_copy", "same_uid")]
    for kind in ("byte_copy", "same_uid"):
        ends = [reasons[str(cohort / file["path"])] for file in files if file["kind"] == kind]
        assert sorted(ends) == ["", "duplicate"]


def planned_images(shardset):
    plan = load_plan(shardset)
    return [(shard.split, line) for shard in plan.shards for line in planned_lines(shardset, shard)]


def test_every_file_has_one_outcome(planned, cohort):
    refused = list(private_folder.read_lines(private_folder.folder(planned) / "refused.jsonl"))
    paths = [line["path"] for line in refused] + [line["path"] for _, line in planned_images(planned)]
    assert sorted(paths) == sorted(str(path) for path in cohort.rglob("*") if path.is_file())
    assert {line["outcome"] for line in refused} == {"refused", "unreadable"}


def test_no_patient_is_in_two_splits(planned):
    splits = {(line["patient"], split) for split, line in planned_images(planned)}
    assert len(splits) == len({patient for patient, _ in splits})
    assert {split for _, split in splits} == {"train", "validation"}


def test_place_and_order_of_the_files_do_not_matter(tmp_path, cohort, recipe, key_file):
    moved = tmp_path / "moved"
    paths = sorted(path for path in cohort.rglob("*.dcm"))
    random.Random(0).shuffle(paths)
    for number, path in enumerate(paths):
        target = moved / str(number % 3) / f"{number}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first = plan(tmp_path / "a", [(recipe, cohort)], key_file=key_file, workers=0)
    second = plan(tmp_path / "b", [(recipe, moved)], key_file=key_file, workers=0)
    assert first.identity == second.identity
    assert first.shards == second.shards


def test_another_key_or_setting_gives_another_identity(tmp_path, cohort, recipe, key_file):
    first = plan(tmp_path / "a", [(recipe, cohort)], key_file=key_file, workers=0).identity
    again = plan(tmp_path / "a", [(recipe, cohort)], workers=0).identity  # the set's own key
    other_key = plan(tmp_path / "b", [(recipe, cohort)], workers=0).identity
    changed = recipe.model_copy(update={"pixels": recipe.pixels.model_copy(update={"voi_index": 1})})
    assert first == again
    assert (
        len(
            {
                first,
                other_key,
                plan(tmp_path / "c", [(changed, cohort)], key_file=key_file, workers=0).identity,
            }
        )
        == 3
    )


def test_sources_with_other_recipes_go_into_one_set(tmp_path, cohort, recipe, saved, dicom):
    ours = load_recipe("folder", ["packing.top_px=[160,128]", "packing.samples_per_shard=4"])
    ours = ours.model_copy(
        update={"screening": ours.screening.model_copy(update={"smallest_px": (320, 256)})}
    )
    saved(dicom(), tmp_path / "files" / "a.dcm")
    made = plan(tmp_path / "set", [(recipe, cohort), (ours, tmp_path / "files")], workers=0)
    assert [tally.recipe for tally in made.tallies] == ["phantom", "folder"]
    assert made.tallies[1].accepted == 1
    assert {line["sample"]["recipe"] for _, line in planned_images(tmp_path / "set")} == {0, 1}


def test_recipes_that_pack_differently_do_not_mix(tmp_path, cohort, recipe):
    with pytest.raises(ConfigError, match="agree on their table"):
        plan(tmp_path / "set", [(recipe, cohort), (load_recipe("folder"), cohort)], workers=0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, "0 files: the folder holds none"),
        ({"README.txt": b"no mammogram"}, "0 files: the folder holds none; beside them 1 text-file"),
        ({"README": b"no mammogram"}, "1 files: 1 unreadable: not-dicom"),
    ],
)
def test_a_folder_without_mammograms_is_refused_with_counts(tmp_path, recipe, content, expected):
    source = tmp_path / "files"
    source.mkdir()
    for name, data in content.items():
        (source / name).write_bytes(data)
    with pytest.raises(DataError, match=expected) as caught:
        plan(tmp_path / "set", [(recipe, source)], workers=0)
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_missing_folder_is_named(tmp_path, recipe):
    with pytest.raises(DataError, match=r"no folder '.*/nowhere'"):
        plan(tmp_path / "set", [(recipe, tmp_path / "nowhere")], workers=0)


@pytest.mark.parametrize(
    ("name", "twice", "message"),
    [
        ("files/set", False, "would lie inside its source '.*/files', and be read as a part of it"),
        ("files", False, "would lie inside its source"),
        ("set", True, "'.*/files' is given twice with --from"),
    ],
)
def test_a_set_inside_its_source_and_a_source_given_twice_are_refused_before_anything_is_written(
    tmp_path, recipe, name, twice, message
):
    (tmp_path / "files").mkdir()
    (tmp_path / "link").symlink_to("files")
    wanted = [(recipe, tmp_path / "files"), (recipe, tmp_path / "link")]
    with pytest.raises(DataError, match=message.replace("files' is", "link' is")):
        plan(tmp_path / name, wanted if twice else wanted[:1], workers=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "link"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            'screening.sop_classes=["DigitalMammographyXRayImageStorage"]',
            "is no SOP class. Did you mean",
        ),
        ('source.patient=["PatientIdd"]', "'PatientIdd' names no DICOM attribute. Did you mean 'PatientID'?"),
    ],
)
def test_what_dicom_does_not_know_is_refused_before_anything_is_written(tmp_path, override, message):
    (tmp_path / "files").mkdir()
    with pytest.raises(ConfigError, match=message):
        plan(tmp_path / "set", [(load_recipe("folder", [override]), tmp_path / "files")], workers=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]


def test_a_folder_that_can_not_be_listed_is_counted_and_stops_nothing(
    tmp_path, recipe, monkeypatch, saved, dicom
):
    (tmp_path / "files" / "closed").mkdir(parents=True)
    saved(dicom(), tmp_path / "files" / "a.dcm")

    def scandir(path, real=os.scandir):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    made = plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0)
    assert made.tallies[0].unreadable == {"folder-not-listed": 1}
    assert (made.tallies[0].files, made.tallies[0].accepted) == (2, 1)


def test_a_loop_of_links_ends(tmp_path, recipe, saved, dicom):
    saved(dicom(), tmp_path / "files" / "a.dcm")
    (tmp_path / "files" / "loop").symlink_to(tmp_path / "files")
    assert plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0).tallies[0].files == 1


def test_a_link_that_leads_nowhere_costs_nothing_but_itself(tmp_path, recipe, saved, dicom):
    files = tmp_path / "files"
    for name in ("a", "b", "c"):
        saved(dicom(), files / f"{name}.dcm")
    (files / "gone").symlink_to(files / "nowhere")
    (files / "self").symlink_to("self")
    tally = plan(tmp_path / "set", [(recipe, files)], workers=0).tallies[0]
    assert (tally.files, tally.unreadable) == (5, {"no-access": 2})


def test_what_links_to_patients_is_kept_apart_and_closed(planned):
    secret = private_folder.folder(planned)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o700
    for path in secret.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert sorted(path.name for path in planned.iterdir()) == ["plan.json"]


def test_a_built_set_is_not_planned_over(planned, cohort, recipe, key_file, tmp_path, saved, dicom):
    build(planned, workers=0)
    plan(planned, [(recipe, cohort)], key_file=key_file, workers=0)
    saved(dicom(), tmp_path / "files" / "a.dcm")
    with pytest.raises(DataError, match="holds shards of another plan"):
        plan(planned, [(recipe, tmp_path / "files")], workers=0)


@pytest.mark.parametrize("change", ["key", "recipe"])
def test_a_set_of_which_shards_are_missing_is_finished_by_its_own_key_and_recipe_only(
    planned, cohort, recipe, key_file, tmp_path, change
):
    build(planned, workers=0)
    before = digests(planned)
    for path in planned.glob("*/train-00000.*"):
        path.unlink()
    (tmp_path / "other").write_text("ef" * 32)
    key = tmp_path / "other" if change == "key" else key_file
    if change == "recipe":
        recipe = recipe.model_copy(update={"pixels": recipe.pixels.model_copy(update={"voi_index": 1})})
    with pytest.raises(DataError, match="holds shards of another plan"):
        plan(planned, [(recipe, cohort)], key_file=key, workers=0)
    build(planned, workers=0)
    assert digests(planned) == before


def test_a_set_without_its_key_asks_for_it_before_it_reads_anything(planned, cohort, recipe, tmp_path):
    build(planned, workers=0)
    private_folder.folder(planned).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"private/key' is missing: .* Put the private folder back beside"):
        plan(planned, [(recipe, cohort)], workers=0)
    assert not private_folder.folder(planned).exists()


def test_images_of_one_name_in_two_folders_are_two_images(tmp_path, recipe):
    picture = np.random.default_rng(0).integers(0, 200, (1300, 1100), np.uint8)
    wanted = []
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "P1_L_CC.png"), picture + np.uint8(number))
        wanted.append((load_recipe("images"), tmp_path / folder))
    made = plan(tmp_path / "set", wanted, workers=0)
    assert [(tally.accepted, tally.refused) for tally in made.tallies] == [(1, {}), (1, {})]


def test_a_missing_table_is_named_before_anything_is_written(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text("accession,side\n")
    table = 'source.tables=[{file="a.csv", match={accession="AccessionNumber", sde="laterality"}}]'
    for override, message in (
        (table, "has no column 'sde'.*Did you mean 'side'"),
        ('source.exclude_list="gone.txt"', "gone.txt', named by the recipe's source.exclude_list"),
    ):
        with pytest.raises(DataError, match=message):
            plan(tmp_path / "set", [(load_recipe("folder", [override]), tmp_path / "files")], workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_key_file_without_key_is_refused(tmp_path, cohort, recipe):
    (tmp_path / "key").write_text("secret")
    with pytest.raises(DataError, match="32 or more hexadecimal digits"):
        plan(tmp_path / "set", [(recipe, cohort)], key_file=tmp_path / "key", workers=0)


@pytest.mark.parametrize(
    ("patients", "sizes"),
    [(0, {}), (1, {"train": 1}), (2, {"train": 1, "validation": 1}), (10, {"train": 8, "validation": 2})],
)
def test_patients_are_cut_at_the_fractions(patients, sizes):
    assert Counter(splits_by_rank(patients, Splits())) == sizes
    three = Splits(train=0.5, validation=0.25, test=0.25)
    if patients >= 3:
        assert set(splits_by_rank(patients, three)) == {"train", "validation", "test"}


def test_any_number_of_tasks_gives_the_same_plan(tmp_path, cohort, recipe, key_file, planned, monkeypatch):
    monkeypatch.setattr(file_listing, "PART_FILES", 7)
    begin(tmp_path / "other", [(recipe, cohort)], key_file)
    list_files(tmp_path / "other")
    for task in (2, 0, 1):
        read_headers(tmp_path / "other", task, 3, workers=0)
    assert arrange(tmp_path / "other", workers=0) == load_plan(planned)


def test_a_planning_that_was_stopped_goes_on_and_reads_no_header_twice(
    tmp_path, cohort, recipe, key_file, planned, monkeypatch
):
    monkeypatch.setattr(file_listing, "PART_FILES", 7)
    monkeypatch.setattr(header_catalogue, "CHUNK_FILES", 2)
    done = []

    def stop(number, total):
        done.append(number)
        if number == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan(tmp_path / "other", [(recipe, cohort)], stop, key_file, workers=0)
    again = []
    made = plan(tmp_path / "other", [(recipe, cohort)], lambda n, _: again.append(n), key_file, workers=0)
    files = sum(tally.files for tally in made.tallies)
    assert len(again) == files - 14  # two parts of seven were whole
    assert made == load_plan(planned)


def test_planning_again_sees_new_files(tmp_path, recipe, key_file, saved, dicom):
    saved(dicom(), tmp_path / "files" / "a.dcm")
    first = plan(tmp_path / "set", [(recipe, tmp_path / "files")], key_file=key_file, workers=0)
    saved(dicom(), tmp_path / "files" / "b.dcm")
    second = plan(tmp_path / "set", [(recipe, tmp_path / "files")], key_file=key_file, workers=0)
    assert (first.tallies[0].files, second.tallies[0].files) == (1, 2)


def test_which_of_two_files_with_one_uid_is_kept_does_not_depend_on_their_names(
    tmp_path, recipe, key_file, saved, dicom
):
    """One says CC and the other MLO: the plan must be the same whichever comes first."""
    one, other = dicom(ViewPosition="CC"), dicom(ViewPosition="MLO")
    other.SOPInstanceUID = one.SOPInstanceUID
    for folder, names in (("x", ("a", "b")), ("y", ("b", "a"))):
        for made, name in zip((one, other), names, strict=True):
            saved(made, tmp_path / folder / f"{name}.dcm")
    kept = []
    for folder in ("x", "y"):
        made = plan(tmp_path / f"set-{folder}", [(recipe, tmp_path / folder)], key_file=key_file, workers=0)
        assert made.tallies[0].refused == {"duplicate": 1}
        kept.append(planned_images(tmp_path / f"set-{folder}")[0][1]["sample"])
    assert kept[0] == kept[1]


def test_of_two_files_with_one_uid_the_longer_is_kept(tmp_path, recipe, saved, dicom):
    """A copy that was cut short on its way must not cost the image."""
    made = dicom()
    for name in "abcdef":
        saved(made, tmp_path / "files" / f"{name}.dcm")
        content = (tmp_path / "files" / f"{name}.dcm").read_bytes()
        if name != "d":
            (tmp_path / "files" / f"{name}.dcm").write_bytes(content[: -ord(name)])
    plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0)
    assert [line["path"][-5:] for _, line in planned_images(tmp_path / "set")] == ["d.dcm"]


def test_a_file_that_kills_its_reader_costs_no_other_file(tmp_path, recipe, saved, dicom, monkeypatch):
    for name in "abc":
        saved(dicom(), tmp_path / "files" / f"{name}.dcm")
    (tmp_path / "files" / "killer.dcm").write_bytes(b"x")

    def fragile(chunk, read=header_catalogue._read):
        if any(line["path"].endswith("killer.dcm") for line in chunk.lines):
            return header_catalogue._lost(chunk, "decoder-crashed")
        return read(chunk)

    monkeypatch.setattr(header_catalogue, "_read", fragile)
    monkeypatch.setattr(header_catalogue.process_pool, "ordered", lambda f, tasks, *_: map(f, tasks))
    made = plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0)
    assert made.tallies[0].unreadable == {"decoder-crashed": 1}
    assert made.tallies[0].accepted == 3
