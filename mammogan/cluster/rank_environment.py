"""The torch-standard variables of a process group, worked out from what the scheduler tells each process."""

from __future__ import annotations

import socket
from collections.abc import Mapping

# What SUBMITIT_EXECUTOR says, to the names of rank, world size, local rank, ranks a node and node rank.
SOURCES = {
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODEID"),
    "local": (
        "SUBMITIT_LOCAL_GLOBALID",
        "SUBMITIT_LOCAL_NTASKS",
        "SUBMITIT_LOCAL_LOCALID",
        "SUBMITIT_LOCAL_NODEID",
    ),
}


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Derive RANK, WORLD_SIZE, LOCAL_RANK, GROUP_RANK, MASTER_ADDR, MASTER_PORT and OMP_NUM_THREADS.

    A process that no scheduler started is a group of one, whatever SLURM_* an enclosing allocation has left
    in its environment.
    """
    kind = environ.get("SUBMITIT_EXECUTOR", "")
    rank, world, local, node = (environ[name] for name in SOURCES[kind]) if kind in SOURCES else "0100"
    threads = environ.get("MAMMOGAN_CPUS")
    return {
        "RANK": rank,
        "WORLD_SIZE": world,
        "LOCAL_RANK": local,
        "GROUP_RANK": node,
        "MASTER_ADDR": environ.get("MAMMOGAN_MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": environ.get("MAMMOGAN_MASTER_PORT") or str(free_port()),
        **({"OMP_NUM_THREADS": threads} if threads else {}),
    }


def free_port() -> int:
    """Find a port that nobody on this machine listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
