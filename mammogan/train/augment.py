"""Augmentation that keeps anatomy: what may be done to a mammogram before the critic sees it.

The idea, and the rule that keeps it out of the samples, are those of adaptive discriminator augmentation
(Karras et al. 2020): reals and fakes are changed alike, in both networks' updates, each change is left out
now and then, and every change can be undone in the mean. The chest wall stays at the left edge; where a view
reaches the upper edge (MLO) it goes on doing so; black stays exactly black.

Shape suffixes: N images, C channels, H x W pixels, P parameters, T changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from mammogan.config.augmentation_settings import HIGHEST_PROBABILITY, Augmentation
from mammogan.config.label_fields import VIEWS
from mammogan.train.accelerator import move

PARAMETERS = (
    "flip", "rows", "columns", "log_scale", "angle_rad", "log_tone", "log_contrast", "top_held",
)  # fmt: skip
"""The columns of a table of parameters; 0 is no change.

flip : 1 mirrors top and bottom. rows : shift downwards, as a part of the height. columns : shift to the left,
as a part of the width. log_scale, log_tone, log_contrast : logarithms of factors. angle_rad : clockwise.
top_held : 1 where the upper edge cuts the breast and must go on doing so.
"""
CHANGES = len(PARAMETERS) - 1
BLACK = -1.0
NO_GAP = 1e-6  # of the scores' own size: below it, the critic doesn't tell reals from fakes


def draw(
    settings: Augmentation, probability: float, count: int, noise: torch.Generator, labels_view_N: Tensor
) -> Tensor:
    """Draw the changes of a global batch: (N, P) float32 on the CPU, one row an image, columns `PARAMETERS`.

    Every change comes with `probability`, whatever the others do. As much noise is used for any settings and
    labels. Images whose view (number in VIEWS) is not CC get only what suits every view.
    """
    assert len(labels_view_N) == count, (len(labels_view_N), count)
    gate_NT, one_NT, other_NT = torch.rand(3, count, CHANGES, generator=noise)
    # The difference of two uniform numbers has a characteristic function that is nowhere negative, so that
    # its mixture with no change can be undone at every probability below 1; that of one number, a sinc, is.
    spread_NT = (one_NT - other_NT) * (gate_NT < probability)
    strengths_T = torch.tensor(_strengths(settings))
    held_N = labels_view_N.cpu() != VIEWS.index("CC")
    params_NP = torch.cat([spread_NT * strengths_T, held_N[:, None].float()], dim=1)
    params_NP[:, 0] = (params_NP[:, 0] > 0) & ~held_N
    params_NP[:, 1] = torch.where(held_N, -params_NP[:, 1].abs(), params_NP[:, 1])
    params_NP[:, 2].abs_()
    return params_NP


def _strengths(settings: Augmentation) -> list[float]:
    factors = (math.log1p(x) for x in (settings.tone, settings.contrast))
    geometry = (math.log1p(settings.scale), math.radians(settings.rotation_deg))
    return [float(settings.flip_cc), settings.shift_rows, settings.shift_columns, *geometry, *factors]


def apply(images_NCHW: Tensor, params_NP: Tensor) -> Tensor:
    """Change images in [-1, 1], black -1, by a row of parameters each; differentiable in the images, once.

    Images without a change keep every bit, and a batch without any is given back itself. Parameters on the
    CPU let a GPU go on without waiting. White may be exceeded: clipping could not be undone.
    """
    flip_N, rows_N, columns_N, log_scale_N, angle_N, log_tone_N, log_contrast_N, held_N = params_NP.cpu().T
    height, width = images_NCHW.shape[2:]
    images_NCHW = _on(images_NCHW, flip_N != 0, lambda x_NCHW, _: x_NCHW.flip(2))
    images_NCHW = _shifted(images_NCHW, (rows_N * height).round(), (columns_N * width).round())
    images_NCHW = _on(
        images_NCHW,
        (log_scale_N != 0) | (angle_N != 0),
        lambda x_NCHW, at: _turned(x_NCHW, _turns(log_scale_N[at], angle_N[at], held_N[at], height, width)),
    )
    return _on(
        images_NCHW,
        (log_tone_N != 0) | (log_contrast_N != 0),
        lambda x_NCHW, at: _toned(x_NCHW, log_tone_N[at].exp(), log_contrast_N[at].exp()),
    )


def _on(images_NCHW: Tensor, where_N: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change only the images that `where_N` (on the CPU) chooses; `change` gets them and their numbers."""
    numbers = where_N.nonzero().flatten()
    if len(numbers) in (0, len(images_NCHW)):
        return change(images_NCHW, numbers) if len(numbers) else images_NCHW
    there = move(numbers, images_NCHW.device)
    return images_NCHW.index_copy(0, there, change(images_NCHW.index_select(0, there), numbers))


