"""Penalties on the critic's gradients with respect to images; any of them goes with any objective.

Shape suffixes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mammogan.config.loss_settings import Loss
from mammogan.losses.critic_gradients import Critic, norms_between, squared_norms, squared_norms_between

Penalty = Callable[[Loss, Critic, Tensor, Tensor, Tensor], Tensor]
"""Settings, critic, reals (N, C, H, W), fakes alike and the share of the fake in the mix (N,) to a scalar."""


def two_sided(settings: Loss, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Compute weight / target^2 E[(|grad D(mix)| - target)^2] (Gulrajani et al. 2017, equation 3)."""
    norms_N = norms_between(critic, real_NCHW, fake_NCHW, mix_N)
    target = settings.penalty_target
    return settings.penalty_weight / target**2 * (norms_N - target).square().mean()


def zero_centred(
    settings: Loss, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor
) -> Tensor:
    """Compute weight / 2 E[|grad D(mix)|^2] between reals and fakes (Thanh-Tung et al. 2019)."""
    return settings.penalty_weight / 2 * squared_norms_between(critic, real_NCHW, fake_NCHW, mix_N).mean()


def r1(settings: Loss, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Compute weight / 2 E[|grad D(real)|^2] (Mescheder et al. 2018, equation 9)."""
    return settings.penalty_weight / 2 * squared_norms(critic, real_NCHW).mean()


def r2(settings: Loss, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Compute weight / 2 E[|grad D(fake)|^2] (Mescheder et al. 2018, equation 10)."""
    return settings.penalty_weight / 2 * squared_norms(critic, fake_NCHW).mean()


def r1_r2(settings: Loss, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Compute both of `r1` and `r2`, which relativistic pairing needs to converge (Huang et al. 2024)."""
    inputs = settings, critic, real_NCHW, fake_NCHW, mix_N
    return r1(*inputs) + r2(*inputs)


PENALTIES: dict[str, Penalty] = {
    "two-sided": two_sided,
    "zero-centred": zero_centred,
    "r1": r1,
    "r2": r2,
    "r1-r2": r1_r2,
}
"""Penalties by their name in ``loss.penalty``; `mammogan.train.gan_step` reads the table."""
