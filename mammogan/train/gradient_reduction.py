"""Means of gradients over the ranks, reduced bucket by bucket while the last pass back is still on its way.

A step goes back several times before it updates (reals, fakes, penalty, micro-batches), and gradients add up.
Only in its last pass does a bucket that is complete go around the ranks, as in DistributedDataParallel (Li et
al. 2020, section 3.2), which also takes the order of the buckets from the first pass. What no pass reached
goes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

BUCKET_NUMBERS = 4 << 20
"""Numbers in a bucket, 16 MB of them: few enough to leave early, enough to use a link."""


class GradientReduction:
    """Averages the gradients of `parameters` over the ranks of the default process group.

    Every rank must hold one and call the same; buckets are reduced in one order everywhere.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], bucket_numbers: int = BUCKET_NUMBERS) -> None:
        self._parameters, self._bucket_numbers = list(parameters), bucket_numbers
        self._place: dict[nn.Parameter, int] = {}
        self._buckets: list[list[nn.Parameter]] = []
        self._arrived: dict[nn.Parameter, None] = {}  # in this order, in the last pass
        self._sent: list[tuple[Tensor, Any]] = []
        self._missing: list[int] = []
        self._last_pass = False
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._accumulated)  # type: ignore[no-untyped-call]

    def begin_last_pass(self) -> None:
        """Say that the next pass back is the last before an update: what it completes may leave."""
        self._last_pass, self._missing = True, [len(bucket) for bucket in self._buckets]

    def finish(self) -> None:
        """Reduce what has not left yet, and wait for all; gradients are the means then."""
        if not self._buckets:
            self._order()
        while len(self._sent) < len(self._buckets):
            self._send()
        for bucket, (flat, work) in zip(self._buckets, self._sent, strict=True):
            work.wait()
            flat.mul_(1 / dist.get_world_size())
            parts = torch.split(flat, [p.numel() for p in bucket])
            means = [part.view_as(p) for part, p in zip(parts, bucket, strict=True)]
            torch._foreach_copy_([_gradient(p) for p in bucket], means)
        self._last_pass, self._sent = False, []
        self._arrived.clear()

    def _order(self) -> None:
        """Put parameters into buckets in the order in which the main rank's gradients came."""
        numbers = {p: number for number, p in enumerate(self._parameters)}
        ordered = [numbers[p] for p in [*self._arrived, *(p for p in numbers if p not in self._arrived)]]
        order = torch.tensor(ordered, device=self._parameters[0].device)
        dist.broadcast(order, src=0)
        room = 0
        for number in order.tolist():
            parameter = self._parameters[number]
            if parameter.numel() > room:
                self._buckets.append([])
                room = self._bucket_numbers
            self._buckets[-1].append(parameter)
            self._place[parameter] = len(self._buckets) - 1
            room -= parameter.numel()

    def _accumulated(self, parameter: nn.Parameter) -> None:
        if not self._last_pass or parameter in self._arrived:
            return
        self._arrived[parameter] = None
        if not self._buckets:
            return
        self._missing[self._place[parameter]] -= 1
        while len(self._sent) < len(self._buckets) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        flat = torch.cat([_gradient(p).flatten() for p in self._buckets[len(self._sent)]])
        self._sent.append((flat, dist.all_reduce(flat, async_op=True)))


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Give a parameter's gradient, of zeros where it is out of use on this rank."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