def _shifted(images_NCHW: Tensor, down_px_N: Tensor, left_px_N: Tensor) -> Tensor:
    """Shift by whole pixels: slices, no resampling. Images with one shift are moved together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, shift in enumerate(zip(down_px_N.int().tolist(), left_px_N.int().tolist(), strict=True)):
        groups.setdefault(shift, []).append(number)
    if set(groups) <= {(0, 0)}:
        return images_NCHW
    device = images_NCHW.device
    parts = [
        functional.pad(
            images_NCHW.index_select(0, move(torch.tensor(numbers), device)),
            (-left, left, down, -down),
            value=BLACK,
        )
        for (down, left), numbers in groups.items()
    ]
    order = torch.tensor([number for numbers in groups.values() for number in numbers]).argsort()
    return torch.cat(parts).index_select(0, move(order, device))


def _turns(log_scale_N: Tensor, angle_N: Tensor, held_N: Tensor, height: int, width: int) -> Tensor:
    """Give the maps from new places to old ones, (N, 2, 3), in affine_grid's units (corners' centres at 1).

    Scale and rotation are about the middle of the chest wall. Then the image moves just so far to the left
    that no black lies between it and the edge, and where the top is held, just so far up.
    """
    log_scale_N, angle_N = log_scale_N.double(), angle_N.double()
    along_N, across_N = angle_N.cos() * (-log_scale_N).exp(), angle_N.sin() * (-log_scale_N).exp()
    half_px, span_px = (height - 1) / 2, width - 1
    left_px_N = across_N.abs() * half_px
    up_px_N = held_N * (across_N.clamp(min=0) * span_px - (1 - along_N) * half_px)
    aspect = 2 * half_px / span_px
    x_N3 = torch.stack([along_N, across_N * aspect, along_N - 1 + 2 * left_px_N / span_px], dim=1)
    y_N3 = torch.stack([-across_N / aspect, along_N, -across_N / aspect + up_px_N / half_px], dim=1)
    return torch.stack([x_N3, y_N3], dim=1)


def _turned(images_NCHW: Tensor, turns_N23: Tensor) -> Tensor:
    """Resample bilinearly, black from outside: which blurs a little, the same for reals and fakes."""
    grid_NHW2 = _grid(move(turns_N23.to(images_NCHW.dtype), images_NCHW.device), *images_NCHW.shape[2:])
    # Torch's own adds up gradients in no fixed order on a GPU.
    in_order = images_NCHW.is_cuda and torch.are_deterministic_algorithms_enabled()
    above_NCHW = images_NCHW - BLACK
    return (_in_order(above_NCHW, grid_NHW2) if in_order else _sampled(above_NCHW, grid_NHW2)) + BLACK


def _grid(turns_N23: Tensor, height: int, width: int) -> Tensor:
    """Give old places for new ones, (N, H, W, 2), as affine_grid does: but TF32 would be off by a pixel."""
    x_W, y_H = (
        torch.linspace(-1, 1, n, device=turns_N23.device, dtype=turns_N23.dtype) for n in (width, height)
    )
    along_N2HW, across_N2HW, shift_N2HW = turns_N23[..., None, None].unbind(2)
    return (along_N2HW * x_W + across_N2HW * y_H[:, None] + shift_N2HW).permute(0, 2, 3, 1)


def _sampled(images_NCHW: Tensor, grid_NHW2: Tensor) -> Tensor:
    return functional.grid_sample(images_NCHW, grid_NHW2, align_corners=True)


def _in_order(images_NCHW: Tensor, grid_NHW2: Tensor) -> Tensor:
    return _SampledInOrder.apply(images_NCHW, grid_NHW2)  # type: ignore[no-untyped-call, no-any-return]


class _SampledInOrder(Function):
    """Bilinear sampling, black from outside, whose way back adds up in a fixed order: sorted by pixel."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, grid_NHW2: Tensor) -> Tensor:
        ctx.save_for_backward(grid_NHW2)
        ctx.shape = images_NCHW.shape
        return _sampled(images_NCHW, grid_NHW2)

    @staticmethod
    def backward(ctx: Any, gradient_NCHW: Tensor) -> Any:
        (grid_NHW2,) = ctx.saved_tensors
        count, channels, height, width = ctx.shape
        column_NHW, row_NHW = (
            (at_NHW + 1) * ((n - 1) / 2)
            for at_NHW, n in zip(grid_NHW2.unbind(3), (width, height), strict=True)
        )
        images_N11 = torch.arange(count, device=grid_NHW2.device).view(-1, 1, 1)
        back_NHWC = gradient_NCHW.new_zeros(count, height, width, channels)
        for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x_NHW, y_NHW = column_NHW.floor() + right, row_NHW.floor() + below
            inside_NHW = (x_NHW >= 0) & (x_NHW < width) & (y_NHW >= 0) & (y_NHW < height)
            share_NHW = (1 - (column_NHW - x_NHW).abs()) * (1 - (row_NHW - y_NHW).abs()) * inside_NHW
            at = (
                images_N11.expand_as(x_NHW),
                y_NHW.clamp(0, height - 1).long(),
                x_NHW.clamp(0, width - 1).long(),
            )
            values_NHWC = gradient_NCHW.permute(0, 2, 3, 1) * share_NHW[..., None]
            back_NHWC.index_put_(at, values_NHWC, accumulate=True)
        return back_NHWC.permute(0, 3, 1, 2), None


