"""The critic's layers, made for gradients that are differentiated once more.

A penalty on gradients goes back twice, and there torch's own layers do more work than the formulae ask for:

- leaky ReLU and 2x2 mean are piecewise linear, with a second derivative of 0. Torch answers with a tensor of
  zeros instead of nothing, and pushes these zeros back through the whole forward graph, at full price.
- the second derivative of a convolution is put together from convolutions whose kernels are as large as the
  images, several times slower than the convolutions it consists of.
- a first gradient of which a graph is made is only ever wanted of images (that is the penalty's), but torch
  computes the weights' as well.

The activation also keeps its result, which the next convolution keeps anyway, and not its input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

SLOPE = 0.2
"""Of every leaky ReLU (PGGAN A.1)."""


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU of both networks."""
    return _apply(_Leaky, x)


def downsample(x_NCHW: Tensor) -> Tensor:
    """Halve height and width by 2x2 means."""
    return _apply(_Halved, x_NCHW)


def convolve(x_NCHW: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve with an odd kernel and zeros around the image, which keeps its size."""
    return _apply(_Convolved, x_NCHW, weight, bias)


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
        return None if gradient is None else _apply(_LeakyBack, gradient, y)


class _LeakyBack(Function):
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
        return None if gradient is None else _apply(_LeakyBack, gradient, y), None


class _Halved(Function):
    @staticmethod
    def forward(ctx: Any, x_NCHW: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return functional.avg_pool2d(x_NCHW, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        return None if gradient is None else _apply(_HalvedBack, gradient)


class _HalvedBack(Function):
    """Each value a quarter, on each of its four pixels."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return functional.interpolate(gradient * 0.25, scale_factor=2, mode="nearest")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        return None if gradient is None else _apply(_Halved, gradient)


class _Convolved(Function):
    @staticmethod
    def forward(ctx: Any, x_NCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x_NCHW, weight)
        ctx.biased = bias is not None
        return functional.conv2d(x_NCHW, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        if gradient is None:
            return None, None, None
        x_NCHW, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        if torch.is_grad_enabled():  # a graph is made of this gradient: it is that of images
            return _apply(_ConvolvedBack, gradient, weight, x_NCHW), None, None
        wanted = [wants_x, wants_weight, bool(wants_bias and ctx.biased)]
        return _back(gradient, x_NCHW, weight, wanted)


class _ConvolvedBack(Function):
    """The gradient of a convolution's input: linear in the gradient of its output, and in its weight."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, x_NCHW: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(gradient, weight)
        back: Tensor = _back(gradient, x_NCHW, weight, [True, False, False])[0]
        return back

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        if gradient is None:
            return None, None, None
        first, weight = ctx.saved_tensors
        return (
            functional.conv2d(gradient, weight, padding=weight.shape[-1] // 2),
            _back(first, gradient, weight, [False, True, False])[1],
            None,
        )


def _back(gradient: Tensor, x_NCHW: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
    padding = [weight.shape[-1] // 2] * 2
    return torch.ops.aten.convolution_backward(
        gradient, x_NCHW, weight, [len(weight)], [1, 1], padding, [1, 1], False, [0, 0], 1, wanted
    )
