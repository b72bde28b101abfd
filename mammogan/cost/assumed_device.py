"""What a run is taken to compute on where nobody has measured it: as its site's profile says."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from mammogan import machine
from mammogan.config.method import Method
from mammogan.config.site import Site
from mammogan.cost import gpu_datasheets
from mammogan.cost.estimate import CpuPace, DataSheet, Pace
from mammogan.errors import ConfigError

CLASS = "gpu_nodes"
"""The class of jobs that train."""
USUAL = "A100 80 GB"
"""Assumed, and said to be, where a site has GPUs and does not say which."""


@dataclass(frozen=True)
class Assumed:
    """A pace, and how the device was chosen, in words; empty where the user has named it."""

    pace: Pace
    why: str


def choose(method: Method, site: Site, device: str = "") -> Assumed:
    """Choose what training at `site` is reckoned on: `device` if given, else what the profile says.

    Raises
    ------
    ConfigError
        If no such device is known.
    """
    resource = site.resources.of(CLASS)
    key = f"resources.{CLASS}.device_name"
    if device:
        return Assumed(_pace(device, "--device", method, site), "")
    if resource.device == "cpu":
        why = (
            f"resources.{CLASS}.device of the site '{site.site.name}' is 'cpu'; --device reckons with another"
        )
        return Assumed(CpuPace(_cores(site)), why)
    if resource.device_name:
        where = f"{key} of the site '{site.site.name}'"
        return Assumed(_pace(resource.device_name, where, method, site), f"{where} names it")
    local = site.site.scheduler == "local"
    asked = " ".join(filter(None, [resource.gpu_type, str(resource.sbatch.get("gres", ""))]))
    seen = _of_this_machine() if local else asked
    if found := gpu_datasheets.match(seen):
        how = f"nvidia-smi finds '{seen}' here" if local else f"[resources.{CLASS}] asks for '{seen}'"
        return Assumed(_pace(found.name, key, method, site), how)
    unknown = f" ('{seen}' is not among those known)" if seen else ""
    why = (
        f"assumed, for the site '{site.site.name}' does not say which GPU it has{unknown}. Set {key}, or "
        f"give --device; known: {', '.join(names())}"
    )
    return Assumed(_pace(USUAL, key, method, site), why)


def names() -> tuple[str, ...]:
    """List the devices that can be named."""
    return (*(gpu.name for gpu in gpu_datasheets.GPUS), "CPU")


def _pace(name: str, where: str, method: Method, site: Site) -> Pace:
    if name.strip().lower() == "cpu":
        return CpuPace(_cores(site))
    try:
        return DataSheet(*gpu_datasheets.find(name, method.engine.precision))
    except ConfigError:
        known = (f"{gpu.name}, {kind}" for gpu in gpu_datasheets.GPUS for kind in gpu.flops_s)
        raise ConfigError(
            f"{where} '{name}' is none of those whose data sheet is known: {'; '.join(known)}; CPU."
        ) from None


def _cores(site: Site) -> int:
    """Count the cores of one rank."""
    resource = site.resources.of(CLASS)
    return resource.cpus_per_task or max(1, machine.cores() // resource.tasks_per_node)


def _of_this_machine() -> str:
    """Ask NVIDIA's program for the name of the first GPU; empty where there is none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.partition("\n")[0].strip()
