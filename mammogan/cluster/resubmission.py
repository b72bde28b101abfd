"""What to submit again of a run: tasks that failed or were cancelled, and what waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammogan.cluster.run_state import LIVE, LOST, NodeState
from mammogan.config.settings import nearest
from mammogan.errors import ConfigError
from mammogan.steps.job_graph import Node


@dataclass(frozen=True)
class Renewal:
    """Nodes to start again, and those of their tasks, as (node, task), that are left as they are."""

    nodes: tuple[Node, ...]
    left_out: frozenset[tuple[str, int]]
    lost: tuple[tuple[str, int], ...]


def renewal(states: Sequence[NodeState], step: str | None = None, task: int | None = None) -> Renewal:
    """Choose what failed or was cancelled, of `step` and `task` alone if given, and what can follow it.

    A node follows if it was waiting for a chosen one and waits for no other that is lost.

    Raises
    ------
    ConfigError
        If there is no such step or task.
    """
    by_name = {state.node.name: state for state in states}
    if step is not None and step not in by_name:
        raise ConfigError(f"The run has no step '{step}'.{nearest(step, by_name)}")
    if task is not None:
        tasks = by_name[step].node.tasks if step else 0
        if not 0 <= task < tasks:
            hint = f"its tasks are 0 to {tasks - 1}" if step else "name the step as well"
            raise ConfigError(f"There is no task '{task}' of the step '{step or ''}': {hint}.")

    nodes: list[Node] = []
    lost: list[tuple[str, int]] = []
    left_out: set[tuple[str, int]] = set()
    ready: set[str] = set()
    for state in states:
        name = state.node.name
        mine = [t for t in state.among(*LOST) if step in (None, name) and task in (None, t)]
        follows = any(need in {node.name for node in nodes} for need in state.node.needs)
        possible = all(need in ready for need in state.node.needs)
        if possible and (mine or (follows and state.state in ("blocked", "waiting", *LOST))):
            nodes.append(state.node)
            lost += [(name, t) for t in mine]
            if not follows:
                left_out |= {(name, t) for t in range(state.node.tasks) if t not in mine}
        going = {
            *state.among("done", *LIVE),
            *mine,
            *(range(state.node.tasks) if follows and possible else ()),
        }
        if len(going) == state.node.tasks:
            ready.add(name)
    return Renewal(tuple(nodes), frozenset(left_out), tuple(lost))
