"""When each job ran, in RUN/spans: one small file a start, kept after the scheduler has forgotten the job."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from mammogan.config.run_config import load
from mammogan.errors import MammoganError
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Span
from mammogan.steps.job_graph import graph

REFRESH_S = 30.0
"""So much of a job that was killed may go uncounted."""


def read(run: Path) -> list[Span]:
    """List all starts of a run's tasks, in the order of their begin."""
    found = map(Span.read_if_sound, RunFolder(run).spans.glob("*.json"))
    return sorted(filter(None, found), key=lambda span: span.began)


@contextmanager
def noted(run: Path, node: str, task: int) -> Iterator[None]:
    """Note that this job's process works on a task while the block lasts; of several ranks, rank 0 does."""
    if os.environ["RANK"] != "0":
        yield
        return
    span = _begun(run, node, task)
    _write(run, span)
    over = Event()

    def refresh() -> None:
        while not over.wait(REFRESH_S):
            _write(run, span.model_copy(update={"seen": time.time()}))

    refreshing = Thread(target=refresh, daemon=True)
    refreshing.start()
    try:
        yield
    finally:
        over.set()
        refreshing.join()
        _write(run, span.model_copy(update={"seen": time.time(), "ended": True}))


def _begun(run: Path, node: str, task: int) -> Span:
    launched, now = load(run), time.time()
    resources = {each.name: each.resource for each in graph(launched)}
    resource = launched.site.resources.of(resources[node])
    return Span(
        node=node,
        task=task,
        job_id=_job_id(),
        restart=int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        began=now,
        seen=now,
        ended=False,
        ranks=(ranks := int(os.environ["WORLD_SIZE"])),
        cpus=ranks * int(os.environ.get("MAMMOGAN_CPUS") or resource.cpus_per_task),
        gpus=resource.nodes * resource.gpus_per_node,
    )


def _job_id() -> str:
    """Name this job as the ledger does."""
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        return f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]
    return os.environ.get("SUBMITIT_LOCAL_JOB_ID", str(os.getpid()))


def _write(run: Path, span: Span) -> None:
    """Write a span; no job shall fail for want of it."""
    with suppress(OSError, MammoganError):
        write(RunFolder(run).span(span.job_id, span.task, span.restart), span.line)
