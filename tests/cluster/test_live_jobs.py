"""Jobs are known by their ids: at sites that rewrite comments, hide others' jobs, or keep accounts."""

from __future__ import annotations

import json
import time

import pytest

from mammogan.cluster import run_state, slurm_commands, submission_ledger, submit
from mammogan.cluster.run_state import Watcher
from mammogan.cluster.slurm_commands import job_name
from mammogan.errors import ClusterError
from mammogan.run_records import Failure, Submission
from tests.cluster.fake_runs import Runs

RUNNING = [
    "CONFIGURING",
    "COMPLETING",
    "RESIZING",
    "RUNNING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
]
QUEUED = ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"]


ALL = ["shards", "finalise", "train-0", "score-0"]


@pytest.mark.parametrize("comment", ["", "project=42"])
def test_a_site_that_rewrites_comments_gets_no_second_job(run, slurm, comment):
    slurm.change(comment=comment)
    assert run.submit() == ALL
    assert run.submit() == []
    slurm.update("101", state="RUNNING")
    assert [run.state(name).state for name in ALL] == ["running", "queued", "queued", "queued"]
    assert run_state.cancel(run.folder) == 5
    assert slurm.live == []


def test_a_job_in_any_state_but_an_end_is_live(run, slurm):
    run.submitted()
    slurm.change(comment="")
    states = [*RUNNING, *QUEUED, "SOMETHING_NEW"]
    for four in (states[:4], states[4:8], states[8:12], states[-1:]):
        for job_id, state in zip(("101", "102", "103", "104"), four, strict=False):
            slurm.update(job_id, state=state)
        seen = [state.state for state in Watcher(run.folder).read()][: len(four)]
        assert seen == ["queued" if state in QUEUED else "running" for state in four]
    assert run.submit() == []


def test_a_job_that_has_ended_is_submitted_anew(run, slurm):
    run.submitted()
    for job_id, state in zip(
        ("101", "102", "103", "104"), ("TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"), strict=True
    ):
        slurm.update(job_id, state=state)
    assert run.submit() == ALL


def test_jobs_that_slurm_has_forgotten_are_submitted_anew(run, slurm):
    run.submitted()
    slurm.forget()
    assert run.state("shards").reason == "job 101 is gone and left no output"
    run.done("shards")
    assert run.submit() == ALL[1:]


def test_ids_are_asked_for_in_pieces_and_those_unknown_hide_none(run, slurm, monkeypatch):
    run.submitted()
    monkeypatch.setattr(slurm_commands, "IDS_AT_ONCE", 2)
    found = slurm_commands.by_id(["7", "103", "9", "101", "11"])
    assert [job.job_id for job in found] == ["101", "103"]
    assert len(slurm_commands.by_id(["104"])) == 2  # the tasks of an array
    assert slurm_commands.by_id(["7"]) == []
    assert slurm_commands.restarts(["7", "104"]) == {"104_0": 0, "104_1": 0}


def test_an_id_that_another_job_has_now_is_not_the_runs(run, slurm):
    run.submitted()
    slurm.update(name="bash", comment="", command="/home/eve/job.sh")
    assert run.state("shards").state == "failed"
    assert run.submit() == ALL


def test_variables_that_change_what_squeue_shows_are_kept_from_it(run, slurm, monkeypatch):
    (slurm.folder / "squeue").write_text('#!/bin/sh\n[ -z "$SQUEUE_STATES$SLURM_TIME_FORMAT" ] || exit 9\n')
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    assert slurm_commands.by_id(["1"]) == []


# Another user's jobs


def test_a_colleague_sees_whose_the_jobs_are_and_submits_none_beside_them(run, slurm):
    run.submitted()
    slurm.update(user="anna", state="RUNNING")
    run.by("anna")
    assert run.submit() == []
    assert run.state().reason.startswith("belongs to user 'anna'; ")
    with pytest.raises(ClusterError, match=r"Jobs 101, .* belong to user 'anna', who alone can cancel them"):
        run_state.cancel(run.folder)


