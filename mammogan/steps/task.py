"""One task of a node of the graph: what a step is given, and what travels to a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammogan.config.run_config import Launched, load
from mammogan.config.settings import nearest
from mammogan.errors import ConfigError
from mammogan.steps.job_graph import Node, graph
from mammogan.steps.task_progress import report_progress


@dataclass(frozen=True)
class Task:
    """Task `number` of `node` in the run of folder `folder`."""

    folder: Path
    node: Node
    number: int

    @property
    def stage(self) -> int:
        """The progressive stage of a node that has one."""
        assert self.node.stage is not None
        return self.node.stage

    def progress(self, done: int, total: int, unit: str = "images", note: str = "") -> None:
        """Write how far this task is; anyone who looks at the run sees it."""
        report_progress(self.folder, self.node.name, self.number, done, total, unit, note)


Step = Callable[[Task, Any], list[Path]]
"""Does the work of a task and returns the files made, which are what a later launch checks.

The second argument is what was launched: a `Run`, or for the steps of shards any `Launched`. Heavy imports
belong inside.
"""


def find_task(folder: Path, name: str, number: int, launched: Launched | None = None) -> Task:
    """Look up a task of the graph of what was launched in `folder`.

    Raises
    ------
    ConfigError
        If there is no such node or task.
    """
    nodes = {node.name: node for node in graph(launched or load(folder))}
    if name not in nodes:
        raise ConfigError(f"The run '{folder}' has no step '{name}'.{nearest(name, nodes)}")
    if not 0 <= number < nodes[name].tasks:
        raise ConfigError(
            f"The step '{name}' has no task '{number}': its tasks are 0 to {nodes[name].tasks - 1}."
        )
    return Task(folder, nodes[name], number)
