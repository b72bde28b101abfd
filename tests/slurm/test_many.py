"""Large arrays on the real Slurm."""

from __future__ import annotations

import pytest

from mammogan.cluster import slurm_commands, submission_ledger
from mammogan.run_folder import RunFolder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_array_of_a_thousand_tasks_is_one_submission_and_its_three_failures_alone_are_tried_again(launcher):
    run, failing = launcher(checkpoints=1000), (7, 512, 999)
    run.stub.order(run.folder, **{f"score_0_{task}": "fail" for task in failing})
    run.submit()
    (array,) = (record for record in submission_ledger.read(run.folder) if record.node == "score-0")
    assert array.tasks == tuple(range(1000))
    states = run.finish(3600)
    assert [task for task, state in enumerate(states["score-0"].tasks) if state != "done"] == list(failing)
    assert states["select"].state == "blocked"
    # One array of Slurm's, of which each task has written its own log.
    assert all(submission_ledger.log(run.folder, array, task).exists() for task in range(1000))
    assert len(list(RunFolder(run.folder).logs("score-0").glob("*_submission.sh"))) == 1
    made = {
        task: run.stub.output(run.folder, "score-0", task).stat().st_mtime_ns
        for task in range(1000)
        if task not in failing
    }
    run.stub.order(run.folder)
    again = run.submit()
    assert again[0].tasks == failing
    assert [record.node for record in again].count("score-0") == 1
    states = run.finish(300)
    assert {s.state for s in states.values()} == {"done"}
    assert all(
        run.stub.output(run.folder, "score-0", task).stat().st_mtime_ns == at for task, at in made.items()
    )
    assert not slurm_commands.queue(str(run.folder))
