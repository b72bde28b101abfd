"""The device that a task computes on: the one that its class of the site's profile names, or none at all.

A job that asked for a GPU and has none would train on the CPU, in silence, for its whole allocation.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from mammogan.config.site import Site
from mammogan.errors import ClusterError

log = logging.getLogger(__name__)

VARIABLE = "MAMMOGAN_DEVICE"
"""What `accelerator.local_device` gives: ``cpu`` or ``cuda``. Unset, it takes a GPU where there is one."""

REMEDIES = (
    ("built without CUDA", "Run in an image or environment with the CUDA build of PyTorch (FLAVOUR=gpu)"),
    ("CUDA_VISIBLE_DEVICES", "Ask for GPUs: gpus_per_node of that class, or its sbatch options"),
    ("too old", "Run on nodes with a newer driver, or in an image with a PyTorch for that one"),
    ("no kernel image", "Run on newer GPUs, or in an image with a PyTorch that still knows these"),
    ("busy or unavailable", "Another process holds the GPU: ask for GPUs of the job's own"),
    ("No CUDA GPUs", "Ask for GPUs with gpus_per_node: Slurm hides those that a job did not ask for"),
    (
        "NVIDIA driver",
        "Inside a container set container.nv to true (apptainer's --nv); else take nodes with GPUs, and ask "
        "for them with gpus_per_node",
    ),
)
"""What to do, by a part of the reason; the first that fits."""
HIDDEN = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that leave no GPU; the last is Slurm's."""
ANYWAY = "Take nodes whose GPUs work, and ask for them with gpus_per_node (inside a container with --nv)"


@contextmanager
def computing_on(site: Site, resource: str, device: str = "") -> Iterator[None]:
    """Let the block compute on the device of a resource class, or on `device` if that is given.

    Raises
    ------
    ClusterError
        If that is a GPU and there is none to use, or fewer than processes on the node.
    """
    claim = f"resources.{resource}.device of the site '{site.site.name}'"
    asked = site.resources.of(resource)
    wanted = device or asked.device
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = wanted
    try:
        if wanted == "cuda":
            if not device and 0 < asked.gpus_per_node < asked.tasks_per_node:
                raise ClusterError(
                    f"resources.{resource}.tasks_per_node of the site '{site.site.name}' is "
                    f"'{asked.tasks_per_node}', and gpus_per_node '{asked.gpus_per_node}': each process "
                    "needs a GPU of its own. Make them the same."
                )
            _check_gpu("--device" if device else claim, resource)
        log.info("computing on %s, as %s says", wanted, "--device" if device else claim)
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def kind() -> str:
    """Tell whether this process computes on the ``cpu`` or by ``cuda``.

    Raises
    ------
    ClusterError
        If it was told to use a GPU, and there is none.
    """
    import torch

    wanted, usable = os.environ.get(VARIABLE, ""), torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        raise refusal(VARIABLE, no_gpu())
    if wanted == "cpu" and usable:
        _note_idle(torch.cuda.device_count())
    return "cuda" if usable and wanted != "cpu" else "cpu"


def gpu_of_rank() -> int:
    """Return the number of this process's GPU among those that it sees: all of its node, or its own alone.

    Raises
    ------
    ClusterError
        If it sees several, but fewer than there are processes on its node.
    """
    import torch

    count, rank = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if rank >= count > 1:
        raise ClusterError(
            f"Process {rank} of '{socket.gethostname()}' (they count from 0) has no GPU: PyTorch sees "
            f"{count} (CUDA_VISIBLE_DEVICES '{os.environ.get('CUDA_VISIBLE_DEVICES', '')}'). Set "
            f"tasks_per_node of its resource class to {count}, or ask for more with gpus_per_node."
        )
    return rank if rank < count else 0


def no_gpu() -> str:
    """Return why PyTorch has no GPU, in its own words; empty if it has one."""
    import torch

    if torch.cuda.is_available() and torch.cuda.device_count():
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch.version.cuda is None and torch.version.hip is None:
        return f"PyTorch {torch.__version__} is built without CUDA"
    reason = f"torch.cuda.device_count() is {torch.cuda.device_count()}"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        reason = one_line(error)
    if visible is not None and visible.strip() in HIDDEN:
        reason += f"; CUDA_VISIBLE_DEVICES is '{visible}'"
    return reason


def refusal(claim: str, reason: str, resource: str = "") -> ClusterError:
    """Make the error of a `claim` to a GPU that does not hold, with what to do about its `reason`."""
    remedy = next((text for part, text in REMEDIES if part in reason), ANYWAY)
    instead = f"--set resources.{resource}.device=cpu" if resource else f"{VARIABLE}=cpu"
    return ClusterError(
        f"{claim} is 'cuda', and there is no usable GPU on '{socket.gethostname()}': "
        f"{reason.rstrip('.')}. {remedy}; or have it computed on the CPU with {instead}."
    )


def one_line(error: BaseException) -> str:
    """Give an error's text on one line, without what torch adds on how to debug it."""
    return " ".join(str(error).strip().partition("\nCUDA kernel errors might")[0].split()) or repr(error)


@cache
def _note_idle(count: int) -> None:
    log.warning("device is 'cpu': %d GPUs that PyTorch sees are left idle; 'cuda' would use them", count)


def _check_gpu(claim: str, resource: str) -> None:
    """Make the GPU of this process do a sum: one that is there may be too old for this PyTorch, or taken."""
    import torch

    if reason := no_gpu():
        raise refusal(claim, reason, resource)
    device = torch.device("cuda", gpu_of_rank())
    try:
        torch.ones(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        raise refusal(claim, one_line(error), resource) from None