def _toned(images_NCHW: Tensor, tone_N: Tensor, contrast_N: Tensor) -> Tensor:
    """Multiply grey g (0 black, 1 white) by the contrast, then bend it: k g / (1 + (k - 1) g).

    A power of g would do the same to the eye, but has an infinite slope at black for exponents below 1, and
    no value for fakes that are darker. This has slopes between 1/k and k, goes straight on beyond black and
    white, and is undone by 1/k.
    """
    device, dtype = images_NCHW.device, images_NCHW.dtype
    k_N111, contrast_N111 = (move(x.to(dtype), device).view(-1, 1, 1, 1) for x in (tone_N, contrast_N))
    grey_NCHW = (images_NCHW + 1) * (contrast_N111 / 2)
    within_NCHW = grey_NCHW.clamp(0, 1)
    beyond_NCHW = grey_NCHW - within_NCHW
    bent_NCHW = k_N111 * within_NCHW / (1 + (k_N111 - 1) * within_NCHW)
    bent_NCHW = bent_NCHW + beyond_NCHW.clamp(max=0) * k_N111 + beyond_NCHW.clamp(min=0) / k_N111
    return 2 * bent_NCHW - 1


def overfit(train: float, validation: float, fake: float) -> float:
    """Tell from mean scores how far the critic knows its training images by heart: 0 not at all, 1 fully.

    r_v of Karras et al. 2020, equation 1. Their other one, r_t, asks for the scores' sign, which says nothing
    where the objective is a Wasserstein distance: its critic is known but for a constant. A critic that
    doesn't rate reals above fakes has learned nothing by heart: 0.
    """
    gap = train - fake
    if not gap > NO_GAP * max(abs(train), abs(fake)):  # not a number: no
        return 0.0
    return (train - validation) / gap


def adjusted(settings: Augmentation, probability: float, overfit: float, images_since: int) -> float:
    """Move the probability towards where `overfit` is at its target, after `images_since` more real images.

    The speed is fixed, as in Karras et al. 2020: by 1 within `adjust_kimg`; the probability stays between 0
    and `HIGHEST_PROBABILITY`. Settings that are not adaptive keep it.
    """
    if settings.kind != "adaptive" or not math.isfinite(overfit) or overfit == settings.target:
        return probability
    step = images_since / (1000 * settings.adjust_kimg)
    return min(max(probability + math.copysign(step, overfit - settings.target), 0.0), HIGHEST_PROBABILITY)
