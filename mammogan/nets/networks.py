"""Pairs of generator and critic by the name that a method gives in ``network.kind``.

Whatever comes in a pair takes and returns what `mammogan.nets.Generator` and `mammogan.nets.Critic` do, has
the attribute `stage`, and names the layers that it shares with the stage before by the same keys of its
``state_dict``, so that a stage grows from the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from mammogan.config.method import Method
from mammogan.config.references import is_reference, resolve
from mammogan.config.settings import nearest
from mammogan.errors import ConfigError
from mammogan.nets.bilinear_noise import BilinearNoiseGenerator
from mammogan.nets.critic import Critic
from mammogan.nets.generator import Generator
from mammogan.nets.layers import upsample, upsample_bilinear


class NetworkPair(NamedTuple):
    """How both networks of a stage are made, with fresh weights: method, stage and recompute to a module.

    `upsample` doubles images as the generator's fade does, so that reals fade in alike.
    """

    generator: Callable[[Method, int, bool], nn.Module]
    critic: Callable[[Method, int, bool], nn.Module]
    upsample: Callable[[Tensor], Tensor] = upsample


def pair_of(method: Method) -> NetworkPair:
    """Return the pair of networks that the method names: of the table, or somebody else's.

    Raises
    ------
    ConfigError
        If there is no such pair.
    """
    kind = method.network.kind
    if is_reference(kind):
        found = resolve(kind, "network.kind")
        if missing := [name for name in ("generator", "critic") if not callable(getattr(found, name, None))]:
            raise ConfigError(
                f"network.kind '{kind}' has no '{missing[0]}' that makes one: it is no NetworkPair."
            )
        return NetworkPair(found.generator, found.critic, getattr(found, "upsample", upsample))
    if kind not in NETWORKS:
        raise ConfigError(f"There is no pair of networks '{kind}' (network.kind).{nearest(kind, NETWORKS)}")
    return NETWORKS[kind]


def _pggan_generator(method: Method, stage: int, recompute: bool) -> Generator:
    return Generator(*_shape(method, stage), recompute=recompute)


def _bilinear_noise_generator(method: Method, stage: int, recompute: bool) -> BilinearNoiseGenerator:
    skip = method.network.skip_outputs
    return BilinearNoiseGenerator(*_shape(method, stage), skip=skip, recompute=recompute)


def _critic(method: Method, stage: int, recompute: bool) -> Critic:
    net, kind = method.network, method.supervision.kind
    labels = sum(method.supervision.classes)
    return Critic(
        stage,
        method.ladder.base_px,
        labels if kind == "auxiliary" else 0,
        net.widths(stage),
        net.stddev_group,
        projected=labels if kind == "projection" else 0,
        early_mean=net.critic_mean == "between",
        recompute=recompute,
    )


def _shape(method: Method, stage: int) -> tuple[int, tuple[int, int], int, int, tuple[int, ...]]:
    net, labels = method.network, sum(method.supervision.classes)
    return stage, method.ladder.base_px, net.latent_size, labels, net.widths(stage)


NETWORKS: dict[str, NetworkPair] = {
    "pggan": NetworkPair(_pggan_generator, _critic),
    "bilinear-noise": NetworkPair(_bilinear_noise_generator, _critic, upsample_bilinear),
}
"""`mammogan.train.build_networks` reads the table."""
