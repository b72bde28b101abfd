"""The process group of a stage, from the environment that torch's own launchers set."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from mammogan.errors import ClusterError
from mammogan.train import accelerator, network_interface

log = logging.getLogger(__name__)


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
    Gloo goes by the interface that leads to MASTER_ADDR, unless GLOO_SOCKET_IFNAME names another.

    Raises
    ------
    ClusterError
        If this process shall use a GPU and has none, or another process has the same one.
    """
    if not dist.is_initialized():
        alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        alone |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
        for name, value in alone.items():
            os.environ.setdefault(name, value)
        device = accelerator.local_device()
        if device.type == "cuda":
            os.environ["LOCAL_RANK"] = str(device.index)  # DeepSpeed takes it for the number of the GPU
        os.environ["DS_ACCELERATOR"] = device.type  # which else is cuda wherever there is a GPU
        _choose_interface()
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
        _check_own_gpus()
    return group


def _choose_interface() -> None:
    name = "GLOO_SOCKET_IFNAME"
    if os.environ["WORLD_SIZE"] == "1" or os.environ.get(name):
        return
    master, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if found := network_interface.towards(master, port):
        log.info("the way to MASTER_ADDR '%s' is the network interface '%s' (%s)", master, found, name)
        os.environ[name] = found
    else:
        log.warning(
            "no network interface leads to MASTER_ADDR '%s': Gloo takes that of this node's name; if the "
            "ranks don't meet, set %s in [environment.variables] of the site",
            master,
            name,
        )


@cache
def _check_own_gpus() -> None:
    """See that no two ranks have the same GPU: NCCL would wait, or fail by a name that tells nobody why.

    Each may see one GPU, as number 0: its own, or the node's only one.
    """
    if accelerator.local_device().type != "cuda":
        return
    identity = str(torch.cuda.get_device_properties(accelerator.local_device()).uuid)
    identities: list[tuple[str, str]] = [("", "")] * dist.get_world_size()
    dist.all_gather_object(identities, (socket.gethostname(), identity), group=_control())
    host, mine = identities[dist.get_rank()]
    if (sharing := identities.count((host, mine))) > 1:
        raise ClusterError(
            f"{sharing} processes on '{host}' have one GPU between them ({mine}): each needs its own. Set "
            "tasks_per_node of their resource class to its gpus_per_node."
        )


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