def test_a_colleague_goes_on_where_anothers_jobs_have_ended(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.update(user="anna", state="FAILED")
    run.done("shards", "finalise")
    assert run.submit() == ["train-0", "score-0"]
    assert [record.user for record in submission_ledger.read(run.folder)][-1] == slurm.user


def test_what_waits_in_vain_for_anothers_failed_job_is_theirs_to_cancel(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.update(user="anna")
    slurm.update("103", state="FAILED")
    run.done("shards", "finalise")
    with pytest.raises(
        ClusterError, match=r"'score-0' wait for a step that failed, and belong to user 'anna'"
    ):
        run.submit()
    assert len(slurm.jobs) == 4


def test_where_others_jobs_are_hidden_nothing_is_submitted_beside_what_may_run(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.update(user="anna", state="RUNNING")
    slurm.change(private="jobs,usage")
    state = run.state("shards")
    assert (state.state, state.reason) == (
        "unknown",
        "belongs to user 'anna'; job 101 is not shown, as nobody else's are by this Slurm",
    )
    with pytest.raises(
        ClusterError, match=r"Whether job 101 of 'shards' still runs is not known.*jobs.jsonl"
    ):
        run.submit()
    with pytest.raises(ClusterError, match="Whether 'shards' still runs is not known"):
        run_state.cancel(run.folder)
    assert len(slurm.jobs) == 4


def test_where_others_jobs_are_hidden_the_runs_folder_tells_what_is_done_and_what_lives(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.update(user="anna", state="RUNNING")
    slurm.change(private="jobs")
    run.done("shards", "finalise", "score-0")
    run.done("score-0")
    run.stub.output(run.folder, "score-0", 1).touch()
    run.span("103", "train-0")
    assert run.state().state == "running"
    assert run.submit() == []
    run.span("103", "train-0", seen=time.time() - 3600)
    assert run.state().state == "unknown"


def test_a_hidden_job_that_left_word_of_a_failure_may_be_tried_again_until_its_script_has_ended(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.change(private="jobs")
    slurm.update(user="anna")
    run.done("shards", "finalise")
    failure = Failure(rank=0, code=1, message="out of luck")
    submission_ledger.note_failure(run.folder, "train-0", 0, failure)
    assert run.state().state == "unknown"
    (run.folder / "attempts").mkdir()
    line = f"job=103 at=0 rc=1 time=x node=n said={failure.line}\n"
    (run.folder / "attempts" / "train-0-0.log").write_text(line)
    assert (run.state().state, run.state().reason) == ("failed", "out of luck")


def test_what_hides_others_jobs_hides_not_ones_own(run, slurm):
    run.submitted()
    slurm.change(private="jobs")
    assert run.submit() == []
    slurm.forget()
    assert run.submit() == ALL


def test_a_job_of_another_cluster_is_never_taken_for_over(run, slurm):
    run.submitted()
    slurm.change(cluster="there")
    slurm.forget()
    with pytest.raises(ClusterError, match=r"was submitted to the cluster 'here', and this Slurm is 'there'"):
        run.submit()
    assert slurm.jobs == []


# Accounting


def accounts(slurm, run, *states):
    """Keep accounts: the states of the jobs 101 to 103, and of the array 104; the last holds for the rest."""
    slurm.add("sacct")
    ids = ("101", "102", "103", "104_[0-1]")
    every = [*states, *states[-1:] * 3][:4]
    lines = [
        f"{job_id}|{state}|{slurm.user}|{job_name(run.run.run_id, node)}"
        for job_id, state, node in zip(ids, every, ALL, strict=True)
    ]
    slurm.change(accounts=lines)


def test_what_accounting_has_at_work_is_live_where_squeue_has_nothing(run, slurm):
    run.submitted()
    slurm.forget()
    accounts(slurm, run, "RUNNING", "SUSPENDED", "REQUEUED", "PENDING")
    assert run.submit() == []
    seen = {state.node.name: state for state in Watcher(run.folder).read()}
    assert [seen[name].state for name in ALL] == ["running", "running", "queued", "queued"]
    assert seen["finalise"].reason == "SUSPENDED by accounting, and squeue does not show it"
    assert seen["score-0"].tasks == ("queued", "queued")


def test_what_accounting_knows_to_be_over_is_submitted_anew(run, slurm):
    run.submitted()
    slurm.forget()
    accounts(slurm, run, "FAILED", "CANCELLED by 1000", "TIMEOUT", "NODE_FAIL")
    assert run.submit() == ALL


def test_accounting_tells_of_hidden_jobs_of_others(run, slurm):
    run.submitted()
    run.by("anna")
    slurm.change(private="jobs")
    slurm.update(user="anna")
    accounts(slurm, run, "CANCELLED by 7")
    assert run.submit() == ALL


def test_a_job_that_accounting_never_saw_end_is_over_when_squeue_and_its_life_say_so(run, slurm):
    run.submitted()
    slurm.forget()
    accounts(slurm, run, "RUNNING")
    run.span("103", "train-0", seen=time.time() - 3600)
    assert run.state().state == "failed"


# Jobs that nobody wrote down


def forget_last(run):
    path = run.folder / "jobs.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("site", [{"comment": ""}, {"comment": "", "command": "(null)"}, {"command": "/x/y"}])
def test_a_job_that_its_launcher_did_not_come_to_write_down_is_replaced(run, slurm, site):
    slurm.change(**site)
    run.submit()
    forget_last(run)
    assert run.submit() == ["score-0"]
    assert [job["id"] for job in slurm.live] == ["101", "102", "103", "105"]


def test_another_runs_job_of_the_same_name_is_left_alone(run, slurm, stub, tmp_path):
    other = Runs(stub, tmp_path / "other", slurm)
    assert other.run.run_id == run.run.run_id
    slurm.change(comment="")
    other.submit()
    run.submit()
    assert len(slurm.live) == 8


def test_a_colleagues_job_that_nobody_wrote_down_is_theirs_to_cancel(run, slurm):
    run.submitted()
    forget_last(run)
    run.by("root")
    slurm.update(user="root")
    with pytest.raises(
        ClusterError, match=r"nobody wrote down belong to user 'root', who alone can cancel.*104"
    ):
        run.submit()


def test_the_ledger_says_whose_a_job_is_and_old_ones_open(run, slurm):
    run.submitted()
    record = submission_ledger.read(run.folder)[0]
    assert (record.user, record.cluster) == (slurm.user, "here")
    old = json.loads(record.line)
    del old["user"], old["cluster"]
    (run.folder / "jobs.jsonl").write_text(json.dumps(old) + "\n")
    assert submission_ledger.read(run.folder) == [Submission(**old)]
    assert run.state("shards").state == "queued"
    slurm.forget()
    assert run.state("shards").state == "failed"


# Slurm away


def test_an_sbatch_whose_answer_is_lost_leaves_one_job_and_one_line(run, slurm, caplog):
    slurm.change(lost=1)
    assert run.submit() == ALL
    assert sorted(job["name"] for job in slurm.live) == sorted(job_name(run.run.run_id, n) for n in ALL)
    assert run.ledger() == ALL
    assert "gave no answer for 'shards'" in caplog.text


def test_an_sbatch_that_never_gets_an_answer_ends_in_an_error_and_no_job(run, slurm):
    slurm.change(lost=99)
    with pytest.raises(
        ClusterError, match=r"Slurm does not answer: sbatch for 'shards' got no answer 3 times.*UP"
    ):
        run.submit()
    assert slurm.live == []
    assert run.ledger() == []


def test_a_refusal_is_no_silence(run, slurm):
    slurm.change(refuses="Invalid account or account/partition combination specified")
    with pytest.raises(ClusterError, match=r"Slurm refused 'shards': .*Invalid account"):
        run.submit()
    assert sum(call.startswith("sbatch") and "--test-only" not in call for call in slurm.calls) == 1


def test_a_launch_outlasts_a_short_silence_and_says_so(run, slurm, caplog):
    slurm.change(silent=3)
    assert run.submit() == ALL
    assert "Slurm does not answer since " in caplog.text and "Slurm answers again" in caplog.text


def test_nodes_that_come_back_after_the_controller_are_waited_for(run, slurm, monkeypatch):
    monkeypatch.undo()
    answers = iter(["silent", "no nodes", "no nodes", ""])

    def preflight(script, named):
        if (answer := next(answers)) == "silent":
            slurm_commands._back.set(time.monotonic())
        elif answer:
            raise ClusterError(answer)

    monkeypatch.setattr(slurm_commands, "PAUSE_S", 0.01)
    monkeypatch.setattr(slurm_commands, "preflight", preflight)
    submit.preflight(run.run, run.folder, run.nodes[:1])
    submit.preflight(run.run, run.folder, run.nodes[:1])
    assert next(answers, None) is None
    slurm_commands._back.set(time.monotonic() - slurm_commands.BACK_S)
    answers = iter(["no nodes"])
    with pytest.raises(ClusterError, match=r"never run a job of \[resources.cpu_array\] of .*: no nodes"):
        submit.preflight(run.run, run.folder, run.nodes[:1])


def test_a_launch_ends_when_slurm_stays_away_and_what_was_submitted_stays(run, slurm, monkeypatch):
    run.submitted()
    monkeypatch.setattr(submit, "PATIENCE_S", 0.1)
    slurm.change(silent=True)
    with pytest.raises(
        ClusterError, match=r"Slurm does not answer: .*Unable to contact.*recorded in '.*jobs.jsonl'"
    ):
        run.submit()
    assert run.ledger() == ALL


@pytest.mark.parametrize(
    ("words", "silent"),
    [
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", True),
        ("Batch job submission failed: Socket timed out on send/recv operation", True),
        ("error: Slurm backup controller in standby mode", True),
        ("slurm_load_jobs error: Zero Bytes were transmitted or received", True),
        ("error: slurm_receive_msg: Connection refused", True),
        ("fatal: Could not establish a configuration source", True),
        ("error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\"", True),
        ("slurm_load_jobs error: Invalid job id specified", False),
        ("Batch job submission failed: Invalid partition name specified", False),
        ("Batch job submission failed: Job violates accounting/QOS policy", False),
        ("Batch job submission failed: Requested node configuration is not available", False),
        ("scancel: error: Kill job error on job id 7: Access/permission denied", False),
        ("sbatch: error: Unable to open file /home/x/.submission_file.sh", False),
    ],
)  # fmt: skip
def test_silence_is_told_from_refusals(words, silent):
    assert slurm_commands.is_silence(words) == silent


def test_a_watch_goes_on_through_a_silence_with_the_last_state(run, slurm):
    run.submitted()
    slurm.update("101", state="RUNNING")
    watcher = Watcher(run.folder)
    updates = run_state.follow(watcher, 0.01)
    assert next(updates)[0].state == "running"
    slurm.change(silent=True)
    for _ in range(3):
        states = {state.node.name: state.state for state in next(updates)}
        assert (states["shards"], states["train-0"]) == ("running", "queued")
        assert "Slurm does not answer since " in watcher.silence
    run.done("shards")
    assert next(updates)[0].state == "done"
    since = watcher.silence.split(" (")[0]
    slurm.change(silent=0)
    slurm.update(state="CANCELLED")
    assert since and [states[1].state for states in updates][-1] == "cancelled"
    assert watcher.silence == ""


def test_a_first_look_while_slurm_is_away_tells_what_the_folder_says(run, slurm, monkeypatch):
    run.submitted()
    monkeypatch.setattr(slurm_commands, "ANSWER_S", 0.2)
    slurm.change(hangs=["squeue"])
    run.done("shards")
    run.span("102", "finalise")
    watcher = Watcher(run.folder)
    began = time.monotonic()
    states = {state.node.name: state.state for state in watcher.read()}
    assert time.monotonic() - began < 5
    assert [states[name] for name in ALL] == ["done", "running", "unknown", "unknown"]
    assert "gave no answer within 0 s" in watcher.silence
    with pytest.raises(ClusterError, match="gave no answer"):
        run_state.cancel(run.folder)
