"""A pool of processes in which a task may crash, hang or eat memory; results come in the order of tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimeUpError
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from mammogan import interruption, machine
from mammogan.memory import keep_pages

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 2
"""Times that a task whose worker died is tried, since the system may have killed the wrong one."""
TIME_LIMIT_S = 120.0
"""For one task; the slowest decoder needs about one second for a frame."""
MEMORY_LIMIT_GB = 4
"""Of a worker's own data. A frame needs a tenth of a gigabyte; a forged stream may ask for anything."""


def ordered(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int | None,
    lost: Callable[[Task, str], Result],
    time_limit_s: float = TIME_LIMIT_S,
) -> Iterator[Result]:
    """Map `function` over `tasks` in `workers` processes, a few tasks ahead of what is taken.

    A pool that breaks, because a worker was killed that had no task yet, is started again.

    Parameters
    ----------
    workers
        None takes every core that this process may use; 0 does everything in this process, without limits.
    lost
        Gives the result of a task that has killed its worker (``decoder-crashed``) or was stopped after
        `time_limit_s` (``time-limit``), each in all of several attempts.
    """
    if workers == 0:
        yield from map(function, tasks)
        return
    count = workers or machine.cores()
    todo, broken = iter(tasks), 0
    pool, waiting = _started(function, list(islice(todo, 3 * count)), count, time_limit_s)
    try:
        while waiting:
            task, future = waiting.popleft()
            attempt = 1
            while True:
                try:
                    result = future.result()
                    broken = 0
                    break
                except BrokenProcessPool:  # a worker died that had nothing to do yet, and took the pool along
                    broken += 1
                    if broken > ATTEMPTS:
                        raise
                    pool.stop()  # type: ignore[no-untyped-call]
                    pool, waiting = _started(
                        function, [task, *(each for each, _ in waiting)], count, time_limit_s
                    )
                    task, future = waiting.popleft()
                    continue
                except TimeUpError:
                    reason = "time-limit"
                except ProcessExpired:
                    reason = "decoder-crashed"
                if attempt == ATTEMPTS:
                    result = lost(task, reason)
                    break
                attempt += 1
                _, future = _submitted(pool, function, task, time_limit_s)
            waiting.extend(_submitted(pool, function, task, time_limit_s) for task in islice(todo, 1))
            yield result
    except KeyboardInterrupt:
        _end_at_once(pool)
        raise
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _started(
    function: Callable[[Task], Result], tasks: list[Task], count: int, time_limit_s: float
) -> tuple[ProcessPool, deque[tuple[Task, Any]]]:
    """Start a pool with its first tasks."""
    # Fresh interpreters: a fork would copy the threads' locks of whatever library is loaded here.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPool(count, initializer=_settle, context=context)
    # Its threads and processes start here. Ctrl-C is this thread's: a process that is still importing would
    # answer it by a traceback.
    resource_tracker.ensure_running()  # would unblock the signal, were it started later
    try:
        with interruption.left_to_parent():
            waiting = deque(_submitted(pool, function, task, time_limit_s) for task in tasks)
    except KeyboardInterrupt:
        _end_at_once(pool)
        raise
    return pool, waiting


def _end_at_once(pool: ProcessPool) -> None:
    """End a pool and its processes, also one that is only starting, which would miss its parent aloud."""
    pool.stop()  # type: ignore[no-untyped-call]
    for process in multiprocessing.active_children():
        process.kill()
    pool.join()


def _submitted(
    pool: ProcessPool, function: Callable[[Task], Result], task: Task, time_limit_s: float
) -> tuple[Task, Any]:
    try:
        return task, pool.schedule(function, args=[task], timeout=time_limit_s)
    except RuntimeError as error:  # the pool has broken since
        future: Future[Result] = Future()
        future.set_exception(BrokenProcessPool(str(error)))
        return task, future


def _settle() -> None:
    """Make a worker die with its parent, keep to its memory, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    machine.limit_memory(MEMORY_LIMIT_GB)  # and no core dump, which would hold patients' images
    keep_pages()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
