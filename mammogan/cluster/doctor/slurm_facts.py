"""What Slurm says of its partitions, nodes and configuration, read from scontrol."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mammogan.cluster import slurm_commands
from mammogan.errors import ClusterError

_PARTITION = re.compile(r"(?:^|\s)(\w+)=(\S+)")
_NODE = re.compile(r"\b(NodeName|CPUTot|RealMemory|Gres|State|Partitions)=(\S+)")
_GPUS = re.compile(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)")
_UNUSABLE = {
    "DOWN",
    "DRAIN",
    "DRAINED",
    "DRAINING",
    "FAIL",
    "FAILING",
    "NOT_RESPONDING",
    "UNKNOWN",
    "MAINT",
    "FUTURE",
}


@dataclass(frozen=True)
class Machine:
    """A node of the cluster: what it has, and whether jobs may start on it."""

    name: str
    cpus: int
    memory_mb: int
    gpus: int
    usable: bool
    partitions: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What the controller knows."""

    partitions: dict[str, dict[str, str]]
    machines: tuple[Machine, ...]
    config: dict[str, str]

    @classmethod
    def ask(cls) -> Facts:
        """Ask the controller.

        Raises
        ------
        ClusterError
            If it does not answer.
        """
        shown = slurm_commands.ask("scontrol", "-a", "-o", "show", "partition").splitlines()
        partitions = [dict(_PARTITION.findall(line)) for line in shown if "PartitionName=" in line]
        nodes = slurm_commands.ask("scontrol", "-a", "-o", "show", "node").splitlines()
        config = re.findall(
            r"^(\w+)\s*=\s*(.*?)\s*$", slurm_commands.ask("scontrol", "show", "config"), re.MULTILINE
        )
        return cls(
            {fields["PartitionName"]: fields for fields in partitions},
            tuple(_machine(dict(_NODE.findall(line))) for line in nodes if "NodeName=" in line),
            dict(config),
        )

    def partition(self, name: str) -> dict[str, str] | None:
        """Look up a partition; an empty name means the default one."""
        if name:
            return self.partitions.get(name)
        defaults = [fields for fields in self.partitions.values() if fields.get("Default") == "YES"]
        return defaults[0] if defaults else None

    def machines_of(self, partition: str) -> list[Machine]:
        """List the nodes of a partition."""
        return [machine for machine in self.machines if partition in machine.partitions]


def words(error: ClusterError) -> str:
    """Give Slurm's own words of a command that failed, on one line and without the command."""
    answer = str(error).partition("` failed: ")[2] or str(error)
    return "; ".join(line.removeprefix("sbatch: error: ") for line in answer.splitlines())


def minutes(text: str) -> float:
    """Read a limit of time, as ``1-12:00:00`` or ``UNLIMITED``, in minutes."""
    if not re.fullmatch(r"(\d+-)?[\d:]+", text):
        return float("inf")
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    parts = [*parts, 0, 0][:3] if days else [0, 0, *parts][-3:]
    return int(days or 0) * 1440 + parts[0] * 60 + parts[1] + parts[2] / 60


def _machine(fields: dict[str, str]) -> Machine:
    return Machine(
        name=fields["NodeName"],
        cpus=int(fields.get("CPUTot", 0)),
        memory_mb=int(fields.get("RealMemory", 0)),
        gpus=sum(map(int, _GPUS.findall(fields.get("Gres", "")))),
        usable=not {word.rstrip("*~#!%$@^-") for word in fields.get("State", "").split("+")} & _UNUSABLE,
        partitions=tuple(fields.get("Partitions", "").split(",")),
    )
