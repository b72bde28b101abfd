"""Every line that depends on the device: which one, its collectives, its precision, its memory."""

from __future__ import annotations

import os
import resource
from contextlib import AbstractContextManager, nullcontext, suppress

import torch
from torch import Tensor, nn

from mammogan.memory import keep_pages
from mammogan.train import device_choice

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def local_device() -> torch.device:
    """Give this rank's device: its own GPU where there is one, else the CPU.

    MAMMOGAN_DEVICE decides if it is set, as in every step of a run. A site may show a rank all GPUs of its
    node or only its own (gpus-per-task), which is then number 0.

    Raises
    ------
    ClusterError
        If MAMMOGAN_DEVICE is ``cuda`` and there is no GPU, or fewer than processes on the node.
    """
    if device_choice.kind() == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", device_choice.gpu_of_rank())
    torch.cuda.set_device(device)
    return device


def collectives() -> str:
    """Name the backend of the process group."""
    return "nccl" if device_choice.kind() == "cuda" else "gloo"


def training_precision(precision: str, device: torch.device) -> str:
    """Choose the arithmetic of training where a method leaves it open (``auto``): bf16 where that is quick.

    That is a GPU from Ampere on, and a CPU with AMX (docs/cost.md says what convolutions reach in both).
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        quick = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        quick = bool(torch.cpu._is_amx_tile_supported())
    return "bf16" if quick else "fp32"


def compute_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Open the context in which convolutions run in ``fp32``, ``bf16`` or ``fp16``; parameters stay fp32.

    ``auto`` is for training (`training_precision`); what is drawn and judged is the same everywhere, in fp32.
    """
    if precision in ("fp32", "auto"):
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to the device, on a GPU without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def compile_generator(generator: nn.Module, how: str) -> None:
    """Compile the generator in place; a critic can't be, whose gradients are differentiated once more."""
    if how != "off":
        generator.compile(mode="reduce-overhead" if how == "cuda-graphs" else "default")


def uncompiled(when: bool) -> AbstractContextManager[object]:
    """Open a context in which compiled networks run as they are written, `when` that is wanted."""
    return torch.compiler.set_stance("force_eager") if when else nullcontext()


def usage() -> dict[str, float]:
    """Tell the most memory that this process has had, in GB of the host and of the device.

    Of a GPU also the percentage of its last second, or less, in which anything ran on it: its own figure.
    """
    used = {"system/memory_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_available():
        from pynvml import NVMLError

        used["system/device_memory_peak_gb"] = torch.cuda.max_memory_allocated() / 2**30
        with suppress(RuntimeError, NVMLError):  # not every driver or slice of a GPU tells
            used["system/device_busy_percent"] = float(torch.cuda.utilization())
    return used


def prepare(device: torch.device) -> None:
    """Set the process up for this device: threads and allocator of a CPU, convolution search of a GPU."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1)
    keep_pages()
