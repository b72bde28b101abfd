"""What a retry submits again: what was lost, what waited for it, and nothing else."""

from __future__ import annotations

import pytest

from mammogan.cluster.resubmission import renewal
from mammogan.cluster.run_state import STATES, NodeState
from mammogan.errors import ConfigError
from mammogan.steps.job_graph import Node

NEEDS = {
    "train-0": (),
    "score-0": ("train-0",),
    "train-1": ("train-0",),
    "score-1": ("train-1",),
    "select": ("score-0", "score-1"),
}


def states(**tasks):
    """Make the states of a small graph; what is not named is done."""
    made = []
    for name, needs in NEEDS.items():
        mine = tasks.get(name.replace("-", "_"), ("done",))
        node = Node(name, name, None, len(mine), "gpu_one", needs)
        made.append(NodeState(node, min(mine, key=STATES.index), mine, {}, "", None))
    return made


def names(again):
    return [node.name for node in again.nodes]


def test_nothing_is_chosen_where_nothing_was_lost():
    again = renewal(states(select=("running",)))
    assert (again.nodes, again.lost) == ((), ())


def test_what_waits_for_a_lost_step_follows_it_and_what_is_done_does_not():
    lost = {"train_1": ("failed",), "score_1": ("blocked",), "select": ("blocked",)}
    again = renewal(states(**lost))
    assert names(again) == ["train-1", "score-1", "select"]
    assert again.lost == (("train-1", 0),)
    assert not again.left_out


def test_one_task_alone_leaves_the_others_and_what_needs_them():
    lost = {"score_0": ("failed", "done", "cancelled"), "select": ("blocked",)}
    one = renewal(states(**lost), "score-0", 2)
    assert names(one) == ["score-0"]
    assert one.lost == (("score-0", 2),)
    assert ("score-0", 0) in one.left_out
    assert ("score-0", 2) not in one.left_out
    assert names(renewal(states(**lost), "score-0")) == ["score-0", "select"]


def test_a_step_that_needs_another_lost_one_waits_for_that():
    lost = {"score_0": ("failed",), "score_1": ("failed",), "select": ("blocked",)}
    assert names(renewal(states(**lost), "score-0")) == ["score-0"]
    assert names(renewal(states(**lost))) == ["score-0", "score-1", "select"]


def test_a_cancelled_run_is_renewed_as_a_whole():
    lost = dict.fromkeys(("train_0", "score_0", "train_1", "score_1", "select"), ("blocked",))
    assert names(renewal(states(**lost | {"train_0": ("cancelled",)}))) == list(NEEDS)


def test_unknown_steps_and_tasks_are_explained():
    with pytest.raises(ConfigError, match=r"no step 'scor-0'.*score-0"):
        renewal(states(), "scor-0")
    with pytest.raises(ConfigError, match=r"no task '3' of the step 'score-0': its tasks are 0 to 0"):
        renewal(states(), "score-0", 3)
    with pytest.raises(ConfigError, match=r"no task '0'.*name the step as well"):
        renewal(states(), None, 0)
