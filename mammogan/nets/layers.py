"""Layers that both networks share: equalised weights, pixel norm, minibatch standard deviation.

Shape suffixes: N images, C channels, H x W pixels, F features, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mammogan.nets.double_backward import convolve

EPSILON = 1e-8
GAIN = math.sqrt(2)  # He et al. 2015, for layers that a leaky ReLU follows


CONTIGUOUS_FROM: dict[str, float] = {"cuda": math.inf, "cpu": 256, "AVX2": 32}
"""Channels from which convolutions are faster with contiguous maps than with channels last, by device.

Measured in fp32: a CPU with AVX-512 gains from channels last below 256 channels; one with AVX2 alone loses
half of its speed by it, down to 32. Not measured: tensor cores want channels last, and cuDNN turns contiguous
maps round before and after each convolution (`make gpu` times both).
"""


@cache
def wide() -> float:
    """Count the channels from which this CPU's convolutions are faster with contiguous maps."""
    return CONTIGUOUS_FROM["AVX2" if torch.backends.cpu.get_cpu_capability() == "AVX2" else "cpu"]


SMALL_PX = 512
"""Pixels of a map below which 16-bit convolutions of many channels, too, are faster with contiguous maps."""


class EqualConv(nn.Module):
    """Convolution whose weights are N(0, 1) and scaled by gain / sqrt(fan_in) at run time (PGGAN 4.1).

    `double_backward` makes it ready for gradients that are differentiated once more. `upsample_first` doubles
    height and width before, as `upsample` does.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        gain: float = GAIN,
        *,
        double_backward: bool = False,
        upsample_first: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size * size)
        self.double_backward, self.upsample_first = double_backward, upsample_first
        self.wide = {**CONTIGUOUS_FROM, "cpu": wide()}  # asked now: a compiler would stop at it

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W) to (N, outputs, H, W), or 2H x 2W with `upsample_first`."""
        if self.upsample_first:
            if x_NCHW[0].numel() > self.weight.numel():  # else putting kernels together takes longer
                kernel = _doubling(self.weight * self.scale).contiguous(memory_format=self.layout(x_NCHW))
                return functional.conv_transpose2d(x_NCHW, kernel, self.bias, stride=2, padding=1)
            x_NCHW = upsample(x_NCHW)
        x_NCHW, weight = _scaled(x_NCHW, self.weight, self.scale)
        weight = weight.contiguous(memory_format=self.layout(x_NCHW))
        if not self.double_backward:
            return functional.conv2d(x_NCHW, weight, self.bias, padding=weight.shape[-1] // 2)
        return convolve(*_cast(x_NCHW, weight, self.bias))

    def layout(self, x_NCHW: Tensor) -> torch.memory_format:
        """Choose the layout of the maps, which is the one that the weights have."""
        kind = x_NCHW.device.type
        many = max(self.weight.shape[:2]) >= self.wide.get(kind, self.wide["cpu"])
        halved = torch.is_autocast_enabled(kind) and x_NCHW[0, 0].numel() >= SMALL_PX
        return torch.contiguous_format if many and not halved else torch.channels_last


def _doubling(weight: Tensor) -> Tensor:
    """Turn a 3x3 kernel that follows `upsample` into a transposed one of 4x4 with stride 2, which is equal.

    Each pixel of the large image has nine taps, but on four pixels of the small one only, as all four copies
    of a pixel are equal. So taps are added up first, and 16 products a small pixel remain of 36 (PGGAN's code
    does so, too).
    """
    edged = functional.pad(weight, (1, 1, 1, 1))
    rows = edged[..., 1:, :] + edged[..., :-1, :]
    return (rows[..., 1:] + rows[..., :-1]).flip(2, 3).transpose(0, 1)


def _scaled(x: Tensor, weight: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Scale the smaller of the two."""
    return (x * scale, weight) if weight.numel() > x.numel() else (x, weight * scale)


def _cast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Give tensors the precision that autocast would run a convolution in."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


class EqualLinear(nn.Module):
    """Dense layer with the run-time scaling of `EqualConv`."""

    def __init__(self, inputs: int, outputs: int, gain: float = GAIN, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x_NF: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return functional.linear(*_scaled(x_NF, self.weight, self.scale), self.bias)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide each pixel's feature vector by its root mean square, taken in float32 (PGGAN 4.2)."""
    return _PixelNorm.apply(x)  # type: ignore[no-untyped-call, no-any-return]


class _PixelNorm(Function):
    """Pixel norm that goes back by its own formula: a third of the passes over memory that torch takes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype == torch.float16 else x  # fp16 holds no square of what is beyond 255
        mean = wide.square().mean(dim=1, keepdim=True, dtype=torch.float32)
        inverse = torch.rsqrt(mean + EPSILON).to(x.dtype)
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        y, inverse = ctx.saved_tensors
        along = (gradient * y).mean(dim=1, keepdim=True, dtype=torch.float32).to(y.dtype)
        return torch.addcmul(gradient, y, along, value=-1).mul_(inverse)


def upsample(x_NCHW: Tensor) -> Tensor:
    """Double height and width by repeating pixels."""
    return functional.interpolate(x_NCHW, scale_factor=2, mode="nearest")


def upsample_bilinear(x_NCHW: Tensor) -> Tensor:
    """Double height and width bilinearly, as torch's own with ``align_corners=False`` does.

    A transposed convolution a channel, with edges repeated: torch's interpolation and its padding add up
    gradients in no fixed order on a GPU. There it is blended from shifted copies, since cuDNN need not have a
    deterministic convolution of 16 bits for as many groups as channels.
    """
    if x_NCHW.is_cuda:
        return _doubled(_doubled(x_NCHW, 2), 3)
    rows = torch.cat([x_NCHW[:, :, :1], x_NCHW, x_NCHW[:, :, -1:]], dim=2)
    edged = torch.cat([rows[..., :1], rows, rows[..., -1:]], dim=3)
    places = torch.arange(4, dtype=x_NCHW.dtype, device=x_NCHW.device)
    taps = 1 - (places - 1.5).abs() / 2  # 1/4 3/4 3/4 1/4, made there: a copy would have to be waited for
    channels = x_NCHW.shape[1]
    kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4)
    return functional.conv_transpose2d(edged, kernel, stride=2, padding=3, groups=channels)


def _doubled(x: Tensor, dim: int) -> Tensor:
    """Double one side bilinearly: each number gives two, with a quarter of the one before and of the next."""
    count = x.shape[dim]
    before = torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, count - 1)], dim)
    after = torch.cat([x.narrow(dim, 1, count - 1), x.narrow(dim, count - 1, 1)], dim)
    pairs = torch.stack([torch.lerp(x, before, 0.25), torch.lerp(x, after, 0.25)], dim + 1)
    return pairs.flatten(dim, dim + 1)


def minibatch_stddev(x_NCHW: Tensor, group: int, *, detach: bool = False) -> Tensor:
    """Append one map: the mean standard deviation over each run of `group` consecutive images (PGGAN 3).

    Groups are consecutive images, so that a batch split between ranks into whole groups gives the same result
    as the batch in one place. `detach` takes the statistic as a constant: no gradient flows through it.
    """
    n, c, h, w = x_NCHW.shape
    size = min(group, n)
    if n % size:
        raise ValueError(f"a batch of {n} images does not divide into groups of {size}")
    x = x_NCHW.float().view(n // size, size, c, h, w)
    x = x.detach() if detach else x
    deviation = (x.var(dim=1, unbiased=False) + EPSILON).sqrt().mean(dim=(1, 2, 3))
    maps = deviation.repeat_interleave(size).view(n, 1, 1, 1).expand(n, 1, h, w).to(x_NCHW.dtype)
    return torch.cat([x_NCHW, maps], dim=1)


def checkpoint_activations(function: Callable[..., Tensor], *inputs: nn.Module | Tensor | None) -> Tensor:
    """Apply `function` and keep only its inputs; the rest is computed again on the way back."""
    # No layer draws random numbers (noise is a function of its number): there is no state of theirs to keep.
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)  # type: ignore[no-any-return]
