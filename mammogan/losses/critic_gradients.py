"""Gradients of the critic's score with respect to images, differentiable once more.

Shape suffixes: N images, C channels, H x W pixels, L labels. The gradient of the sum of scores is taken, so
that minibatch standard deviation couples the images of a group as in the original.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Images (N, C, H, W) to scores (N,) and label logits (N, L)."""


def norms_between(critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Norm of the gradient at a point between each real image and its fake; (N,).

    `mix_N` is the share of the fake, uniform in [0, 1], one number an image.
    """
    return squared_norms_between(critic, real_NCHW, fake_NCHW, mix_N).sqrt()


def squared_norms_between(critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Square of the norm of `norms_between`; (N,)."""
    return squared_norms(critic, torch.lerp(real_NCHW, fake_NCHW, mix_N.view(-1, 1, 1, 1)))


def squared_norms(critic: Critic, images_NCHW: Tensor) -> Tensor:
    """Square of the gradient's norm at each of the images; (N,)."""
    at_NCHW = images_NCHW.detach().requires_grad_(True)
    scores_N, _ = critic(at_NCHW)
    (gradient_NCHW,) = torch.autograd.grad(scores_N.sum(), at_NCHW, create_graph=True)
    return gradient_NCHW.square().sum(dim=(1, 2, 3))
