"""A pool of processes in which a task may crash, hang or eat memory; results come in the order of tasks."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TimeUpError
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

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
    count = workers or len(os.sched_getaffinity(0))
    todo = iter(tasks)
    # Fresh interpreters: a fork would copy the threads' locks of whatever library is loaded here.
    context = multiprocessing.get_context("spawn")
    with ProcessPool(count, initializer=_settle, context=context) as pool:

        def submit(task: Task) -> tuple[Task, Any]:
            return task, pool.schedule(function, args=[task], timeout=time_limit_s)

        # Its threads and processes start here. Ctrl-C is this thread's: a process that is still importing
        # would answer it by a traceback.
        resource_tracker.ensure_running()  # would unblock the signal, were it started later
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        waiting = deque(map(submit, islice(todo, 3 * count)))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            while waiting:
                task, future = waiting.popleft()
                for attempt in range(1, ATTEMPTS + 1):
                    reason = "decoder-crashed"
                    try:
                        result = future.result()
                        break
                    except TimeUpError:
                        reason = "time-limit"
                    except ProcessExpired:
                        pass
                    if attempt == ATTEMPTS:
                        result = lost(task, reason)
                    else:
                        _, future = submit(task)
                waiting.extend(map(submit, islice(todo, 1)))
                yield result
        finally:
            pool.stop()  # type: ignore[no-untyped-call]


def _settle() -> None:
    """Make a worker die with its parent, keep to its memory, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = MEMORY_LIMIT_GB << 30
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold patients' images
    keep_pages()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
