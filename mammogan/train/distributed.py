"""The process group of a stage, from the environment that torch's own launchers set."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from mammogan.train import device


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together."""

    rank: int
    count: int

    @property
    def leads(self) -> bool:
        """Whether this rank writes what is written once."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Tell all ranks whether any of them raised `flag`."""
        votes = torch.tensor([float(flag)], device=device.local_device())
        dist.all_reduce(votes)
        return bool(votes.item() > 0)

    def mean(self, values: Tensor) -> Tensor:
        """Average `values` over the ranks."""
        values = values.clone()
        dist.all_reduce(values)
        return values / self.count

    def wait(self) -> None:
        """Wait for all ranks."""
        self.any(False)


def join() -> Ranks:
    """Join the ranks that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT name; without them, be alone.

    The group lives as long as the process: DeepSpeed keeps what it derives from it.
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
        deepspeed.init_distributed(dist_backend=device.collectives(), auto_mpi_discovery=False, verbose=False)
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size())


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
