"""The steps that make a shard set: list the files, read headers, plan, build shards, finish the set.

Each looks at the set's own records to say whether it is done.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mammogan.config.run import Launched, Run
from mammogan.errors import DataError
from mammogan.steps.graph import Node
from mammogan.steps.step import Step


class ListFiles(Step):
    """List every file of the sources."""

    def __call__(self, run: Launched) -> list[Path]:
        """List them, on a compute node: an archive may hold a million."""
        from mammogan.data.listing import list_files

        list_files(Path(run.shards))
        return []


class ReadHeaders(Step):
    """Read and screen the headers of a part of the files."""

    def __call__(self, run: Launched) -> list[Path]:
        """Read every n-th part of the list, n being the number of tasks."""
        from mammogan.data.catalogue import read_headers

        tell = partial(self.progress, unit="headers")
        read_headers(Path(run.shards), self.task, self.node.tasks, on_progress=tell)
        return []


class PlanShards(Step):
    """Decide which image goes into which shard."""

    def __call__(self, run: Launched) -> list[Path]:
        """Sort the catalogue, split it by patient, and write the plan."""
        from mammogan.data.plan import arrange

        arrange(Path(run.shards))
        return []


class BuildShards(Step):
    """Build a part of what is planned; quick when it is built already."""

    def __call__(self, run: Launched) -> list[Path]:
        """Build every n-th shard, n being the number of tasks."""
        from mammogan.data.shard import build_shards

        build_shards(Path(run.shards), self.task, self.node.tasks, on_progress=self.progress)
        return []


class FinishShards(Step):
    """Take duplicates out, write ledger and manifest."""

    def __call__(self, run: Launched) -> list[Path]:
        """Finish the set, and see that it is the one that a training run was launched with."""
        from mammogan.data.finalise import finalise
        from mammogan.data.shardset import ShardSet

        shards = Path(run.shards)
        if not ShardSet(shards).is_built:
            finalise(shards)
        if isinstance(run, Run) and ShardSet(shards).identity != run.data_identity:
            raise DataError(
                f"The shard set '{run.shards}' is no longer the one that this run was launched with: plan it "
                "again from the same sources, or launch a new run."
            )
        return []


def is_done(run: Launched, node: Node, task: int) -> bool:
    """Whether the set's records say that this task has done its work."""
    from mammogan.data import catalogue, listing, plan, shard
    from mammogan.data.shardset import ShardSet

    shards = Path(run.shards)
    if not isinstance(run, Run):
        if node.step == "list":
            return listing.find_listing(shards) is not None
        if node.step == "catalogue":
            return listing.find_listing(shards) is not None and catalogue.is_read(shards, task, node.tasks)
        if not plan.is_arranged(shards):
            return False
        if node.step == "plan":
            return True
    elif ShardSet(shards).identity != run.data_identity:
        return False
    return ShardSet(shards).is_built or (node.step == "shards" and shard.are_built(shards, task, node.tasks))
