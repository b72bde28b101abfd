"""Shards from the planned DICOMs, if nobody has built them before."""

from __future__ import annotations

from pathlib import Path

from mammogan.config.run import Run
from mammogan.errors import DataError
from mammogan.steps.step import Step


class BuildShards(Step):
    """Build what `mammogan shards plan` has planned; quick when it is built already."""

    def __call__(self, run: Run) -> list[Path]:
        """Build the shard set of the run; its manifest is its own mark of being done."""
        from mammogan.data.build import build
        from mammogan.data.shardset import ShardSet

        if not ShardSet(Path(run.shards)).is_built:
            build(Path(run.shards), on_progress=self.progress)
        found = ShardSet(Path(run.shards)).identity
        if found != run.data_identity:
            raise DataError(
                f"The shard set '{run.shards}' is no longer the one that this run was launched with: plan it "
                "again from the same sources, or launch a new run."
            )
        return []


def is_built(run_dir: Path) -> bool:
    """Whether the run's shard set is whole: built, and of the identity that the run was launched with."""
    from mammogan.data.shardset import ShardSet

    run = Run.load(run_dir)
    shard_set = ShardSet(Path(run.shards))
    return shard_set.is_built and shard_set.identity == run.data_identity
