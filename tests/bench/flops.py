"""Counting a step's work: floating point operations, bytes that its operators read and write, and calls.

The bytes are those of operators as they are called, with nothing fused and nothing kept in a cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from tests.bench.peers import PlainGenerator, Shape


@dataclass(frozen=True)
class Work:
    """What one step does; of all its images together."""

    flops: float
    traffic: float
    calls: int

    def by_image(self, more: Work, batch: int, more_batch: int) -> tuple[Work, Work]:
        """Split into what every image adds and what every step costs, by the work of a larger batch."""
        added = more_batch - batch
        image = Work((more.flops - self.flops) / added, (more.traffic - self.traffic) / added, 0)
        step = Work(self.flops - batch * image.flops, self.traffic - batch * image.traffic, self.calls)
        return image, step


class _Counter(TorchDispatchMode):
    """Torch's FlopCounterMode, by its own formulas, but that it can't follow a gradient taken at a leaf."""

    def __init__(self) -> None:
        super().__init__()
        self.flops, self.bytes, self.calls = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=given)
        if not func.is_view:
            touched = [x for x in tree_leaves((args, kwargs, given)) if isinstance(x, Tensor)]
            self.bytes += sum(x.numel() * x.element_size() for x in touched)
            self.calls += 1
        return given


def count(step: Callable[[], object]) -> Work:
    """Run `step` once, on any device, and give its work."""
    with _Counter() as counter:
        step()
    return Work(counter.flops, counter.bytes, counter.calls)


def unit(shape: Shape) -> float:
    """Count the operations of one forward pass of the generator over the batch, without computing it."""
    with torch.device("meta"):
        net, latents = PlainGenerator(shape), torch.empty(shape.batch, shape.latent)
    with torch.no_grad():
        return count(lambda: net(latents)).flops


def convolution_peak(dtype: torch.dtype, repeats: int = 6) -> float:
    """Measure GFLOP/s of one thread: 512 channels at 40x32, forward and backward, the better layout."""
    best = 0.0
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(4, 512, 40, 32).to(dtype, memory_format=layout).requires_grad_(True)
        weight = torch.randn(512, 512, 3, 3).to(dtype, memory_format=layout).requires_grad_(True)
        upstream = torch.randn(4, 512, 40, 32).to(dtype, memory_format=layout)
        for _ in range(repeats):
            begin = time.process_time()
            torch.autograd.grad(F.conv2d(x, weight, padding=1), (x, weight), upstream)
            best = max(best, 3 * 2 * 4 * 40 * 32 * 512 * 512 * 9 / (time.process_time() - begin) / 1e9)
    return best
