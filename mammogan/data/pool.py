"""A pool of processes that survives the death of a worker, and gives results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 2
"""Times that a task which was running when a worker died is tried alone, before it is given up."""


def ordered(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int | None,
    lost: Callable[[Task], Result],
) -> Iterator[Result]:
    """Map `function` over `tasks` in `workers` processes; ``lost(task)`` stands for one that kills.

    A native decoder that crashes takes its process down, and the pool breaks without saying which task did
    it: all that were under way are tried again alone. With 0 workers everything is done in this process. None
    takes every core that this process may use.
    """
    if workers == 0:
        yield from map(function, tasks)
        return
    count = workers or len(os.sched_getaffinity(0))
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    pool, todo = _pool(count), iter(tasks)
    try:
        while True:
            while len(waiting) < 3 * count and (task := next(todo, _END)) is not _END:
                waiting.append((task, _submit(pool, function, task)))  # type: ignore[arg-type]
            if not waiting:
                return
            try:
                result = waiting[0][1].result()
            except BrokenProcessPool:
                pool.shutdown()
                suspects = [task for task, _ in waiting]
                waiting.clear()
                for suspect in suspects:
                    yield _alone(function, suspect, lost)
                pool = _pool(count)
            else:
                waiting.popleft()
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


_END = object()


def _pool(count: int) -> ProcessPoolExecutor:
    # Fresh interpreters: a fork would copy the threads' locks of whatever library is loaded here.
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_die_with_parent)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    try:
        return pool.submit(function, task)
    except BrokenProcessPool as error:  # it broke just now: let the loop find out in its own place
        broken: Future[Result] = Future()
        broken.set_exception(error)
        return broken


def _alone(function: Callable[[Task], Result], task: Task, lost: Callable[[Task], Result]) -> Result:
    for _ in range(ATTEMPTS):
        with _pool(1) as pool:
            try:
                return pool.submit(function, task).result()
            except BrokenProcessPool:
                continue
    return lost(task)


def _die_with_parent() -> None:
    """Let a worker end when its parent is killed: it would wait for ever for tasks otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
