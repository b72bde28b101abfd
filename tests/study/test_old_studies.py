"""Studies and reviews that version 0.1.0 left go on with today's code, from its own files.

Their pictures are grain in half ellipses. The study's ``export`` was written after a copy of it was locked.
"""

import csv
import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.study.questions import QUESTIONS
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.study_service import StudyService
from mammogan.study.reader.study_site import make
from mammogan.study.review.review_service import ReviewService
from mammogan.study.review.verdicts import TABLES as VERDICTS
from mammogan.study.review.verdicts import verdicts
from mammogan.study.web.answer_store import peek
from tests.study.asgi import Browser
from tests.study.made_study import enter, finish
from tests.study.review.made_review import go_through
from tests.study.test_questions import HAND

FIXTURES = Path(__file__).parents[1] / "fixtures"
RATES = {"radiologists": 4, "other readers": 1, "role not said": 1}


@pytest.fixture
def study(tmp_path):
    return unpacked(tmp_path, "study")


@pytest.fixture
def review(tmp_path):
    return unpacked(tmp_path, "review")


def unpacked(folder, name):
    with tarfile.open(FIXTURES / f"{name}-0.1.0.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / name


def run(*words):
    told = CliRunner().invoke(app, list(map(str, words)))
    assert told.exit_code == 0, (told.output, told.exception)
    return " ".join(told.output.split())


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("with_database", [True, False])
def test_an_old_study_is_served_locked_exported_and_analysed(study, tmp_path, with_database):
    if not with_database:
        (study / "answers.db").unlink()
    service = StudyService(study)
    browser = Browser(make(service))
    finish(browser, enter(browser, service.secret.reader).text)
    service.store.close()
    assert "7 │ 6 │" in run("study", "status", study)
    assert "locked" in run("study", "lock", study)
    before = table(study / "export" / "trials.csv")
    run("study", "export", study, tmp_path / "new")
    after = table(tmp_path / "new" / "trials.csv")
    for old, new in zip(before, after, strict=False):
        assert old == {name: new[name] for name in old}
    assert len(after) == len(before) + 10
    assert {row["volume"] for row in after} == {"5000+", "500-1999", "1-499", "0", ""}
    assert "7 readers, 64 pairs" in run("study", "analyse", tmp_path / "new", tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "analysis.json").read_text())
    found = {each["comparison"]: each for each in tree["differences"]}
    high = found["5,000 mammograms a year or more - fewer, among radiologists"]
    assert (high["readers"], high["note"][:29]) == (4, "few readers: 2 against 2; the")
    assert tree["equivalence"]["margin"] == 0.2


def test_an_old_export_is_analysed_and_what_its_table_lacks_counts_as_unsaid(study, tmp_path):
    assert "volume" not in table(study / "export" / "trials.csv")[0]
    run("study", "analyse", study, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert tree["study"]["questions_not_asked"] == ["volume"]
    found = {each["comparison"]: each for each in tree["differences"]}
    high = found["5,000 mammograms a year or more - fewer, among radiologists"]
    assert (high["readers"], high["note"]) == (0, "this table has no column of it")
    sizes = {group["group"]: group["readers"] for group in tree["groups"]}
    assert {name: sizes[name] for name in RATES} == RATES
    assert "no column of: volume" in (tmp_path / "out" / "index.html").read_text()


def test_a_question_that_an_old_journal_does_not_know_was_not_answered(study, monkeypatch):
    monkeypatch.setitem(QUESTIONS, HAND.name, HAND)
    service = StudyService(study)
    service.store.close()
    rows = peek(study, TABLES).rows("SELECT role, hand FROM participants WHERE described IS NOT NULL")
    assert len(rows) == 6
    assert {row["hand"] for row in rows} == {""}
    assert {row["role"] for row in rows} == {"radiologist", "other", ""}


def test_a_question_that_is_asked_no_more_leaves_old_journals_readable(study, monkeypatch):
    monkeypatch.delitem(QUESTIONS, "volume")
    service = StudyService(study)
    service.store.close()
    columns = {row["name"] for row in peek(study, TABLES).rows("PRAGMA table_info(participants)")}
    assert columns >= {"role", "years"} and "volume" not in columns


def test_an_old_review_goes_on_where_it_was_and_is_analysed(review, tmp_path):
    kept = verdicts(peek(review, VERDICTS))
    service = ReviewService(review)
    assert [service.state(reviewer)["position"] for reviewer in (0, 1)] == [len(service.plan.series[0]), 1]
    assert (service.state(0)["finished"], service.state(1)["undone"]) == (True, 1)
    go_through(service, lambda reviewer, key: (), reviewers=[1])
    service.store.close()
    found = verdicts(peek(review, VERDICTS))
    assert found[: len(kept)] == kept
    assert len(found) == sum(map(len, service.plan.series))
    run("review", "report", review, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "review.json").read_text())
    assert tree["complete"]
    assert tree["views"][0]["synthetic"]["artefacts"] > 0
    run("review", "accepted", review, tmp_path / "accepted.json")
    names = json.loads((tmp_path / "accepted.json").read_text())
    assert names and all(name.startswith("from-s") for name in names)
