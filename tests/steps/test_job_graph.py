"""The job graph as data: any method gives one that a scheduler can take as it is."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.config.run_config import merge, shard_build
from mammogan.config.site import load_site
from mammogan.steps import STEPS
from mammogan.steps.job_graph import RESOURCES, graph, until

TOUR = load_method("tour")


def launched(method, tasks=3):
    return merge(method, (), load_site("local"), Path("shards"), "data", "0", tasks)


@st.composite
def methods(draw):
    return TOUR.model_copy(
        update={
            "ladder": TOUR.ladder.model_copy(update={"stages": draw(st.integers(1, 9))}),
            "scoring": TOUR.scoring.model_copy(
                update={
                    "checkpoints": draw(st.integers(1, 9)),
                    "checkpoints_per_task": draw(st.integers(1, 4)),
                }
            ),
            "sampling": TOUR.sampling.model_copy(
                update={
                    "images_per_view": draw(st.integers(1, 1000)),
                    "images_per_task": draw(st.integers(1, 700)),
                }
            ),
        }
    )


@given(methods())
def test_every_node_follows_what_it_needs_and_names_are_unique(method):
    seen = set()
    for node in graph(launched(method)):
        assert set(node.needs) <= seen
        assert node.name not in seen
        seen.add(node.name)


@given(methods())
def test_every_node_is_a_known_step_of_a_known_resource_with_a_task_at_least(method):
    for node in graph(launched(method)):
        assert node.step in STEPS
        assert node.resource in RESOURCES
        assert node.tasks >= 1
        assert (node.stage is not None) == (node.step in ("train", "score"))


@given(methods())
def test_a_stage_trains_after_the_one_before_and_is_scored_meanwhile(method):
    nodes = {node.name: node for node in graph(launched(method))}
    for stage in range(1, method.ladder.stages):
        assert nodes[f"train-{stage}"].needs == (f"train-{stage - 1}",)
        assert nodes[f"score-{stage}"].needs == (f"train-{stage}",)
    assert nodes["train-0"].needs == ("finalise",)
    assert nodes["select"].needs == tuple(f"score-{stage}" for stage in range(method.ladder.stages))


@given(methods())
def test_the_scoring_tasks_of_a_stage_share_its_checkpoints_and_none_is_idle(method):
    share = method.scoring.checkpoints_per_task
    for stage in schedule.plan(method):
        tasks = next(node.tasks for node in graph(launched(method)) if node.name == f"score-{stage.index}")
        shares = [stage.checkpoints()[task * share :][:share] for task in range(tasks)]
        assert all(shares)
        assert sum(shares, ()) == stage.checkpoints()


@given(methods(), st.data())
def test_until_keeps_a_node_with_all_that_it_needs_and_no_more(method, data):
    nodes = graph(launched(method))
    last = data.draw(st.sampled_from(nodes))
    kept = until(nodes, last.name)
    names = {node.name for node in kept}
    assert kept[-1] == last
    assert kept == tuple(node for node in nodes if node.name in names)
    assert all(set(node.needs) <= names for node in kept)
    needed = {need for node in kept for need in node.needs}
    assert names == needed | {last.name}


def test_until_a_stage_scores_nothing():
    names = [node.name for node in until(graph(launched(TOUR)), "train-1")]
    assert names == ["shards", "finalise", "train-0", "train-1"]


def test_until_a_node_that_is_not_there_is_an_error():
    with pytest.raises(KeyError):
        until(graph(launched(TOUR)), "train-99")


def test_shards_alone_are_made_by_arrays_of_as_many_tasks_as_asked_for():
    nodes = graph(shard_build(Path("shards"), 5, load_site("local"), "0"))
    assert [(node.name, node.tasks) for node in nodes] == [
        ("list", 1), ("catalogue", 5), ("plan", 1), ("shards", 5), ("finalise", 1),
    ]  # fmt: skip
    assert all(after.needs == (before.name,) for before, after in pairwise(nodes))
    assert all(node.step in STEPS and node.resource in RESOURCES for node in nodes)
