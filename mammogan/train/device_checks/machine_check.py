"""What a device reaches: products of matrices and copies, which training is held against."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from typing import Any

import torch

from mammogan.train.accelerator import Arithmetic
from mammogan.train.device_checks.check_outcomes import Machine, Outcome
from mammogan.train.device_checks.device_trial import Trial


def machine(trial: Trial) -> Iterator[Outcome]:
    """Measure what the device reaches: products of matrices in each arithmetic, and a copy."""
    found = _machine(trial)
    rates = ", ".join(f"{name} {rate:.3g} TFLOP/s" for name, rate in found.tflops.items())
    yield Outcome(
        check="machine",
        subject=found.device,
        status="ok",
        found=f"{rates}; memory {found.tb_s:.3g} TB/s; torch {found.torch}",
        machine=found,
    )


def _machine(trial: Trial) -> Machine:
    device, on_gpu = trial.device, trial.device.type == "cuda"
    cudnn: Any = torch.backends.cudnn
    side, numbers = (8192, 1 << 29) if on_gpu else (256, 1 << 22)
    rates = {}
    for name in ("fp32", "TF32", "bf16") if on_gpu else ("fp32",):
        if on_gpu:
            Arithmetic(tf32=name == "TF32").apply()
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        a, b = torch.randn(2, side, side, device=device).to(kind)
        rates[name] = 2 * side**3 / trial.timed(partial(torch.mm, a, b), trial.step_s) / 1e12
        del a, b
    tb_s = _copied(trial, numbers)
    trial.free()
    return Machine(
        device=torch.cuda.get_device_name(device) if on_gpu else platform.processor() or platform.machine(),
        kind=device.type,
        torch=torch.__version__,
        python=sys.version.split()[0],
        cuda=str(torch.version.cuda),
        cudnn=str(cudnn.version()) if on_gpu else "",
        driver=_driver() if on_gpu else "",
        deepspeed=_version("deepspeed"),
        tflops=rates,
        tb_s=tb_s,
        overrides=trial.overrides,
    )


def _copied(trial: Trial, numbers: int) -> float:
    """Measure TB/s read and written by a copy of so many fp32 numbers."""
    source = torch.randn(numbers, device=trial.device)
    target = torch.empty_like(source)
    return 2 * 4 * numbers / trial.timed(lambda: target.copy_(source), trial.step_s) / 1e12


def _driver() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception as error:  # noqa: BLE001 - for the record alone
        return f"not known ({type(error).__name__})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
