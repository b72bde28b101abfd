"""The analysis as files: every number the same everywhere, and a page that needs nothing else."""

import csv
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.errors import ConfigError
from mammogan.study.analysis.analysis_page import page, write_folder
from mammogan.study.analysis.codebook import TABLES, codebook, trial_columns
from mammogan.study.analysis.plain_language import headline, readings
from mammogan.study.analysis.simulate_readers import Plan, simulate
from mammogan.study.analysis.study_statistics import Design, analyse, as_json
from mammogan.study.analysis.trials import Trials

DESIGN = Design(0.1, fixed=True, pairs=10)


def kept(trials, mask):
    """Give the trials of `mask` alone, of the same readers."""
    rows = {f.name: getattr(trials, f.name) for f in dataclasses.fields(Trials)}
    return Trials(**{name: value[mask] if name.endswith("_N") else value for name, value in rows.items()})


@pytest.fixture(scope="module")
def found():
    """A study of 117, the first an expert; two readers stop early."""
    trials = simulate(Plan(experts=1, expert_rate=0.999), 11)
    short = (trials.reader_N == 3) & (trials.trial_N > 4) | (trials.reader_N == 70) & (trials.trial_N > 9)
    return analyse(kept(trials, ~short), DESIGN)


@pytest.fixture(scope="module")
def text(found):
    return page(found)


def test_the_page_needs_nothing_but_itself(text):
    assert not re.findall(r'\b(?:src|href)="(?:https?:)?//', text)
    assert "<script" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert text.count("<svg") == 6
    assert "StrictUndefined" not in text and "None" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_page_json_and_tables_say_the_same(found, text, tmp_path):
    files = write_folder(found, tmp_path / "out")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "out").iterdir()}
    tree = json.loads((tmp_path / "out" / "analysis.json").read_text())
    share = tree["share_right"]
    assert f"{100 * share['value']:.1f} %" in text
    assert f"{100 * share['low']:.1f} to {100 * share['high']:.1f} %" in text
    rows = {name: list(csv.DictReader((tmp_path / "out" / name).open())) for name in TABLES}
    for name, columns in TABLES.items():
        assert rows[name] and list(rows[name][0]) == list(columns)
    assert sum(int(row["right"]) for row in rows["readers.csv"]) == round(share["value"] * share["trials"])
    assert [int(row["readers"]) for row in rows["histogram.csv"]] == tree["histogram"]["counts"]
    assert float(rows["groups.csv"][0]["rate"]) == share["value"]
    assert (tmp_path / "out" / "codebook.md").read_text() == codebook()
    assert len(rows["readers.csv"]) == tree["study"]["readers"] == 117


def test_the_same_trials_give_the_same_bytes(found, text):
    again = analyse(found.trials, DESIGN)
    assert page(again) == text
    assert as_json(again) == as_json(found)


def test_readers_who_stop_early_are_listed_and_count_but_not_in_the_histogram(found, text):
    assert found.incomplete == [("P004", 4), ("P071", 9)]
    assert found.histogram.counts_B.sum() == 115
    assert found.share.trials == 1163
    assert found.completers.trials == 1150
    assert "P004 (4 of 10), P071 (9 of 10)" in text
    assert json.loads(as_json(found))["study"]["incomplete"][0] == {"participant": "P004", "answered": 4}


def test_who_answered_nothing_is_told(found):
    more = analyse(found.trials, DESIGN, silent=3)
    assert "3 more enrolled and answered no scored pair" in page(more)
    assert json.loads(as_json(more))["study"]["enrolled_without_answer"] == 3


def test_a_planted_expert_stands_beside_what_chance_gives(found, text):
    assert found.readers.p_above_R[0] <= 0.001
    assert "<td>P001</td><td>radiologist</td><td>10 of 10</td>" in text
    said = readings(found)["readers"]
    assert re.search(
        rf"{found.readers.above} readers? of 117 beat a coin at 5 % \(at least 9 of 10 right\)", said.shows
    )
    assert f"{found.readers.expected_above:.2f} would be expected to" in said.shows
    assert "not even all right would survive Holm's" in said.not_shown


def test_every_section_says_what_it_shows_and_what_not(found, text):
    said = readings(found)
    assert len(said) == 9
    assert text.count("<b>Shows</b>") == text.count("<b>Doesn't show</b>") == len(said)


