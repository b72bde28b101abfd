"""The commands around a study: how far it is, its tables, packs to take along, and erasing."""

import csv
import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammogan import __version__
from mammogan.cli import app
from mammogan.errors import ConfigError, DataError
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.study_export import participant_columns
from mammogan.study.reader.study_folder import load_numbers, load_secret
from mammogan.study.reader.study_service import StudyService
from mammogan.study.reader.study_site import make
from mammogan.study.web.answer_store import JOURNAL, peek
from tests.patience import PATIENCE_S
from tests.study.asgi import Browser
from tests.study.made_study import answer, enter, make_study, trial_of
from tests.study.served import free_port

HIDDEN = ("real_id", "synth_id", "model_id", "synth_side", "correct")


@pytest.fixture
def folder(tmp_path):
    make_study(tmp_path / "study")
    return tmp_path / "study"


def run(*words):
    return CliRunner().invoke(app, ["study", *map(str, words)])


def done(*words):
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(kind, *words):
    result = run(*words)
    assert isinstance(result.exception, kind), (result.output, result.exception)
    return str(result.exception)


def take_part(folder, people=1, pairs=10):
    """Let people answer so many scored pairs; give their erasure codes."""
    service = StudyService(folder)
    site, codes = make(service), []
    for number in range(people):
        browser = Browser(site)
        text = enter(browser, service.secret.reader).text
        for _ in range(2):
            text = answer(browser, text).text
        text = browser.post("ready").text
        while (trial := trial_of(text)) is not None and trial <= pairs:
            side = ("left", "right")[(trial + number) % 2]
            text = answer(browser, text, side, max_zoom_l="2.5", confidence="3").text
        codes.append(service.secret.erasure_code(service.store.events[-1]["participant"]))
    service.store.close()
    return codes


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_status_tells_how_far_it_is_while_it_is_served(folder):
    take_part(folder, people=2, pairs=3)
    service = StudyService(folder)
    told = " ".join(done("status", folder).split())
    service.store.close()
    assert "version 1" in told
    assert "2 │ 0 │ 6 │ 0 │ │ open" in told


def test_an_export_tells_what_was_right_only_once_the_study_is_locked(folder, tmp_path):
    take_part(folder, people=2)
    out = tmp_path / "out"
    assert "without what was right" in done("export", folder, out)
    rows = table(out / "trials.csv")
    assert list(rows[0]) == list(trial_columns())
    assert len(rows) == 20
    assert all(row[name] == "" for row in rows for name in HIDDEN)
    assert "locked" in done("lock", folder)
    assert "was locked before" in done("lock", folder)
    done("export", folder, out)  # over the earlier one
    rows = table(out / "trials.csv")
    plans = {
        row["plan_hash"]: json.loads(row["plan"])
        for row in peek(folder, TABLES).rows("SELECT * FROM participants")
    }
    for row in rows:
        pair = next(p for p in plans[row["plan_hash"]]["pairs"] if p["trial"] == int(row["trial"]))
        assert (row["real_id"], row["synth_id"]) == (pair["real"], pair["synthetic"])
        assert (row["view"], row["synth_side"]) == (pair["view"], pair["synthetic_side"])
        assert row["correct"] == str(int(row["answer_side"] == pair["synthetic_side"]))
        assert row["model_id"] == "0123456789ab"
        assert (row["role"], row["board"], row["breast"], row["years"]) == ("radiologist", "yes", "no", "12")
        assert (row["rt_ms"], row["max_zoom_l"], row["confidence"]) == ("1234", "2.5", "3")
    marks = [tuple(row) for row in peek(folder, TABLES).rows("SELECT kind FROM marks")]
    assert marks == [("locked",), ("unblinded",)]


def test_a_study_that_was_exported_into_itself_is_analysed_by_its_name(folder, tmp_path):
    assert "has no trials.csv: `mammogan study lock" in refused(
        DataError, "analyse", folder, tmp_path / "results"
    )
    take_part(folder, people=3)
    done("lock", folder)
    done("export", folder, folder / "export")
    told = done("analyse", folder, tmp_path / "results")
    assert "3 readers, 30 pairs" in told
    assert (tmp_path / "results" / "analysis.json").exists()


def test_an_export_says_what_its_columns_mean_and_what_was_shown(folder, tmp_path):
    take_part(folder, pairs=4)
    out = tmp_path / "out"
    done("export", folder, out)
    names = {"trials.csv", "participants.csv", "codebook.md", "study.json", "images.sha256"}
    assert {path.name for path in out.iterdir()} == names
    assert json.loads((out / "study.json").read_text())["margin"] == 0.1
    people = table(out / "participants.csv")
    assert list(people[0]) == list(participant_columns())
    assert [(row["number"], row["answered"], row["complete"]) for row in people] == [("0", "4", "0")]
    book = (out / "codebook.md").read_text()
    assert all(f"| `{name}` |" in book for name in (*trial_columns(), *participant_columns()))
    (out / "mine.txt").write_text("")
    assert "holds 'mine.txt', which no export wrote" in refused(ConfigError, "export", folder, out)


def test_nothing_of_a_participant_but_his_answers_is_exported(folder, tmp_path):
    take_part(folder)
    done("export", folder, tmp_path / "out")
    secret = load_secret(folder)
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    participant = table(tmp_path / "out" / "participants.csv")[0]["participant"]
    for private in (secret.key, secret.reader, secret.admin, secret.erasure_code(participant), "from-r0000"):
        assert private not in text


