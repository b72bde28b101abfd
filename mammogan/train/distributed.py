"""The process group of a stage, from the environment that torch's own launchers set."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from mammogan.train import accelerator


@dataclass(frozen=True)
class Vote:
    """A flag on its way around the ranks."""

    votes: Tensor
    work: Any

    def result(self) -> bool:
        """Wait for all votes, and tell whether any of them raised the flag."""
        if self.work is not None:
            self.work.wait()
        return bool(self.votes.item())


@dataclass(frozen=True)
class ProcessGroup:
    """One process among those that train together."""

    rank: int
    world_size: int

    @property
    def is_main(self) -> bool:
        """Whether this rank writes what is written once."""
        return self.rank == 0

    def vote(self, flag: bool) -> Vote:
        """Begin to ask all ranks whether any of them raises `flag`; every rank must."""
        votes = torch.tensor([float(flag)])
        if self.world_size == 1:
            return Vote(votes, None)
        return Vote(votes, dist.all_reduce(votes, group=_control(), async_op=True))

    def any(self, flag: bool) -> bool:
        """Tell all ranks whether any of them raised `flag`."""
        return self.vote(flag).result()

    def broadcast(self, number: float) -> float:
        """Return the main rank's number on every rank."""
        numbers = torch.tensor([number if self.is_main else 0.0], dtype=torch.float64)
        if self.world_size > 1:
            dist.all_reduce(numbers, group=_control())
        return float(numbers.item())

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """Average `values` over the ranks."""
        if self.world_size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.world_size

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.any(False)


def join() -> ProcessGroup:
    """Join the ranks that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT name; without them, be alone.

    The group lives as long as the process: DeepSpeed keeps what it derives from it. Every rank must join.
    """
    if not dist.is_initialized():
        alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        alone |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
        for name, value in alone.items():
            os.environ.setdefault(name, value)
        deepspeed = _import_deepspeed()
        logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
        # DeepSpeed compiles this op at the first start; gloo serves a CPU and needs no compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        deepspeed.init_distributed(
            dist_backend=accelerator.collectives(), auto_mpi_discovery=False, verbose=False
        )
        atexit.register(_leave)
    group = ProcessGroup(dist.get_rank(), dist.get_world_size())
    if group.world_size > 1:
        _control()
    return group


@cache
def _control() -> Any:
    """Make the group of the votes: on the hosts, so that no device is kept waiting for them."""
    return dist.new_group(backend="gloo")


def _leave() -> None:
    """End the groups and their threads.

    A group lives on in whatever holds it. A thread of one that lets go of a tensor while the interpreter is
    being taken down aborts the process, after all the work is done.
    """
    _control.cache_clear()
    dist.destroy_process_group()


def _import_deepspeed() -> Any:
    """Import DeepSpeed without MLflow, which its autotuner, unused here, would take seconds to load."""
    hidden = sys.modules.get("mlflow")
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    try:
        import deepspeed
    finally:
        del sys.modules["mlflow"]
        if hidden is not None:
            sys.modules["mlflow"] = hidden
    return deepspeed
