"""One table of questions: what is in it is asked, kept, exported, explained and analysed."""

import csv
import json
import sqlite3

import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.analysis.group_comparisons import FEW, comparisons, groups
from mammogan.study.analysis.read_trials import read
from mammogan.study.analysis.simulate_readers import Plan, simulate
from mammogan.study.analysis.write_trials import write_trials
from mammogan.study.questions import QUESTIONS, RADIOLOGIST, ROLE, TAKEN, Groups, Question, Slope
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.study_export import participant_columns
from mammogan.study.reader.study_service import StudyService
from mammogan.study.reader.study_site import make
from mammogan.study.web.answer_store import JOURNAL, peek
from mammogan.study.web.event_journal import whole_lines
from tests.study.asgi import Browser
from tests.study.made_study import finish, form_of, make_study

HAND = Question(
    name="hand",
    text="Which hand do you write with?",
    meaning="Writing hand",
    options={"left": "left-handed", "right": "right-handed"},
    analysis=(Groups(),),
)
COUNTRY = Question(
    name="country",
    text="Where do you work?",
    meaning="Country",
    options={"uk": "United Kingdom", "de": "Germany", "it": "Italy"},
    analysis=(Groups(all_readers=True, unsaid="country not said"),),
)
SCREENS = Question(
    name="order",  # a word of SQL, too
    text="Hours in front of a screen today",
    meaning="Hours at a screen",
    high=24,
    analysis=(Slope("for 2 hours at a screen more", step=2, all_readers=True),),
)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def take_part(site, service, about, side):
    browser = Browser(site)
    consent = browser.get(f"?token={service.secret.reader}")
    form = browser.post("consent", {**form_of(consent.text), "agree": "yes"}).text
    browser.post("questions", about)
    finish(browser, browser.post("display", {"sees_dark": "yes", "sees_light": "yes"}).text, side)
    return form


def run(*words):
    told = CliRunner().invoke(app, ["study", *map(str, words)])
    assert told.exit_code == 0, (told.output, told.exception)


def test_a_row_of_the_table_is_all_that_a_new_question_takes(tmp_path, monkeypatch):
    for question in (HAND, COUNTRY, SCREENS):
        monkeypatch.setitem(QUESTIONS, question.name, question)
    study, export, out = tmp_path / "study", tmp_path / "export", tmp_path / "out"
    make_study(study)
    service = StudyService(study)
    site = make(service)
    for number in range(6):
        about = {"role": RADIOLOGIST, "hand": ("left", "right")[number % 2], "order": str(number)}
        about["country"] = ("uk", "de", "it", "", "mars", "uk")[number]
        form = take_part(site, service, about, lambda trial, n=number: ("left", "right")[trial * n % 3 % 2])
    for shown in ("Which hand do you write with?", 'name="hand" value="right"', "Germany", 'max="24"'):
        assert shown in form
    service.store.close()
    described = [event for event in whole_lines(study / JOURNAL)[0] if event["kind"] == "described"]
    assert [event["hand"] for event in described] == ["left", "right"] * 3
    assert described[4]["country"] == ""
    kept = peek(study, TABLES).rows('SELECT hand, "order" FROM participants ORDER BY number')
    assert [tuple(row) for row in kept] == [(("left", "right")[n % 2], str(n)) for n in range(6)]

    run("lock", study)
    run("export", study, export)
    assert {row["country"] for row in table(export / "trials.csv")} == {"uk", "de", "it", ""}
    assert [row["hand"] for row in table(export / "participants.csv")] == ["left", "right"] * 3
    book = (export / "codebook.md").read_text()
    assert book.count("| `hand` | Writing hand: left or right; empty: not said. |") == 2
    run("analyse", export, out)
    page, tree = (out / "index.html").read_text(), json.loads((out / "analysis.json").read_text())
    found = {each["comparison"]: each for each in tree["differences"]}
    for name in (
        "left-handed - right-handed, among radiologists",
        "United Kingdom - others",
        "Germany - others",
        "for 2 hours at a screen more",
    ):
        assert name in page and name in found
    assert found["left-handed - right-handed, among radiologists"]["readers"] == 6
    assert found["United Kingdom - others"]["readers"] == 4
    assert found["Germany - others"]["note"] == "too few readers: 1 against 3"
    sizes = {group["group"]: group["readers"] for group in tree["groups"]}
    assert sizes["radiologists, left-handed"] == 3
    assert sizes["country not said"] == 2
    assert "`country`" in (out / "codebook.md").read_text()


