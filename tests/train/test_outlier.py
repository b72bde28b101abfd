"""New mammograms and planted outliers before a small run that has learned what phantoms look like."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.config.run_config import Run
from mammogan.data.phantom.defects import make_defective
from mammogan.data.phantom.phantom_files import make_patient
from mammogan.errors import DataError
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.steps.anomaly_score import Gauge
from mammogan.steps.licence_notice import TERMS
from mammogan.steps.score_outliers import FACTS, TABLE, files_of
from mammogan.train import checkpoint
from mammogan.train.accelerator import local_device
from mammogan.train.build_networks import load_average
from mammogan.train.export_model import export
from mammogan.train.gan_inversion import Search
from tests.bench import outlier as planted

SETTINGS = (
    "ladder.stages=1",
    "ladder.base_px=[10,8]",
    "network.latent_size=16",
    "network.channels_base=64",
    "network.channels_max=16",
    "schedule.fade_kimg=[0]",
    "schedule.stable_kimg=[5]",
    "schedule.batch=[16]",
    "schedule.tick_kimg=[5]",
    "engine.micro_batch=[16]",
    "optimiser.learning_rate=0.004",
    "ema.decay=0.9",
)
SEARCH = Search(starts=2, steps=40)
NEW = range(planted.FIRST_NEW, planted.FIRST_NEW + 2)
KINDS = {defect.kind: defect for defect in (planted.AS_THEY_ARE, *planted.OUTLIERS)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = planted.prepare(tmp_path_factory.mktemp("learned"), 10, "[10,8]", SETTINGS)
    export(next(checkpoint.saved(folder, 0)), Run.load(folder).method, folder / "model")
    write(folder / "model" / TERMS, "none")
    return folder


def gauge_of(run, **settings):
    method, last = Run.load(run).method, next(checkpoint.saved(run, 0))
    return Gauge(run, load_average(method, last, local_device()), SEARCH, settings.get("reals", 100))


@pytest.fixture(scope="module")
def gauge(run):
    return gauge_of(run)


@pytest.fixture(scope="module")
def scores(run, gauge, tmp_path_factory):
    """Score every kind that is asked for, by view."""
    folder, recipe, found = tmp_path_factory.mktemp("new"), Run.load(run).recipes[0], {}

    def of(kind):
        if kind not in found:
            images = planted.new_images(folder, recipe, (10, 8), KINDS[kind], NEW)
            found[kind] = [(view, gauge.score(image, view)) for _, view, image in images]
        return found[kind]

    return of


@pytest.mark.parametrize("kind", ["chest CT", "mirrored", "on its side"])
def test_planted_outliers_are_beyond_every_held_out_and_every_new_phantom(gauge, scores, kind):
    for view, score in scores(kind):
        held_out = gauge.reals(view)[:, 1]
        new = [other.reconstruction for each, other in scores("as they are") if each == view]
        assert score.reconstruction > max(*held_out, *new)
        assert score.p_reconstruction == pytest.approx(2 / (len(held_out) + 1))
        assert score.p <= score.p_reconstruction


def test_no_outlier_is_missed_where_all_are_told_apart(scores):
    outliers, others = (
        [score.reconstruction for _, score in scores(kind)] for kind in ("mirrored", "as they are")
    )
    assert planted.auc(-np.array(outliers), -np.array(others)) == 1
    assert planted.auc(others, others) == 0.5
    low, high = planted.interval([np.array([0.1])] * 3, [np.array([0.5])] * 3)
    assert (low, high) == (1, 1)


def test_a_score_depends_on_no_other_image_and_reals_are_measured_once(run, gauge, tmp_path):
    before = gauge.reals(0)
    again = gauge_of(run)
    again.measure = None  # would be called for a real that is not kept
    assert np.array_equal(again.reals(0), before)
    cut = gauge_of(run, reals=2)
    assert np.array_equal(cut.reals(0), before[:2])
    held_out = cut._validation.read(np.flatnonzero(cut._validation.views_N == 0)[:1])[0]
    assert cut.measure(held_out, 0) == tuple(before[0])


def test_reals_go_on_where_they_were_stopped_and_damaged_ones_are_measured_again(run, gauge, tmp_path):
    before = gauge.reals(1)
    (kept,) = RunFolder(run).anomaly_scores.glob("mlo-*.json")
    whole = json.loads(kept.read_text())
    measured = []
    for content in (json.dumps(whole | {"values": whole["values"][:-1]}), "{ha"):
        kept.write_text(content)
        gauge = gauge_of(run)
        own = gauge.measure
        gauge.measure = lambda image, view, own=own: measured.append(view) or own(image, view)
        assert np.array_equal(gauge.reals(1), before)
        assert json.loads(kept.read_text()) == whole
    assert len(measured) == 1 + len(before)


def put(folder, name, made):
    write(folder / name, made.data)
    return str(made.truth["patient"])


@pytest.fixture
def files(tmp_path):
    """Lay out two mammograms, a CT without a view, an empty file and a text, and name the patients."""
    folder = tmp_path / "jane-doe"
    clean = list(make_patient(planted.SEED, NEW[0], planted.FRAME_SCALE))
    (ct,) = make_defective(KINDS["chest CT"], planted.SEED, NEW[1], planted.FRAME_SCALE)
    pairs = [("a.dcm", clean[0]), ("sub/b.dcm", clean[1]), ("c.dcm", ct)]
    names = {put(folder, name, made) for name, made in pairs}
    write(folder / "d.dcm", b"")
    write(folder / "e.txt", "Index of the export\n" * 20)
    return folder, names


def command(*arguments):
    return CliRunner().invoke(app, ["outlier", *map(str, arguments), "--starts", "2", "--steps", "40"])


def test_every_file_has_a_line_by_position_and_only_the_private_index_names_it(run, files, tmp_path):
    folder, names = files
    told = command(run, folder, tmp_path / "out")
    assert told.exit_code == 0, (told.output, told.exception)
    said = " ".join(told.output.split())
    assert "not scored: 1 of 5, 'empty-file'." in said and "not scored: 1 of 5, 'text-file'." in said
    assert "not scored: 1 of 5, 'view-unknown'. Say it by --view." in said
    with (tmp_path / "out" / TABLE).open() as stream:
        rows = list(csv.DictReader(stream))
    index = [json.loads(line) for line in (tmp_path / "out.private" / "files.jsonl").read_text().splitlines()]
    assert [line["path"] for line in index] == sorted(str(path) for path in folder.rglob("*.*"))
    assert [row["position"] for row in rows] == [str(line["position"]) for line in index] == list("01234")
    by_name = {line["path"].rpartition("/")[2]: row for line, row in zip(index, rows, strict=True)}
    assert [by_name[name]["reason"] for name in ("a.dcm", "b.dcm", "c.dcm", "d.dcm", "e.txt")] == [
        *("", "", "view-unknown", "empty-file", "text-file")
    ]
    assert all(0 < float(by_name[name]["p"]) <= 1 for name in ("a.dcm", "b.dcm"))
    assert by_name["c.dcm"]["p"] == "" and by_name["c.dcm"]["outcome"] == "not-scored"
    facts = json.loads((tmp_path / "out" / FACTS).read_text())
    assert (facts["files"], facts["scored"]) == (5, 2)
    assert facts["not_scored"] == {"empty-file": 1, "text-file": 1, "view-unknown": 1}
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir()) + told.output.encode()
    assert not [word for word in (*names, "jane", "a.dcm", "2.25.") if word.encode() in written]
    assert (tmp_path / "out.private").stat().st_mode & 0o77 == 0


def test_a_view_that_is_told_scores_what_has_none_and_the_rule_that_refuses_it_stands_beside(
    run, files, tmp_path
):
    folder, _ = files
    told = command(run, folder / "c.dcm", tmp_path / "out", "--view", "CC", "--laterality", "L")
    assert told.exit_code == 0, (told.output, told.exception)
    assert "most unusual by position (p)" not in told.output  # with so few reals no p is small
    with (tmp_path / "out" / TABLE).open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["view"], row["outcome"], row["refused"]) == ("CC", "scored", "modality")


def test_nothing_to_score_is_an_error_and_the_lines_are_there(run, files, tmp_path):
    folder, _ = files
    told = command(run, folder / "d.dcm", tmp_path / "out")
    assert isinstance(told.exception, DataError)
    assert "None of the 1 files of" in str(told.exception)
    assert (tmp_path / "out" / TABLE).read_text().splitlines()[1:] == ["0,,not-scored,empty-file,,,,,,"]
    (tmp_path / "empty").mkdir()
    for source, said in (("none", "There is no file or folder"), ("empty", "holds no file")):
        with pytest.raises(DataError, match=said):
            files_of(tmp_path / source)


def test_a_view_without_held_out_reals_is_told(run, files, tmp_path, monkeypatch):
    monkeypatch.setattr(Gauge, "count", lambda self, view: 0 if view == 0 else 4)
    folder, _ = files
    told = command(run, folder, tmp_path / "out")
    assert "'no-held-out-reals'" in told.output
