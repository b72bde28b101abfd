"""What a launch submits: tasks that are neither done nor live, and nothing beside a job that may run."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from mammogan.cluster.live_jobs import UNKNOWN
from mammogan.cluster.run_state import LIVE, NodeState, Watcher, whose
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import Node


def plan(
    watcher: Watcher,
    wanted: Sequence[Node],
    states: Mapping[str, NodeState],
    left_out: Collection[tuple[str, int]],
) -> list[tuple[Node, list[int], list[str]]]:
    """Choose the tasks of each node to submit, and the queued jobs that these take the place of.

    Raises
    ------
    ClusterError
        If a job that may run can't be seen from here, or one that must go belongs to another user.
    """
    for name in dict.fromkeys(each for node in wanted for each in (*node.needs, node.name)):
        if hidden := states[name].among(UNKNOWN):
            raise ClusterError(
                f"Whether job {states[name].jobs[hidden[0]]} of '{name}' still runs is not known: "
                f"{states[name].reason}. Two jobs of one step would write the same files, so nothing was "
                "submitted. Whoever submitted it can launch or cancel the run; once it is over, take its "
                f"line out of '{RunFolder(watcher.folder).ledger}'."
            )
    chosen: list[tuple[Node, list[int], list[str]]] = []
    for node in wanted:
        state = states[node.name]
        kept, replaced = set(state.among(*LIVE)), []
        if any(need == other.name for need in node.needs for other, tasks, _ in chosen if tasks):
            waits = state.among("queued")  # for a job that has failed: they would never start
            kept -= set(waits)
            replaced = [state.jobs[task] for task in waits]
        kept |= {task for task in range(node.tasks) if (node.name, task) in left_out}
        tasks = [task for task in range(node.tasks) if task not in kept and state.tasks[task] != "done"]
        others = {job_id: watcher.users[job_id] for job_id in replaced if job_id in watcher.users}
        if others and os.geteuid() != 0:
            raise ClusterError(
                f"Jobs {', '.join(others)} of '{node.name}' wait for a step that failed, and belong to "
                f"{whose(others.values())}, who alone can cancel them: ask for `mammogan cancel "
                f"{watcher.folder}`, and launch again. Nothing was submitted."
            )
        if tasks:
            chosen.append((node, tasks, replaced))
    return chosen