def test_a_rehearsal_answers_a_new_question_and_changes_no_other_answer(tmp_path, monkeypatch):
    before = simulate(Plan(4, 3, pairs=2, images_per_view=4), 1)
    monkeypatch.setitem(QUESTIONS, "country", COUNTRY)
    after = simulate(Plan(4, 3, pairs=2, images_per_view=4), 1)
    assert {name: after.answers[name] for name in before.answers} == dict(before.answers)
    assert set(after.answers_to("country")) <= set(COUNTRY.options)
    write_trials(tmp_path / "trials.csv", after)
    assert read(tmp_path / "trials.csv").answers_to("country") == after.answers_to("country")


def test_an_answer_that_was_not_offered_is_not_said():
    assert [QUESTIONS["volume"].from_form(text) for text in ("0", "5000+", "5000", "")] == [
        "0",
        "5000+",
        "",
        "",
    ]
    assert [QUESTIONS["years"].from_form(text) for text in ("12", "2.5", "81", "-1", "x")] == [
        "12",
        "2.5",
    ] + [""] * 3


def test_no_question_has_a_name_that_means_something_else():
    columns = {*trial_columns(), *participant_columns()}
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(TABLES.schema())
        for name in ("participants", "answers"):
            columns |= {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
    assert columns - set(QUESTIONS) <= TAKEN
    assert ROLE in QUESTIONS
    with pytest.raises(AssertionError, match="trial"):
        Question("trial", "?", "?")


def readers_of(answers, right):
    """Give a study of radiologists who say these volumes and are right at these rates."""
    plan = Plan(len(answers), 0, pairs=10)
    trials = simulate(plan, 3)
    rng = np.random.default_rng(5)
    hit_N = rng.random(len(trials.reader_N)) < np.array(right)[trials.reader_N]
    facts = {**trials.answers, "volume": tuple(answers)}
    return type(trials)(
        **{
            **{name: getattr(trials, name) for name in type(trials).__dataclass_fields__},
            "answers": facts,
            "answer_left_N": np.where(hit_N, trials.synth_left_N, ~trials.synth_left_N),
        }
    )


HIGH, BANDS = "5,000 mammograms a year or more - fewer, among radiologists", list(QUESTIONS["volume"].options)
TREND = "for one of five bands of mammograms a year more, among radiologists"


def test_who_reads_more_mammograms_is_compared_with_who_reads_fewer():
    answers = [BANDS[number % 5] for number in range(60)]
    trials = readers_of(answers, [0.45 + 0.1 * (number % 5) for number in range(60)])
    found = {each.name: each for each in comparisons(trials)}
    assert found[HIGH].difference.low > 0.05
    assert found[TREND].difference.value == pytest.approx(0.1, abs=0.03)
    assert found[TREND].difference.low > 0.05
    assert (found[HIGH].readers, found[HIGH].note) == (60, "")
    sizes = {group.name: group.readers for group in groups(trials)}
    assert sizes["radiologists, 5,000 mammograms a year or more"] == 12
    assert sizes["radiologists, fewer than 5,000 mammograms a year"] == 48


@pytest.mark.parametrize(
    ("answers", "computed", "told"),
    [
        (["5000+"] * 3 + ["0"] * 27, True, "few readers: 3 against 27; the interval may be too narrow"),
        (["5000+"] + ["0"] * 29, False, "too few readers: 1 against 29"),
        ([""] * 30, False, "too few readers: 0 against 0"),
    ],
)
def test_too_few_readers_of_a_volume_are_said_to_be_so(answers, computed, told):
    found = {each.name: each for each in comparisons(readers_of(answers, [0.6] * 30))}
    assert (found[HIGH].difference is not None, found[HIGH].note) == (computed, told)
    assert FEW > 3


def test_a_trend_needs_readers_who_differ():
    found = {each.name: each for each in comparisons(readers_of(["0"] * 30, [0.6] * 30))}
    assert (found[TREND].difference, found[TREND].note) == (None, "all gave the same answer")