@pytest.mark.parametrize(
    ("rate", "readers", "told"),
    [
        (0.5, 117, "equivalent to guessing within the margin 40 to 60 %."),
        (0.75, 117, "not equivalent to guessing: they can tell, if not always."),
        (0.25, 117, "not equivalent to guessing: they see a difference, and misread it."),
        (0.5, 6, "neither shown to be guessing nor shown not to be: too few readers, pairs or images."),
    ],
)
def test_the_headline_answers_the_question(rate, readers, told):
    said = headline(analyse(simulate(Plan(readers, 0, rate=rate), 2), DESIGN))
    assert said.endswith(told)


def test_equivalence_may_come_with_a_measurable_lead():
    found = analyse(simulate(Plan(600, 0, rate=0.54, images_per_view=600), 1), DESIGN)
    assert headline(found).endswith("within the margin 40 to 60 %, though measurably off a half.")


def test_a_study_of_accepted_images_says_so_in_its_headline(found):
    rest = "Images with obvious artefacts were left out before: this holds for the others only."
    filtered = analyse(found.trials, Design(0.1, fixed=True, pairs=10, filtered=True))
    assert headline(filtered) == f"{headline(found)} {rest}"


def test_a_margin_that_nothing_fixed_is_called_that(found):
    loose = page(analyse(found.trials, Design(0.1, fixed=False, pairs=10)))
    assert "nothing shows that it was fixed before" in loose
    assert "fixed beforehand" not in loose


@pytest.mark.parametrize("plan", [Plan(1, 0, pairs=2), Plan(0, 3, pairs=4), Plan(2, 0, rate=0.9999)])
def test_the_smallest_studies_have_a_page(plan):
    found = analyse(simulate(plan, 5), Design(0.1, fixed=True, pairs=plan.pairs))
    assert "Can readers tell" in page(found)
    json.loads(as_json(found))


def test_answers_that_are_all_alike_tell_no_difference():
    found = analyse(simulate(Plan(2, 0, rate=0.9999), 5), DESIGN)
    assert all(each.difference is None for each in found.comparisons)
    assert "nothing to compare" in page(found)


def test_a_study_without_confidence_and_times_has_a_page_without_them(found):
    nothing = np.full(len(found.trials.reader_N), np.nan)
    names = ("confidence_N", "rt_ms_N", "zoom_N", "wl_changes_N", "hidden_ms_N")
    bare = analyse(dataclasses.replace(found.trials, **dict.fromkeys(names, nothing)), DESIGN)
    assert (bare.roc, bare.times, bare.effort.zoomed) == (None, None, None)
    assert "no confidence said" in page(bare)
    assert page(bare).count("<svg") == 4
    assert json.loads(as_json(bare))["roc_area"] is None


def test_the_codebook_has_every_column():
    text = codebook()
    for columns in (trial_columns(), *TABLES.values()):
        for column in columns:
            assert f"| `{column}` |" in text


def test_the_printed_page_is_laid_out_for_a4(found):
    printed = page(found, printed=True)
    assert "@page { size: A4" in printed
    assert "print.html" not in printed


def test_the_commands_rehearse_and_analyse(tmp_path):
    run = CliRunner().invoke
    table, out = tmp_path / "trials.csv", tmp_path / "out"
    told = run(app, ["study", "simulate", str(table), "--experts", "1"])
    assert told.exit_code == 0, told.output
    assert len(list(csv.DictReader(io.StringIO(table.read_text())))) == 1170
    told = run(app, ["study", "analyse", str(table), str(out)])
    assert told.exit_code == 0, told.output
    flat = " ".join(told.output.split())
    assert "Readers picked out the synthetic image in" in flat
    assert "117 readers, 1170 pairs" in flat
    assert "1.26 would be expected to" in flat
    assert (out / "print.html").is_file()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rate", "1"], "--rate '1' is not between 0 and 1"),
        (["--radiologists", "0", "--others", "0"], "A study needs readers"),
        (["--images", "4"], "--images '4' is too few: a reader sees 5 of a view"),
    ],
)
def test_a_study_that_cannot_be_is_not_invented(tmp_path, options, told):
    found = CliRunner().invoke(app, ["study", "simulate", str(tmp_path / "t.csv"), *options])
    assert isinstance(found.exception, ConfigError)
    assert told in str(found.exception)
