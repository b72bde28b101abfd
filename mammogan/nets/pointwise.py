"""The critic's pointwise layers, without the pass that torch's own would add to a penalty on gradients.

Both are piecewise linear, so their second derivative is 0. Torch's backward formulas answer with a tensor of
zeros instead of nothing, and double backward then pushes these zeros back through the whole forward graph, at
full price. Here they answer with nothing. The activation also keeps its result, which the next convolution
keeps anyway, and not its input: half the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

SLOPE = 0.2
"""Of every leaky ReLU (PGGAN A.1)."""


def _apply(function: type[Function], *inputs: Tensor) -> Tensor:
    return function.apply(*inputs)  # type: ignore[no-untyped-call, no-any-return]


class _Leaky(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        y = functional.leaky_relu(x, SLOPE)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        (y,) = ctx.saved_tensors
        return None if gradient is None else _apply(_LeakyBackward, gradient, y)


class _LeakyBackward(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, y: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y)
        # The slope is positive, so the result has its input's sign.
        back: Tensor = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        return back

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        (y,) = ctx.saved_tensors
        return None if gradient is None else _apply(_LeakyBackward, gradient, y), None


class _Halved(Function):
    @staticmethod
    def forward(ctx: Any, x_NCHW: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return functional.avg_pool2d(x_NCHW, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        return None if gradient is None else _apply(_Spread, gradient)


class _Spread(Function):
    """The adjoint of `_Halved`: each value a quarter, on each of its four pixels."""

    @staticmethod
    def forward(ctx: Any, x_NCHW: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return functional.interpolate(x_NCHW * 0.25, scale_factor=2, mode="nearest")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        return None if gradient is None else _apply(_Halved, gradient)


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU of both networks."""
    return _apply(_Leaky, x)


def downscale(x_NCHW: Tensor) -> Tensor:
    """Halve height and width by 2x2 means."""
    return _apply(_Halved, x_NCHW)
