"""Measuring images in tasks, and holding synthetics against reals: each fault by the measure that sees it."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

from mammogan.config.run_config import Run
from mammogan.data.store import private_folder
from mammogan.errors import ConfigError, DataError
from mammogan.steps import comparison_sets, feature_parts, graph, run
from mammogan.steps.assess_images import assess
from mammogan.steps.compare_sets import compare
from mammogan.steps.report_measures import IMAGES, JSON, TABLE, read
from tests.metrics.noise import picture
from tests.steps import assessed
from tests.steps.assessed import found

COUNT, SIZE = 60, (40, 32)


def images(seed, count=COUNT, **changes):
    """Give pictures of both views: those of MLO have a muscle in the corner."""
    dice = np.random.default_rng(seed)
    made = {}
    y, x = np.indices(SIZE) / SIZE[0]
    for view in ("CC", "MLO"):
        level = dice.normal(30000, 3000, count)
        pictures = [picture(*SIZE, dice, level=each, **changes) for each in level]
        made[view] = np.stack(pictures)
        if view == "MLO":
            made[view][:, (x / 0.3 + y / 0.5) < 1] = 50000
    return made


def brightness(part):
    return [image[image > 0].mean() for image in part]


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assessed") / "set"
    return assessed.make_shards(folder, {"train": images(1), "validation": images(2)})


def measured(folder, shard_set, pool, *overrides):
    """Make a run of a pool, measure all, and read what was found."""
    made = assessed.subjects(assessed.make_run(folder, shard_set, pool, *overrides))
    assess(made)
    compare(made)
    return read(folder / "report")


@pytest.fixture(scope="module")
def reports(tmp_path_factory, shard_set):
    """Measure pools with a fault each: none, identical to the held-out reals, copies of training reals ..."""
    folder = tmp_path_factory.mktemp("reports")
    fair = images(3)
    brighter = {
        view: np.where(part > 0, part.astype(np.int64) + 6000, 0).clip(0, 65535).astype(np.uint16)
        for view, part in fair.items()
    }
    narrow = {view: part[np.argsort(brightness(part))][:20].repeat(3, axis=0) for view, part in fair.items()}
    copied = images(1)
    dice = np.random.default_rng(0)
    for part in copied.values():
        part[part > 0] = (part[part > 0] + dice.normal(0, 600, (part > 0).sum())).clip(1, 65535)
    pools = {
        "fair": fair,
        "identical": images(2),
        "brighter": brighter,
        "narrow": narrow,
        "copied": copied,
        "swapped": {"CC": fair["MLO"], "MLO": fair["CC"]},
    }
    return {name: measured(folder / name, shard_set, pool) for name, pool in pools.items()}


@pytest.mark.slow  # a minute of comparisons
def test_identical_sets_score_as_identical(reports):
    report = reports["identical"]
    for view in ("CC", "MLO"):
        for of in ("all_mean", "breast_sd", "breast_area", "dense_area", "beta"):
            for name, ideal in {"sis": 1, "ovl": 1, "j99": 1, "jbin": 1, "w1": 0, "ks": 0}.items():
                assert found(report, view, name=name, of=of)["value"] == pytest.approx(ideal, abs=1e-12)
        for of in ("all_moments", "breast_moments", "features"):
            assert found(report, view, name="c2st_auc", of=of)["value"] == 0.5
        for of in ("random-network", "texture"):
            for name in ("precision", "recall", "coverage"):
                assert found(report, view, name=name, of=of)["value"] == 1
        assert found(report, view, name="frechet")["value"] == pytest.approx(0, abs=1e-6)
        assert report["spectra"][view]["ratio"] == pytest.approx([0] * 4, abs=1e-12)


@pytest.mark.slow  # a minute of comparisons
def test_a_fair_set_lies_where_halves_of_the_reals_lie(reports):
    report = reports["fair"]
    inside = []
    for measure in report["measures"]:
        if (
            measure["null"]
            and measure["matched"] is not None
            and measure["name"] in ("ovl", "ks", "coverage")
        ):
            inside.append(measure["null"]["low"] <= measure["matched"] <= measure["null"]["high"])
    assert len(inside) > 40 and np.mean(inside) > 0.85
    assert found(report, name="c2st_auc", of="breast_moments")["value"] < 0.75
    assert 0.25 < found(report, name="nearer_to_train", of="thumbnail")["value"] < 0.75
    assert found(report, name="called_copies", of="thumbnail")["value"] < 0.1


@pytest.mark.slow  # a minute of comparisons
def test_planted_copies_are_found_with_a_stated_recall(reports):
    report = reports["fair"]
    recall = {
        kind: found(report, name=f"recall_{kind}", of="thumbnail") for kind in ("noise", "shift", "crop")
    }
    assert recall["noise"]["value"] > 0.95 and recall["shift"]["value"] > 0.95
    assert recall["crop"]["value"] > 0.3
    assert "60 held-out reals, of which 0.00% are called copies" in recall["noise"]["note"]


@pytest.mark.slow  # a minute of comparisons
def test_a_generator_that_copies_is_caught_and_its_originals_are_listed(reports):
    fair, copied = reports["fair"], reports["copied"]
    for view in ("CC", "MLO"):
        nearer = found(copied, view, name="nearer_to_train", of="thumbnail")
        assert nearer["value"] > 0.9 > nearer["null"]["high"]
        assert found(copied, view, name="called_copies", of="thumbnail")["value"] > 0.9
        assert found(copied, view, name="first_to_second", of="thumbnail")["value"] < 0.5
    pairs = copied["gallery"]["closest"]
    assert len(pairs) == 100 and max(pair["ratio"] for pair in pairs) < 0.7
    reader = {"CC": 0, "MLO": COUNT}  # where a view begins in the rung of training images
    assert all(pair["other"] == reader[pair["view"]] + pair["number"] for pair in pairs)
    assert min(pair["ratio"] for pair in fair["gallery"]["closest"]) > 0.5


@pytest.mark.slow  # a minute of comparisons
def test_a_shifted_mean_is_seen_by_moments(reports):
    for view in ("CC", "MLO"):
        mean = found(reports["brighter"], view, name="w1", of="breast_mean")
        assert mean["matched"] > mean["null"]["high"] and mean["value"] > 1
        auc = found(reports["brighter"], view, name="c2st_auc", of="breast_moments")
        assert auc["value"] > 0.7 and auc["ci"]["low"] > 0.55
        beta = found(reports["brighter"], view, name="beta", group="spectrum")
        fair = found(reports["fair"], view, name="beta", group="spectrum")
        assert beta["value"] == pytest.approx(fair["value"], rel=0.02)


@pytest.mark.slow  # a minute of comparisons
def test_a_dropped_mode_is_seen_by_coverage_recall_and_overlap_and_repeats_as_duplicates(reports):
    for view in ("CC", "MLO"):
        narrow, fair = reports["narrow"], reports["fair"]
        for name in ("recall", "coverage"):
            of = {"name": name, "of": "texture"}
            assert found(narrow, view, **of)["value"] < found(fair, view, **of)["value"] - 0.15
        for name in ("ovl", "sis", "jbin"):
            of = {"name": name, "of": "breast_mean"}
            assert found(narrow, view, **of)["matched"] < found(fair, view, **of)["matched"] - 0.03
        assert found(narrow, view, name="w1", of="breast_mean")["value"] > 0.8
        assert found(narrow, view, name="cover", of="breast_mean")["value"] < 0.6
        assert found(narrow, view, name="fidelity", of="breast_mean")["value"] > 0.9
        assert found(narrow, view, name="duplicates", of="thumbnail")["value"] > 0.9
    assert {pair["distance"] for pair in narrow["gallery"]["duplicates"]} == {0.0}


@pytest.mark.slow  # a minute of comparisons
def test_a_wrong_view_is_seen(reports):
    for view in ("CC", "MLO"):
        assert found(reports["fair"], view, name="view_told_right")["value"] > 0.95
        swapped = found(reports["swapped"], view, name="view_told_right")
        assert swapped["value"] < 0.05 and swapped["real"] > 0.95


@pytest.mark.slow  # a minute of comparisons
def test_every_measure_says_what_it_is_taken_from_and_the_csv_says_the_same(reports, tmp_path):
    report = reports["fair"]
    assert (report["held_out"], report["patients"], report["spacing_mm"]) == ("validation", "known", 0.2)
    assert report["sets"]["CC"]["real"] == {"images": COUNT, "patients": COUNT // 2, "flat": 0}
    assert report["sets"]["MLO"]["synthetic"]["patients"] is None
    names = {(measure["group"], measure["name"]) for measure in report["measures"]}
    assert {group for group, _ in names} == {
        "distribution", "joint", "spectrum", "bands", "features", "diversity", "copies", "views", "swd",
    }  # fmt: skip
    for measure in report["measures"]:
        assert measure["images"] > 0 and measure["patients"] in (0, COUNT // 2)
        if measure["group"] == "swd":  # of the score: 19 for CC, with a floor of 5
            assert (measure["value"], measure["null"]["mean"]) in ((19, 5), (21, 5), (29, 5), (31, 5))
        if measure["ci"] and measure["ci"]["low"] is not None:
            assert measure["ci"]["low"] <= measure["value"] <= measure["ci"]["high"], measure


@pytest.fixture
def made(tmp_path, shard_set):
    return assessed.subjects(assessed.make_run(tmp_path / "run", shard_set, images(3, 20)))


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_parts_are_the_same_to_the_byte_by_any_number_of_tasks(made, monkeypatch):
    monkeypatch.setattr(comparison_sets, "PART_IMAGES", 7)
    monkeypatch.setattr(comparison_sets, "PART_PAIRS", 11)
    assess(made)
    folder = made.folder / "assess"
    whole = files_of(folder)
    assert len(whole) == 3 * 2 * 3 + 2 * 2 * 4
    shutil.rmtree(folder)
    for task in (2, 0, 1):
        paths = assess(made, task, 3)
        assert {path.name for path in paths} < set(whole)
    assert files_of(folder) == whole
    first = compare(made)
    once = [path.read_bytes() for path in first]
    assert [path.read_bytes() for path in compare(made)] == once


def test_what_is_there_is_left_and_what_is_damaged_or_missing_is_made_again(made, monkeypatch):
    assess(made)
    folder = made.folder / "assess"
    before, times = files_of(folder), {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    gone, hurt = folder / "images-real-cc-0000.npz", folder / "pairs-synthetic-mlo-0000.npz"
    gone.unlink()
    hurt.write_bytes(hurt.read_bytes()[:-100] + b"\0" * 100)
    assert not feature_parts.is_there(hurt, made.key)
    with pytest.raises(DataError, match=r"images-real-cc-0000.npz' of the measures is missing, damaged"):
        compare(made)
    told = []
    assess(made, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (told[-1][1],) * 2 and len(told) == told[-1][1]
    assert files_of(folder) == before
    assert {path for path in folder.iterdir() if path.stat().st_mtime_ns != times[path]} == {gone, hurt}


def test_parts_of_other_images_or_settings_are_not_taken(made, tmp_path, shard_set):
    assess(made)
    other = assessed.subjects(
        assessed.make_run(tmp_path / "other", shard_set, images(3, 20), "method.seed=7")
    )
    assert other.key != made.key
    shutil.copytree(made.folder / "assess", other.folder / "assess")
    with pytest.raises(DataError, match="of other images"):
        compare(other)


def test_nothing_that_is_written_names_a_patient_a_sample_or_a_path(made):
    assess(made)
    compare(made)
    for path in [*(made.folder / "assess").iterdir(), *(made.folder / "report").iterdir()]:
        content = path.read_bytes()
        assert b"CANARY" not in content and str(made.folder.parent).encode() not in content, path.name


def test_images_are_listed_by_number(made):
    assess(made)
    compare(made)
    lines = list(csv.DictReader(io.StringIO((made.folder / "report" / IMAGES).read_text())))
    assert len(lines) == 3 * 2 * 20
    assert list(lines[0])[:4] == ["source", "view", "number", "all_mean"]
    of = {(line["source"], line["view"], line["number"]): line for line in lines}
    (image,) = made.images("synthetic", "MLO", range(5, 6))
    assert float(of["synthetic", "MLO", "5"]["all_mean"]) == pytest.approx(image.mean() / 65535, rel=1e-5)
    table = list(csv.DictReader(io.StringIO((made.folder / "report" / TABLE).read_text())))
    report = json.loads((made.folder / "report" / JSON).read_text())
    assert len(table) == len(report["measures"])
    assert float(table[0]["value"]) == pytest.approx(report["measures"][0]["value"], rel=1e-5)
    assert table[0]["ci_low"] and table[0]["null_high"]


def test_without_the_private_folder_images_are_resampled_and_the_report_says_so(tmp_path, caplog):
    shards = assessed.make_shards(tmp_path / "set", {"train": images(1, 12), "validation": images(2, 12)})
    shutil.rmtree(private_folder.folder(shards.path))
    report = measured(tmp_path / "run", shards, images(3, 12))
    assert report["patients"] == "unknown"
    assert report["sets"]["CC"]["real"]["patients"] is None
    assert "private folder" in caplog.text


def test_a_test_split_is_preferred_and_then_nothing_of_validation_is_looked_at(tmp_path):
    splits = {"train": images(1, 12), "validation": images(2, 12), "test": images(4, 9)}
    shards = assessed.make_shards(tmp_path / "set", splits)
    made = assessed.subjects(assessed.make_run(tmp_path / "run", shards, images(3, 12)))
    assert made.held_out == "test"
    (first,) = made.images("real", "CC", range(1))
    np.testing.assert_array_equal(first, splits["test"]["CC"][0])


@pytest.mark.parametrize("count", [1, 3])
def test_a_handful_of_images_gives_what_it_can_and_says_what_it_can_not(tmp_path, count):
    shards = assessed.make_shards(
        tmp_path / "set", {"train": images(1, count), "validation": images(2, count)}
    )
    report = measured(tmp_path / "run", shards, images(3, count))
    if count == 1:
        assert {measure["group"] for measure in report["measures"]} == {"swd"}
        assert report["skipped"] == [
            f"{view}: there are 1 synthetic and 1 held-out and 1 training images, and it takes 2"
            for view in ("CC", "MLO")
        ]
    else:
        assert report["measures"] and "view_told_right" in report["skipped"][0]


def test_held_out_images_of_one_woman_have_no_halves_and_all_else_is_measured(tmp_path):
    shards = assessed.make_shards(
        tmp_path / "set", {"train": images(1, 6), "validation": images(2, 2)}, a_patient=2
    )
    report = measured(tmp_path / "run", shards, images(3, 6))
    names = {entry["name"] for entry in report["measures"]}
    assert {"band_power", "tissue_contrast", "background"} <= names


def test_flat_and_empty_images_are_counted_and_left_out(tmp_path, shard_set):
    pool = images(3, 12)
    pool["CC"][0], pool["CC"][1] = 0, 30000
    report = measured(tmp_path / "run", shard_set, pool)
    assert report["sets"]["CC"]["synthetic"]["flat"] == 2
    assert found(report, name="sis", of="all_skewness")["note"] == "2 images don't have it"
    assert found(report, name="sis", of="all_mean")["note"] == ""


def test_a_pool_of_another_checkpoint_and_a_run_that_chose_none_are_refused(tmp_path, shard_set):
    folder = assessed.make_run(tmp_path / "run", shard_set, images(3, 4))
    choice = json.loads((folder / "selection.json").read_text())
    (folder / "selection.json").write_text(json.dumps(choice | {"checkpoint": "e" * 64}))
    with pytest.raises(ConfigError, match=r"was drawn from checkpoint 'ddd.* chose 'eee"):
        assessed.subjects(folder)
    (folder / "selection.json").unlink()
    with pytest.raises(DataError, match=r"has chosen no checkpoint yet.*mammogan status"):
        assessed.subjects(folder)


def test_the_graphs_steps_do_all_of_it_and_are_marked_as_done(tmp_path, shard_set):
    folder = assessed.make_run(tmp_path / "run", shard_set, images(3, 20), "assessment.images_per_task=50")
    nodes = {node.name: node for node in graph(Run.load(folder))}
    assert (nodes["assess"].tasks, nodes["compare"].tasks) == (3, 1)
    for task in range(3):
        run(folder, "assess", task)
    run(folder, "compare")
    assert read(folder / "report")["measures"]
    done = json.loads((folder / "done" / "compare" / "0.json").read_text())["files"]
    assert set(done) == {f"report/{name}" for name in (JSON, TABLE, IMAGES)}


def test_damaged_or_missing_measures_are_explained(tmp_path):
    with pytest.raises(DataError, match=r"is missing: the step 'compare' writes it"):
        read(tmp_path)
    (tmp_path / JSON).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path)
    (tmp_path / JSON).write_text('{"format": 99}')
    with pytest.raises(DataError, match="has format '99', and this MammoGAN reads 1"):
        read(tmp_path)
