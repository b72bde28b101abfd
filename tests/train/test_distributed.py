"""The process group of a stage: joined by the environment, and left with all its threads."""

import os
import subprocess
import sys

import pytest

from tests.patience import PATIENCE_S
from tests.train.conftest import free_port

# What is registered before the group is joined runs after it was left.
RANK = """
import atexit
from pathlib import Path

def threads():  # those that hold tensors
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return sum("runloop" in name for name in names)

atexit.register(lambda: print("left", threads(), flush=True))
from mammogan.train.distributed import join

def work():
    group = join()
    vote = group.vote(group.rank == 1)
    heard = group.broadcast(group.rank + 7.0)
    print("joined", threads() > 0, group.world_size, vote.result(), heard, flush=True)
    ERROR

work()
"""


@pytest.mark.parametrize("error", ["", "raise RuntimeError('ranks and vote live on in the traceback')"])
def test_no_thread_of_a_group_outlives_it_even_after_an_error(error):
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK.replace("ERROR", error)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        said, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == bool(error), errors
        assert said.splitlines()[-2:] == ["joined True 2 True 7.0", "left 0"]
