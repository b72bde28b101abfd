"""What every job runs: enter the process group, run one task of one step, leave with an honest exit code."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from submitit import JobEnvironment

from mammogan.cluster import job_spans, rank_environment, submission_ledger
from mammogan.config.run_config import load
from mammogan.errors import ClusterError, MammoganError, StopRequestedError
from mammogan.run_records import Failure
from mammogan.steps.job_graph import graph

log = logging.getLogger(__name__)


def main(run: str, node: str, task: int) -> None:
    """Run task `task` of `node`; submitit calls this in each process of a job.

    A step that finds the file MAMMOGAN_STOP_FILE saves and raises `StopRequestedError` in every rank; the
    batch script knows its exit code and queues the job again.

    Raises
    ------
    SystemExit
        With a code other than 0 if the step failed; its message stands in the log and in RUN/failures.
    """
    _log_to(sys.stdout)
    _remove_torso()
    # submitit ignores TERM and answers USR2 with a checkpoint of its own; here a cancelled job dies at once.
    for name in (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR2):
        signal.signal(name, signal.SIG_DFL)
    os.environ.update(rank_environment.variables(os.environ))
    try:
        with job_spans.noted(Path(run), node, task), _scratch():
            perform(Path(run), node, task)
    except StopRequestedError as error:
        log.info("%s", error)
        # srun ends the step once one rank has left: the others shall be on their way out with the same code.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(2 if os.environ["WORLD_SIZE"] != "1" else 0)
        raise SystemExit(error.exit_code) from None
    except MammoganError as error:
        _fail(Path(run), node, task, str(error), error.exit_code)
    except Exception as error:  # whatever it is, its traceback belongs into the log
        log.exception("%s task %d failed", node, task)
        _fail(Path(run), node, task, f"{type(error).__name__}: {error}", 1)


def by_hand(run: Path, name: str, task: int, device: str = "") -> None:
    """Run a task in the foreground, as a process group of one; on `device`, or what the run's site says."""
    _log_to(sys.stderr)
    os.environ.update(rank_environment.variables({}))
    perform(run, name, task, **({"device": device} if device else {}))


def perform(run: Path, name: str, task: int, **choice: str) -> None:
    """Run a task in this process once what it needs is verified; one that is done already is left alone.

    `choice` may name the ``device``, instead of the run's site.

    Raises
    ------
    ConfigError
        If the run has no such step or task.
    ClusterError
        If what the step needs isn't there: a scheduler may start a job whose dependency it has forgotten.
        If it shall compute on a GPU, and there is none.
    """
    from mammogan import steps

    launched = load(run)
    node = steps.find_task(run, name, task, launched).node
    nodes = {each.name: each for each in graph(launched)}
    if steps.is_done(run, node, task):
        log.info("%s task %d is done already", name, task)
        return
    for need in node.needs:
        missing = [i for i in range(nodes[need].tasks) if not steps.is_done(run, nodes[need], i)]
        if missing:
            raise ClusterError(
                f"'{name}' needs '{need}', of which {len(missing)} of {nodes[need].tasks} tasks are not done "
                f"(task {missing[0]} for one). Launch the run again: it fills in what is missing."
            )
    log.info("%s task %d starts as rank %s of %s", name, task, os.environ["RANK"], os.environ["WORLD_SIZE"])
    steps.run(run, name, task, **choice)


def _remove_torso() -> None:
    """Remove the result that submitit was writing when this job died before: it refuses to write over it."""
    if "SUBMITIT_FOLDER" not in os.environ:
        return  # not one of submitit's jobs
    result = JobEnvironment().paths.result_pickle
    result.with_suffix(f"{result.suffix}.save_tmp").unlink(missing_ok=True)


def _log_to(stream: TextIO) -> None:
    """Log what this package does, and what goes wrong elsewhere."""
    logging.basicConfig(stream=stream, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("mammogan").setLevel(logging.INFO)
    logging.getLogger("submitit").propagate = False


def _fail(run: Path, node: str, task: int, message: str, code: int) -> None:
    log.error("%s", message)
    submission_ledger.note_failure(
        run, node, task, Failure(rank=int(os.environ["RANK"]), code=code, message=message)
    )
    if os.environ["WORLD_SIZE"] != "1":  # an ordinary exit may wait for peers in a collective, for ever
        logging.shutdown()
        os._exit(code)
    raise SystemExit(code)


@contextmanager
def _scratch() -> Iterator[None]:
    """Keep temporary files and compilers' caches in a folder of the task's own on the node's disk."""
    root = os.environ.get("MAMMOGAN_SCRATCH")
    if not root:
        yield
        return
    folder = tempfile.mkdtemp(prefix="mammogan-", dir=root)
    for name in ("TMPDIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR"):
        os.environ[name] = folder
    tempfile.tempdir = None  # forget the folder that was found before
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