def test_erasing_by_code_works_from_the_command_line(folder):
    codes = take_part(folder, people=2, pairs=1)
    assert "nobody's in this study" in refused(ConfigError, "erase", folder, "AAAA-AAAA")
    assert "erased" in done("erase", folder, codes[0])
    assert "nobody's in this study" in refused(ConfigError, "erase", folder, codes[0])
    assert "1 │ 0 │ 1 │ 1" in " ".join(done("status", folder).split())


def test_while_a_study_is_served_only_its_server_writes(folder, tmp_path):
    service = StudyService(folder)
    for words in (("lock", folder), ("erase", folder, "A"), ("pack", folder, tmp_path / "p")):
        assert "is open in another process" in refused(ConfigError, *words)
    service.store.close()


def test_packs_have_participants_of_their_own_and_come_home_once(folder, tmp_path):
    take_part(folder, pairs=2)
    for name in ("one", "two"):
        done("pack", folder, tmp_path / name)
    packs = [tmp_path / name / "study" for name in ("one", "two")]
    assert [load_numbers(pack).first for pack in packs] == [1000, 2000]
    assert load_secret(packs[0]).reader != load_secret(folder).reader
    codes = [take_part(pack, people=2, pairs=3) for pack in packs]
    assert "18 new entries" in done("merge", folder, tmp_path / "one")  # two people's: 4 pages, 5 answers
    done("merge", folder, tmp_path / "one", packs[1])
    assert "0 new entries" in done("merge", folder, *packs)
    snapshot = peek(folder, TABLES)
    assert [row["number"] for row in snapshot.rows("SELECT number FROM participants ORDER BY number")] == [
        0, 1000, 1001, 2000, 2001,
    ]  # fmt: skip
    counted = snapshot.rows(
        "SELECT participant, trial, count(*) AS n FROM answers GROUP BY participant, trial"
    )
    assert {row["n"] for row in counted} == {1}
    assert len(counted) == 4 + 4 * 5
    take_part(folder)
    numbers = peek(folder, TABLES).rows("SELECT number FROM participants ORDER BY number")
    assert [row["number"] for row in numbers][:3] == [0, 1, 1000]
    done("erase", packs[0], codes[0][0])  # on the laptop, after it was merged
    done("merge", folder, tmp_path / "one")
    done("erase", folder, codes[1][1])  # at home, and the pack still has it
    done("merge", folder, *packs)
    numbers = peek(folder, TABLES).rows("SELECT number FROM participants WHERE number >= 1000")
    assert [row["number"] for row in numbers] == [1001, 2000]


def test_what_cannot_be_packed_or_merged_is_told(folder, tmp_path):
    done("pack", folder, tmp_path / "pack")
    assert "is there already: a pack may hold answers" in refused(
        ConfigError, "pack", folder, tmp_path / "pack"
    )
    assert "is itself a pack" in refused(ConfigError, "pack", tmp_path / "pack" / "study", tmp_path / "p")
    make_study(tmp_path / "other")
    done("pack", tmp_path / "other", tmp_path / "stranger")
    assert "merge it into its own" in refused(DataError, "merge", folder, tmp_path / "stranger")
    assert "is a study, not a pack of one" in refused(DataError, "merge", folder, folder)
    assert "is no reader study" in refused(DataError, "merge", folder, tmp_path / "pack" / "app")
    done("lock", folder)
    assert "is locked: merge before locking" in refused(ConfigError, "merge", folder, tmp_path / "pack")
    assert "is locked: nobody can take part" in refused(ConfigError, "pack", folder, tmp_path / "late")


def test_a_pack_serves_itself_by_its_script_with_nothing_of_ours_installed(folder, tmp_path):
    done("pack", folder, tmp_path / "pack")
    pack = tmp_path / "pack"
    python = pack / "venv" / "bin" / "python"  # as if it were set up: CI has no internet to do it from
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert "fastapi==" in (pack / "requirements.txt").read_text()
    asked = [sys.executable, "-m", "mammogan", "--version"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=pack / "app").stdout
    assert version.strip() == __version__
    port = free_port()
    process = subprocess.Popen(
        [pack / "run.sh", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    said = process.stdout.readline()
    assert f"Participants: http://127.0.0.1:{port}/?token={load_secret(pack / 'study').reader}" in said
    for _ in range(3):
        said += process.stdout.readline()
    assert f"ssh -N -L {port}:127.0.0.1:{port} " in said
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/static/style.css")
    assert connection.getresponse().status == 200
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    process.terminate()
    assert process.wait(PATIENCE_S) == 143
    assert "cv2" not in loaded and "torch" not in loaded
    assert not (pack / "study" / JOURNAL).read_text()


def test_new_wants_both_sources_and_says_what_a_rehearsal_is(tmp_path, folder):
    assert "is no empty folder" in refused(ConfigError, "new", folder, tmp_path)
    assert "Give a run after the folder, or --real" in refused(
        ConfigError, "new", tmp_path / "s", "--real", tmp_path
    )
    words = ("new", tmp_path / "s", tmp_path, "--real", tmp_path)
    assert "leave out --real and --synthetic" in refused(ConfigError, *words)
    (tmp_path / "s.toml").write_text("[study]\nmargins = 0.1\n")
    words = (
        "new",
        tmp_path / "s",
        "--real",
        tmp_path,
        "--synthetic",
        tmp_path,
        "--settings",
        tmp_path / "s.toml",
    )
    assert "unknown key 'study.margins'. Did you mean 'margin'?" in refused(ConfigError, *words)
