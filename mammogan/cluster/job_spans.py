"""When each job ran, in RUN/spans: one small file a start, kept after the scheduler has forgotten the job."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread

from mammogan.config.run_config import load
from mammogan.errors import MammoganError
from mammogan.files import write
from mammogan.steps.job_graph import graph

REFRESH_S = 30.0
"""So much of a job that was killed may go uncounted."""


@dataclass(frozen=True)
class Span:
    """One start of a task: the seconds (since 1970) of its begin, and of its end or when it was last seen."""

    node: str
    task: int
    job_id: str
    restart: int
    began: float
    seen: float
    ended: bool
    ranks: int
    gpus: int


def read(run: Path) -> list[Span]:
    """List all starts of a run's tasks, in the order of their begin."""
    found = []
    for path in (run / "spans").glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            found.append(Span(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda span: span.began)


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
            _write(run, replace(span, seen=time.time()))

    refreshing = Thread(target=refresh, daemon=True)
    refreshing.start()
    try:
        yield
    finally:
        over.set()
        refreshing.join()
        _write(run, replace(span, seen=time.time(), ended=True))


def _begun(run: Path, node: str, task: int) -> Span:
    launched, now = load(run), time.time()
    resources = {each.name: each.resource for each in graph(launched)}
    resource = launched.site.resources.of(resources[node])
    return Span(
        node,
        task,
        _job_id(),
        int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        began=now,
        seen=now,
        ended=False,
        ranks=int(os.environ["WORLD_SIZE"]),
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
        write(run / "spans" / f"{span.job_id}_{span.task}_{span.restart}.json", json.dumps(asdict(span)))
