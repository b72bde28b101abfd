"""GPUs by their data sheets, and the time that a step can't go below on one of them.

A step takes at least what its arithmetic takes, what its memory traffic takes, and what it takes to launch
its operators; the longest of the three counts, and the reduction of the gradients is added to it. Nothing
here is measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mammogan.errors import ConfigError

SUSTAINED, STREAMED = 0.4, 0.7
"""Assumed: shares of peak arithmetic and of peak memory bandwidth that layers reach."""
LAUNCH_S = 6e-6
"""Assumed: seconds from one operator's launch to the next, from Python."""
LINK_BYTES_S = 20e9
"""Assumed: bytes a second and GPU of an all-reduce between nodes (four fifths of 200 Gbit/s a GPU)."""


@dataclass(frozen=True)
class Gpu:
    """A GPU by its maker's data sheet: dense operations a second by precision, and bytes a second."""

    name: str
    flops_s: dict[str, float]
    bytes_s: float


GPUS = (
    Gpu("V100", {"fp32": 15.7e12}, 0.9e12),  # on which PGGAN's authors tell how long it took them
    Gpu("A100 80 GB", {"TF32": 156e12, "bf16": 312e12}, 2.04e12),  # TF32 is what cuDNN makes of fp32
    Gpu("H100", {"TF32": 494e12, "bf16": 989e12}, 3.35e12),
    Gpu("H200", {"TF32": 494e12, "bf16": 989e12}, 4.8e12),
    Gpu("B200", {"TF32": 1.1e15, "bf16": 2.2e15}, 8e12),
    Gpu("L40S", {"TF32": 183e12, "bf16": 362e12}, 0.864e12),
    Gpu("RTX 4090", {"TF32": 82.6e12, "bf16": 165e12}, 1.008e12),
    Gpu("RTX A6000", {"TF32": 77.4e12, "bf16": 155e12}, 0.768e12),
    Gpu("MI300X", {"TF32": 654e12, "bf16": 1307e12}, 5.3e12),
)
"""SXM where there are several forms; sheets that give operations with sparsity are halved."""


@dataclass(frozen=True)
class Bound:
    """The seconds that one step can't go below, by what limits it."""

    arithmetic: float
    traffic: float
    launches: float
    reduction: float

    @property
    def total(self) -> float:
        """The longest, and the reduction after it."""
        return max(self.arithmetic, self.traffic, self.launches) + self.reduction

    @property
    def limit(self) -> str:
        """What takes longest."""
        of = {"arithmetic": self.arithmetic, "traffic": self.traffic, "launches": self.launches}
        return max(of, key=lambda name: of[name])


def bound(flops: float, traffic: float, calls: int, reduction_s: float, gpu: Gpu, precision: str) -> Bound:
    """Give the bounds of a rank's step that does so many operations and moves so many bytes."""
    return Bound(
        flops / (gpu.flops_s[precision] * SUSTAINED),
        traffic / (gpu.bytes_s * STREAMED),
        calls * LAUNCH_S,
        reduction_s,
    )


def reduction_s(gradient_bytes: float, ranks: int) -> float:
    """Seconds to add gradients up over the ranks: a ring sends and receives them 2 (n - 1) / n times."""
    return 2 * (ranks - 1) / ranks * gradient_bytes / LINK_BYTES_S


def match(text: str) -> Gpu | None:
    """Find the GPU that a driver or a scheduler means: ``NVIDIA A100-SXM4-80GB``, ``Tesla V100``, ``h100``.

    Whole words count: an A10 is no A100.
    """
    words = re.sub(r"[^a-z0-9]+", " ", text.lower()).split()
    models = {gpu.name.lower().removesuffix(" 80 gb").removeprefix("rtx "): gpu for gpu in GPUS}
    return next((models[word] for word in words if word in models), None)


def find(name: str, precision: str) -> tuple[Gpu, str]:
    """Find a GPU and its arithmetic by a name as ``A100 80 GB, bf16``; without one, `precision` decides.

    Its model is enough: ``A100``, ``4090``.

    Raises
    ------
    ConfigError
        If no such GPU or arithmetic is known.
    """
    wanted, _, given = (part.strip() for part in name.partition(","))
    known = [f"{gpu.name}, {kind}" for gpu in GPUS for kind in gpu.flops_s]
    short = match(wanted) if len(wanted.split()) <= 2 else None
    for gpu in GPUS:
        kinds = {kind.lower(): kind for kind in gpu.flops_s}
        if gpu.name.lower() == wanted.lower() or gpu is short:
            kind = given.lower() if given else "bf16" if precision != "fp32" else ""
            if given and kind not in kinds:
                break
            return gpu, kinds.get(kind, next(iter(gpu.flops_s)))
    raise ConfigError(f"--device '{name}' is none of those whose data sheet is known: {'; '.join(known)}.")
