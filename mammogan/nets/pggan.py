"""PGGAN's pair of networks as a method describes it (Karras et al. 2018)."""

from __future__ import annotations

from mammogan.config.method import Method
from mammogan.nets.critic import Critic
from mammogan.nets.generator import Generator


def build_generator(method: Method, stage: int, recompute: bool) -> Generator:
    """Build PGGAN's generator of `stage`."""
    net, labels = method.network, sum(method.supervision.classes)
    return Generator(
        stage,
        method.ladder.base_px,
        net.latent_size,
        labels,
        net.channels_base,
        net.channels_max,
        recompute=recompute,
    )


def build_critic(method: Method, stage: int, recompute: bool) -> Critic:
    """Build PGGAN's critic of `stage`."""
    net, kind = method.network, method.supervision.kind
    labels = sum(method.supervision.classes)
    return Critic(
        stage,
        method.ladder.base_px,
        labels if kind == "auxiliary" else 0,
        net.channels_base,
        net.channels_max,
        net.stddev_group,
        projected=labels if kind == "projection" else 0,
        recompute=recompute,
    )
