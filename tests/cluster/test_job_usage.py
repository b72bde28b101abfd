"""What jobs note of themselves, and what a run has used by that or by accounting."""

from __future__ import annotations

import time

import pytest

from mammogan.cluster import job_accounts, job_spans, slurm_commands, submission_ledger
from mammogan.cluster.job_usage import usage
from mammogan.cluster.job_words import explained
from mammogan.cluster.run_state import Watcher


@pytest.fixture
def run(stub, tmp_path, monkeypatch):
    """The folder of a run at the devcluster's site, of which no Slurm is asked anything."""
    stub.make_run(tmp_path / "r", "devcluster")
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "SUBMITIT_EXECUTOR": "slurm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(slurm_commands, "use", lambda site: None)
    for name, value in {"by_id": [], "restarts": {}, "config": {}}.items():
        monkeypatch.setattr(slurm_commands, name, lambda *_, value=value: value)
    monkeypatch.setattr(job_accounts, "accounted", lambda jobs: {})
    monkeypatch.setattr(job_accounts, "kept", lambda jobs, cluster: {})
    monkeypatch.setattr(slurm_commands, "outcome", lambda job: "")
    return tmp_path / "r"


def states(run):
    return Watcher(run).read()


def span(run, **changes):
    """Write a span of train-0 in job 7: two nodes with a GPU each for an hour."""
    whole = job_spans.Span(
        node="train-0",
        task=0,
        job_id="7",
        restart=0,
        began=1000.0,
        seen=4600.0,
        ended=True,
        ranks=2,
        gpus=2,
    )
    mine = whole.model_copy(update=changes)
    path = run / "spans" / f"{mine.job_id}_{mine.task}_{mine.restart}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(mine.line)


def test_a_job_notes_its_begin_its_being_and_its_end_also_if_it_fails(run, monkeypatch):
    monkeypatch.setattr(job_spans, "REFRESH_S", 0.05)
    seen = []

    def work():
        seen.extend(job_spans.read(run))
        while (later := job_spans.read(run))[0].seen == seen[0].seen:
            time.sleep(0.01)
        seen.extend(later)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), job_spans.noted(run, "train-0", 0):
        work()
    begun, later, ended = *seen, *job_spans.read(run)
    assert (begun.ended, later.ended, ended.ended) == (False, False, True)
    assert begun.seen < later.seen <= ended.seen
    assert (ended.job_id, ended.ranks, ended.gpus, ended.node) == ("7", 2, 2, "train-0")


def test_of_an_array_the_task_is_noted_as_the_ledger_names_it(run, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "9")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    with job_spans.noted(run, "score-0", 1):
        pass
    assert [path.name for path in (run / "spans").iterdir()] == ["9_1_1_2.json"]
    record = submission_ledger.append(run, "score-0", "9", (0, 1), "slurm")
    assert job_spans.read(run)[0].job_id == record.task_id(1)


def test_other_ranks_note_nothing(run, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with job_spans.noted(run, "train-0", 0):
        assert job_spans.read(run) == []


def test_hours_of_all_starts_add_up_by_what_the_jobs_noted(run):
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    span(run)
    span(run, restart=1, began=9000.0, seen=9000.0 + 1800, ended=False)  # killed: seen for half an hour
    used = usage(run, states(run))["train-0"]
    assert (used.starts, used.failed) == (2, 0)
    assert used.gpu_hours == used.rank_hours == pytest.approx(3)
    assert usage(run, states(run))["score-0"].starts == 0


def test_what_runs_counts_until_now(run, monkeypatch):
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    span(run, began=time.time() - 7200, seen=time.time() - 7000, ended=False)
    queued = slurm_commands.Queued("7", "RUNNING", "None", "N/A", str(run))
    monkeypatch.setattr(slurm_commands, "by_id", lambda ids: [queued])
    assert usage(run, states(run))["train-0"].gpu_hours == pytest.approx(4, abs=0.01)


def test_accounting_is_believed_where_there_is_one(run, monkeypatch):
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    span(run)
    monkeypatch.setattr(job_accounts, "accounted", lambda jobs: {"7": job_accounts.Accounted(3600, 10_800)})
    assert usage(run, states(run))["train-0"].gpu_hours == pytest.approx(3)


def test_submissions_restarts_and_failed_attempts_are_counted(run, monkeypatch):
    submission_ledger.append(run, "train-0", "6", (0,), "slurm")
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    monkeypatch.setattr(slurm_commands, "restarts", lambda jobs: {"7": 3})
    (run / "attempts").mkdir()
    (run / "attempts" / "train-0-0.log").write_text("job=7 ...\njob=7 ...\n")
    used = usage(run, states(run))["train-0"]
    assert (used.starts, used.failed) == (5, 2)


def test_accounting_is_asked_once_and_adds_up_a_requeued_jobs_lines(tmp_path, monkeypatch):
    program = tmp_path / "sacct"
    lines = "12_0|600|billing=8,cpu=8,gres/gpu=4,node=1\\n12_0|60|cpu=8,gres/gpu=4\\n13|5|cpu=1"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nprintf "{lines}\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert job_accounts.accounted({"13", "12"}) == {
        "12_0": job_accounts.Accounted(660, 2640, 5280),
        "13": job_accounts.Accounted(5, 0, 5),
    }
    assert "-j 12,13" in (tmp_path / "asked").read_text()
    program.write_text("#!/bin/sh\necho Slurm accounting storage is disabled; exit 1\n")
    assert job_accounts.accounted({"13"}) == {}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("None", ""),
        ("Priority", "others are before it in the queue (Priority)"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "are down or reserved (ReqNodeNotAvail, Unavail"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_why_a_job_waits_is_said_in_plain_words(reason, told):
    assert told in explained(reason)


def test_cpu_hours_are_those_of_the_cpus_that_a_job_held(run):
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    span(run, cpus=16)
    used = usage(run, states(run))["train-0"]
    assert (used.cpu_hours, used.began, used.ended) == (pytest.approx(16), 1000.0, 4600.0)
    span(run)  # as versions wrote it that did not note them: two ranks of a CPU each, by the profile
    assert usage(run, states(run))["train-0"].cpu_hours == pytest.approx(2)


def test_what_ran_and_was_noted_by_nobody_is_unknown_and_not_nothing(run, stub, monkeypatch):
    for node, job in (("shards", "6"), ("train-0", "7")):
        submission_ledger.append(run, node, job, (0,), "slurm")
        stub.output(run, node).parent.mkdir(exist_ok=True)
        stub.output(run, node).write_text("{}")
    span(run)
    used = usage(run, states(run))
    assert (used["shards"].unknown, used["train-0"].unknown, used["select"].unknown) == (1, 0, 0)
    monkeypatch.setattr(job_accounts, "accounted", lambda jobs: {"6": job_accounts.Accounted(3600, 0, 7200)})
    known = usage(run, states(run))
    assert (known["shards"].unknown, known["shards"].cpu_hours) == (0, pytest.approx(2))


def test_gpus_count_where_accounting_does_not_count_them(run, monkeypatch):
    submission_ledger.append(run, "train-0", "7", (0,), "slurm")
    monkeypatch.setattr(job_accounts, "accounted", lambda jobs: {"7": job_accounts.Accounted(3600, 0, 7200)})
    assert usage(run, states(run))["train-0"].gpu_hours == pytest.approx(2)  # two nodes with one each
