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
from mammogan.nets import pggan


class NetworkPair(NamedTuple):
    """How both networks of a stage are made, with fresh weights: method, stage and recompute to a module."""

    generator: Callable[[Method, int, bool], nn.Module]
    critic: Callable[[Method, int, bool], nn.Module]


NETWORKS: dict[str, NetworkPair] = {"pggan": NetworkPair(pggan.build_generator, pggan.build_critic)}
"""`mammogan.train.build_networks` reads the table."""
