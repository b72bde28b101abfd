"""The job graphs, as plain data.

Of a run: shards -> finalise -> train -> score -> select -> sample -> assess -> compare -> report. Of a shard
set alone: list -> catalogue -> plan -> shards -> finalise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.method import Method
from mammogan.config.run_config import Launched, Run

# The resource classes that a site's profile must define, and what asks for them.
RESOURCES = ("login", "cpu_array", "gpu_one", "gpu_nodes")


@dataclass(frozen=True)
class Node:
    """One job of the graph: an array of `tasks` tasks of one step, ready once all of `needs` succeeded.

    Attributes
    ----------
    name : str
        Unique in the graph, as ``train-3``.
    step : str
        Key into `mammogan.steps.STEPS`, as ``train``.
    stage : int or None
        Progressive stage, where the step has one.
    tasks : int
        Array size; 1 is an ordinary job.
    resource : str
        Resource class of the site's profile (one of `RESOURCES`); ``gpu_nodes`` is one process group.
    needs : tuple of str
        Names of the nodes that must have succeeded.
    """

    name: str
    step: str
    stage: int | None
    tasks: int
    resource: str
    needs: tuple[str, ...]


def graph(launched: Launched) -> tuple[Node, ...]:
    """List the nodes of a launch in an order in which every node follows what it needs."""
    tasks = launched.shard_tasks
    if isinstance(launched, Run):
        return (*_shards(tasks, ()), *_training(launched.method))
    return (
        Node("list", "list", None, 1, "cpu_array", ()),
        Node("catalogue", "catalogue", None, tasks, "cpu_array", ("list",)),
        Node("plan", "plan", None, 1, "cpu_array", ("catalogue",)),
        *_shards(tasks, ("plan",)),
    )


def _shards(tasks: int, needs: tuple[str, ...]) -> tuple[Node, ...]:
    return (
        Node("shards", "shards", None, tasks, "cpu_array", needs),
        Node("finalise", "finalise", None, 1, "cpu_array", ("shards",)),
    )


def _training(method: Method) -> tuple[Node, ...]:
    nodes, before = [], "finalise"
    for stage in schedule.plan(method):
        train, score = f"train-{stage.index}", f"score-{stage.index}"
        tasks = math.ceil(len(stage.checkpoints()) / method.scoring.checkpoints_per_task)
        nodes.append(Node(train, "train", stage.index, 1, "gpu_nodes", (before,)))
        nodes.append(Node(score, "score", stage.index, tasks, "gpu_one", (train,)))
        before = train
    scores = tuple(node.name for node in nodes if node.step == "score")
    pool = method.sampling.images_per_view * len(VIEWS)
    draws = math.ceil(pool / method.sampling.images_per_task)
    nodes.append(Node("select", "select", None, 1, "login", scores))
    nodes.append(Node("sample", "sample", None, draws, "gpu_one", ("select",)))
    looked_at = 3 * len(VIEWS) * images_per_view(method)  # synthetics, held-out reals, training reals
    looks = math.ceil(looked_at / method.assessment.images_per_task)
    nodes.append(Node("assess", "assess", None, looks, "cpu_array", ("sample",)))
    nodes.append(Node("compare", "compare", None, 1, "cpu_array", ("assess",)))
    nodes.append(Node("report", "report", None, 1, "login", ("compare",)))
    return tuple(nodes)


def images_per_view(method: Method) -> int:
    """Say how many images of a view the report is taken from, at most: no more reals than synthetics."""
    return min(method.assessment.images_per_view, method.sampling.images_per_view)


def until(nodes: tuple[Node, ...], last: str) -> tuple[Node, ...]:
    """Keep the node `last` and all that it needs, directly or not.

    Raises
    ------
    KeyError
        If there is no node of that name.
    """
    by_name = {node.name: node for node in nodes}
    wanted, queue = set(), [last]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue.extend(by_name[name].needs)
    return tuple(node for node in nodes if node.name in wanted)
