"""A table of trials is read whole or refused: each refusal names file, line and what to do."""

import csv

import numpy as np
import pytest

from mammogan.errors import ConfigError, DataError
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.analysis.read_trials import read, silent
from mammogan.study.analysis.simulate_readers import Plan, simulate
from mammogan.study.analysis.study_design import design_of, find_trials
from mammogan.study.analysis.write_trials import write_trials

SMALL = Plan(radiologists=3, others=2, pairs=4, images_per_view=6)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "trials.csv"
    write_trials(path, simulate(SMALL, seed=1))
    return path


def edited(path, change, columns=None):
    """Rewrite a table after `change` of its rows, a list of dicts."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns or list(trial_columns()), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def setting(row, **values):
    return lambda rows: rows[row].update(values)


def test_what_was_written_is_read(table):
    wrote, found = simulate(SMALL, seed=1), read(table)
    assert (found.study_id, found.readers, found.answers) == (wrote.study_id, wrote.readers, wrote.answers)
    for name in ("reader_N", "trial_N", "synth_left_N", "answer_left_N"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wrote, name), name)
    for name in ("confidence_N", "rt_ms_N", "zoom_N", "wl_changes_N", "hidden_ms_N"):
        np.testing.assert_allclose(getattr(found, name), getattr(wrote, name), rtol=1e-5, err_msg=name)
    for name in ("real_N", "synth_N"):  # numbered anew, in the order of their first trials
        pairs = {*zip(getattr(found, name).tolist(), getattr(wrote, name).tolist(), strict=True)}
        assert len({new for new, _ in pairs}) == len({old for _, old in pairs}) == len(pairs)
    assert found.right.sum() == found.correct.sum()
    assert found.answered.tolist() == [4] * 5


def test_columns_in_another_order_and_further_ones_are_fine(table):
    before = read(table)
    edited(table, lambda rows: [row.update(note="x") for row in rows], (*reversed(trial_columns()), "note"))
    np.testing.assert_array_equal(read(table).correct, before.correct)


def test_what_readers_did_not_say_is_unknown(table):
    blank = {"role": "", "board": "prefer not", "breast": "", "years": ""}
    edited(table, lambda rows: [row.update(blank) for row in rows if row["participant"] == "P001"])
    found = read(table)
    assert [found.answers_to(name)[0] for name in blank] == [""] * 4
    assert found.roles[1] == "radiologist"


def test_other_spellings_of_yes_no_and_a_role_are_understood(table):
    told = {"role": "Radiologist", "board": "TRUE", "breast": "0", "years": "2.50"}
    edited(table, lambda rows: [row.update(told) for row in rows if row["participant"] == "P001"])
    found = read(table)
    assert [found.answers_to(name)[0] for name in told] == ["radiologist", "yes", "no", "2.50"]


REFUSED = {
    "unlocked": (
        lambda rows: [row.update(correct="", real_id="", synth_id="") for row in rows],
        r"'correct' is empty, so the study was not locked .*`mammogan study lock STUDY`",
    ),
    "a trial twice": (
        lambda rows: rows.append(dict(rows[2])),
        r"lines 4 and 22 are both trial '3' of participant 'P001'. Each trial counts once",
    ),
    "a share for a trial": (
        setting(3, correct="0.6"),
        r"line 5: 'correct' is '0.6'; allowed: 1, yes, true, 0, no, false. This looks like a share",
    ),
    "some trials unscored": (setting(3, correct=""), "line 5: 'correct' is ''; allowed: 1, yes, true"),
    "a score against the sides": (
        lambda rows: rows[1].update(correct=str(1 - int(rows[1]["correct"]))),
        r"line 3: 'correct' contradicts 'synth_side' and 'answer_side' \(1 lines in all\)",
    ),
    "no side": (setting(0, answer_side="middle"), "line 2: 'answer_side' is 'middle'; allowed: left, right"),
    "no number": (
        setting(0, rt_ms="soon"),
        "line 2: 'rt_ms' is 'soon'; allowed: a number from 0, or nothing",
    ),
    "no place": (setting(0, trial="0"), "line 2: 'trial' is '0'; allowed: a whole number from 1"),
    "no participant": (setting(0, participant=""), "line 2: the column 'participant' is empty"),
    "another role": (
        lambda rows: [row.update(role="surgeon") for row in rows if row["participant"] == "P002"],
        "participant 'P002': 'role' is 'surgeon'; allowed: radiologist, other, or nothing",
    ),
    "two roles": (
        setting(0, role="other"),
        "participant 'P001' has two values of 'role', 'other' and 'radiologist'",
    ),
    "no flag": (
        lambda rows: [row.update(board="soon") for row in rows if row["participant"] == "P001"],
        "participant 'P001': 'board' is 'soon'; allowed: yes, no, or nothing",
    ),
    "no years": (
        lambda rows: [row.update(years="many") for row in rows if row["participant"] == "P001"],
        "participant 'P001': 'years' is 'many'; allowed: a number from 0, or nothing",
    ),
    "two studies": (setting(0, study_id="other"), "mixes studies: 'study_id' is 'other' and 'simulated'"),
    "no trial": (lambda rows: rows.clear(), "has column names and no trial: nobody has answered yet"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_table_is_refused(table, what):
    change, told = REFUSED[what]
    with pytest.raises(DataError, match=told):
        read(edited(table, change))


def test_a_missing_table_says_how_to_get_one(tmp_path):
    with pytest.raises(
        DataError, match=r"There is no table of trials '.*no.csv': `mammogan study export STUDY"
    ):
        read(tmp_path / "no.csv")


def test_an_empty_file_is_refused(table):
    table.write_text("")
    with pytest.raises(DataError, match="is empty: it has not even a line of column names"):
        read(table)


def test_missing_columns_are_named_with_the_nearest_there_is(table):
    table.write_text("participant,trials,right\nP1,10,6\n")
    told = r"has no column 'study_id' \(nor study_version, .*\); the table that is read has one row a scored"
    with pytest.raises(DataError, match=told):
        read(table)
    edited(table, lambda rows: None)
    text = table.read_text().replace("answer_side", "answer_sied")
    table.write_text(text)
    with pytest.raises(DataError, match=r"no column 'answer_side'; .* Did you mean 'answer_sied'"):
        read(table)


def test_a_line_that_was_cut_short_is_named(table):
    text = table.read_text().splitlines()
    table.write_text("\n".join([*text[:4], text[4][:40]]))
    with pytest.raises(DataError, match="line 5: not as many values as column names"):
        read(table)


def test_what_is_no_text_is_refused(table):
    table.write_bytes(b"\xff\xfe\x00study")
    with pytest.raises(DataError, match="is no CSV table in UTF-8"):
        read(table)


def test_a_study_without_export_says_what_to_type(tmp_path):
    with pytest.raises(DataError, match=r"has no trials.csv: `mammogan study lock .*`mammogan study export"):
        find_trials(tmp_path)


def test_the_margin_is_the_studys_and_nobody_elses(table):
    trials = read(table)
    study = table.with_name("study.json")
    assert design_of(table, trials, None, None).margin == 0.1
    assert not design_of(table, trials, 0.05, None).fixed
    study.write_text('{"study_id": "simulated", "margin": 0.08, "pairs": 4, "filtered": true, "seed": 3}')
    found = design_of(table, trials, None, None)
    assert (found.margin, found.fixed, found.pairs, found.filtered) == (0.08, True, 4, True)
    assert design_of(table, trials, 0.08, 4) == found
    with pytest.raises(
        ConfigError, match=r"--margin '0.05' is not the study's: study.json has '0.08', fixed bef"
    ):
        design_of(table, trials, 0.05, None)
    inner = table.parent / "export" / "trials.csv"
    inner.parent.mkdir()
    table.rename(inner)
    assert design_of(inner, trials, None, None) == found


def test_a_design_that_does_not_fit_the_trials_is_refused(table):
    trials, study = read(table), table.with_name("study.json")
    with pytest.raises(ConfigError, match=r"--margin: the margin '0.7' of the equivalence test"):
        design_of(table, trials, 0.7, None)
    with pytest.raises(
        DataError, match=r"participant 'P001' has 4 trials, and the study has 3 pairs. Practice"
    ):
        design_of(table, trials, None, 3)
    study.write_text('{"study_id": "elsewhere", "margin": 0.1}')
    with pytest.raises(DataError, match=r"is of the study 'elsewhere', and '.*' of 'simulated'"):
        design_of(table, trials, None, None)
    for text in ('{"margin": "wide"}', "{", "[]"):
        study.write_text(text)
        with pytest.raises(DataError, match=r"study.json' is damaged"):
            design_of(table, trials, None, None)


def test_who_enrolled_and_answered_nothing_is_counted(table):
    trials, beside = read(table), table.with_name("participants.csv")
    assert silent(table, trials) is None
    beside.write_text("participant,answered\n" + "".join(f"{who},4\n" for who in (*trials.readers, "P9")))
    assert silent(table, trials) == 1
    beside.write_text("participant,answered\nP001,4\n")
    with pytest.raises(DataError, match=r"participants.csv' does not list the participant 'P002'"):
        silent(table, trials)
