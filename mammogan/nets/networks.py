"""Pairs of generator and critic by the name that a method gives in ``network.kind``.

Whatever comes in a pair takes and returns what `mammogan.nets.Generator` and `mammogan.nets.Critic` do, has
the attribute `stage`, and names the layers that it shares with the stage before by the same keys of its
``state_dict``, so that a stage grows from the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from mammogan.config.method import Method
from mammogan.nets.critic import Critic
from mammogan.nets.generator import Generator


class NetworkPair(NamedTuple):
    """How both networks of a stage are made, with fresh weights: method, stage and recompute to a module."""

    generator: Callable[[Method, int, bool], nn.Module]
    critic: Callable[[Method, int, bool], nn.Module]


def pggan_generator(method: Method, stage: int, recompute: bool) -> Generator:
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


def pggan_critic(method: Method, stage: int, recompute: bool) -> Critic:
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


NETWORKS: dict[str, NetworkPair] = {"pggan": NetworkPair(pggan_generator, pggan_critic)}
"""`mammogan.train.build_networks` reads the table."""
