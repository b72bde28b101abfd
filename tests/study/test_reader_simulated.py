"""Many people at once, over HTTP, at a server that is killed again and again."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.study.analysis.read_trials import read
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.reading_plan import Plan
from mammogan.study.web.answer_store import JOURNAL, peek
from mammogan.study.web.event_journal import whole_lines
from tests.study.made_study import make_study
from tests.study.people import Person
from tests.study.served import Served

KILLS = 3


def take_part(folder, people, at_once):
    """Let `people` take part while the server is killed `KILLS` times; give them when all are through."""
    answers, lock = Counter(), threading.Lock()
    moments = [people * 12 * (number + 1) // (KILLS + 1) for number in range(KILLS)]
    reached = [threading.Event() for _ in moments]

    def told():
        with lock:
            answers["all"] += 1
            for moment, event in zip(moments, reached, strict=True):
                if answers["all"] >= moment:
                    event.set()

    with Served(folder) as server, ThreadPoolExecutor(at_once) as threads:
        token = server.tokens["reader"]
        running = [
            threads.submit(lambda seed: Person(server.url, token, seed, looks=seed % 10 == 0).run(told), seed)
            for seed in range(people)
        ]
        for event in reached:
            assert event.wait(600)
            server.kill()
            server.start()
        return [one.result() for one in running]


@pytest.mark.parametrize(
    ("people", "at_once"), [(12, 6), pytest.param(117, 20, marks=pytest.mark.slow, id="whole")]
)
@pytest.mark.timeout(1800)
def test_no_answer_is_lost_and_none_is_doubled(tmp_path, people, at_once):
    folder = tmp_path / "study"
    make_study(folder)
    through = take_part(folder, people, at_once)
    assert sum(person.retries for person in through) >= KILLS  # the kills were felt
    snapshot = peek(folder, TABLES)
    kept = {}
    for row in snapshot.rows("SELECT participant, trial, side FROM answers"):
        kept.setdefault(row["participant"], {})[row["trial"]] = row["side"]
    assert len(kept) == people
    assert sorted(map(sorted, (sides.items() for sides in kept.values()))) == sorted(
        sorted(person.sides.items()) for person in through
    )
    scored = [trial for sides in kept.values() for trial in sides if trial > 0]
    assert len(scored) == 10 * people
    assert {trial: scored.count(trial) for trial in range(1, 11)} == dict.fromkeys(range(1, 11), people)
    events = Counter(
        (event["participant"], event.get("trial"))
        for event in whole_lines(folder / JOURNAL)[0]
        if event["kind"] == "answered"
    )
    assert set(events.values()) == {1} and len(events) == 12 * people
    check_numbers_and_plans(snapshot, people)
    check_export(folder, tmp_path / "export", people, kept)


def check_numbers_and_plans(snapshot, people):
    rows = snapshot.rows("SELECT number, plan, plan_hash FROM participants ORDER BY number")
    assert [row["number"] for row in rows] == list(range(people))
    plans = [Plan.model_validate_json(row["plan"]) for row in rows]
    assert [plan.sha256 for plan in plans] == [row["plan_hash"] for row in rows]
    for kind in ("real", "synthetic"):
        shown = Counter((p.view, getattr(p, kind)) for plan in plans for p in plan.pairs if p.trial > 0)
        for side in ("CC", "MLO"):
            counts = [count for (of, _), count in shown.items() if of == side]
            assert max(counts) - min(counts) <= 1


def check_export(folder, out, people, kept):
    """Lock and export, and have the analysis read what was right as it was planted."""
    for words in (("lock", folder), ("export", folder, out)):
        result = CliRunner().invoke(app, ["study", *map(str, words)])
        assert result.exit_code == 0, (result.output, result.exception)
    trials = read(out / "trials.csv")
    assert len(trials.readers) == people
    assert len(trials.reader_N) == 10 * people
    right = Counter()
    for row in peek(folder, TABLES).rows("SELECT participant, plan FROM participants"):
        plan = Plan.model_validate_json(row["plan"])
        for trial, side in kept[row["participant"]].items():
            right[row["participant"]] += trial > 0 and plan.at(trial).synthetic_side == side
    found = {
        reader: int(trials.correct[trials.reader_N == n].sum()) for n, reader in enumerate(trials.readers)
    }
    assert found == dict(right)
