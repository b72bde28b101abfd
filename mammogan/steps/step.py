"""What a step is: a small frozen object that travels to a job and does its work when it is called there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from mammogan.config.run_config import Run
from mammogan.steps.job_graph import Node
from mammogan.steps.task_progress import report_progress


@dataclass(frozen=True)
class Step(ABC):
    """Task `task` of `node` in the run of folder `folder`; heavy imports belong inside the call."""

    folder: Path
    node: Node
    task: int

    @abstractmethod
    def __call__(self, run: Run) -> list[Path]:
        """Do the work and give the files made, which are what a later launch checks."""

    @property
    def stage(self) -> int:
        """The progressive stage of a node that has one."""
        assert self.node.stage is not None
        return self.node.stage

    def progress(self, done: int, total: int, unit: str = "images", note: str = "") -> None:
        """Tell how far this task is; anyone who looks at the run sees it."""
        report_progress(self.folder, self.node.name, self.task, done, total, unit, note)
