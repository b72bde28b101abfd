import os
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest
from pebble import ProcessPool

from mammogan.data import process_pool


def misbehave(word):
    if word == "crash":
        os.abort()
    if word == "hang":
        time.sleep(3600)
    if word == "eat":
        return len(bytearray(8 << 30))
    return word


def lost(task, reason):
    return f"{task}: {reason}"


def test_a_task_that_kills_its_worker_or_hangs_is_given_up_and_the_others_go_on():
    tasks = ["a", "crash", "b", "hang", "c"]
    found = list(process_pool.ordered(misbehave, tasks, 2, lost, time_limit_s=4))
    assert found == ["a", "crash: decoder-crashed", "b", "hang: time-limit", "c"]


def test_a_task_that_asks_for_too_much_memory_is_refused_it():
    with pytest.raises(MemoryError):
        list(process_pool.ordered(misbehave, ["eat"], 1, lost))


def test_results_come_in_the_order_of_the_tasks_which_are_taken_as_they_are_needed():
    taken = []

    def tasks():
        for number in range(50):
            taken.append(number)
            yield number

    results = process_pool.ordered(misbehave, tasks(), 2, lost)
    assert next(results) == 0
    assert len(taken) < 10
    assert list(results) == list(range(1, 50))


def test_an_error_of_the_function_comes_through():
    with pytest.raises(TypeError):
        list(process_pool.ordered(len, [3], 1, lost))


def test_a_pool_that_breaks_is_started_again_and_loses_nothing(monkeypatch):
    """As when a worker is killed that has no task yet, which is no task's fault."""
    start, started = process_pool._started, []

    def breaking(*arguments):
        begun, waiting = start(*arguments)
        started.append(begun)
        if len(started) < 3:
            task, _ = waiting[0]
            broken = Future()
            broken.set_exception(BrokenProcessPool("All workers expired"))
            waiting[0] = task, broken
            begun.stop()
        return begun, waiting

    monkeypatch.setattr(process_pool, "_started", breaking)
    assert list(process_pool.ordered(abs, range(-9, 0), 2, lost)) == list(range(9, 0, -1))
    assert len(started) == 3


def test_a_pool_that_breaks_each_time_is_given_up(monkeypatch):
    def dead(function, tasks, count, time_limit_s):
        begun = ProcessPool(count)
        begun.stop()
        return begun, deque(process_pool._submitted(begun, function, task, time_limit_s) for task in tasks)

    monkeypatch.setattr(process_pool, "_started", dead)
    with pytest.raises(BrokenProcessPool):
        list(process_pool.ordered(abs, range(3), 2, lost))
