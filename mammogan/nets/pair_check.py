"""Whether a pair of networks of somebody else does what training, growing and drawing ask of it.

Shape suffixes: N images, Z latent, L labels, C channels, H x W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.errors import ConfigError
from mammogan.nets.networks import NetworkPair

GENERATOR_NAMES, CRITIC_NAMES = ("stage", "base_px", "seed", "grow"), ("stage",)


def check_pair(pair: NetworkPair, method: Method) -> None:
    """Build the first two stages of both networks and draw and score a group of images with each.

    Raises
    ------
    ConfigError
        With what the pair lacks, and what was expected.
    """
    known: list[dict[str, Tensor]] = [{}, {}]
    for stage in schedule.plan(method)[:2]:
        size_px = stage.height_px, stage.width_px
        networks = []
        for part, make in (("generator", pair.generator), ("critic", pair.critic)):
            try:
                networks.append(make(method, stage.index, False))
            except Exception as error:  # noqa: BLE001 - it is somebody else's code, which may do anything
                raise _wrong(
                    method, f"its {part} of stage {stage.index} can't be made: {_named(error)}"
                ) from None
        _check_names(method, networks)
        _check_passes(method, networks, size_px)
        for part, net, before in zip(("generator", "critic"), networks, known, strict=True):
            _check_growth(method, part, net, before)
        known = [dict(net.state_dict()) for net in networks]


def _check_names(method: Method, networks: list[nn.Module]) -> None:
    for part, net, names in zip(
        ("generator", "critic"), networks, (GENERATOR_NAMES, CRITIC_NAMES), strict=True
    ):
        if not isinstance(net, nn.Module):
            raise _wrong(method, f"its {part} is no torch.nn.Module but a '{type(net).__name__}'")
        if missing := [name for name in names if not hasattr(net, name)]:
            raise _wrong(method, f"its {part} has no '{missing[0]}'")


def _check_passes(method: Method, networks: list[Any], size_px: tuple[int, int]) -> None:
    """Draw a group of images of known and of truncated features, and score them."""
    generator, critic = networks
    count, labels = method.network.stddev_group, sum(method.supervision.classes)
    latents_NZ, labels_NL = torch.zeros(count, method.network.latent_size), torch.zeros(count, labels)
    numbers_N = torch.arange(count)
    try:
        with torch.no_grad():
            images = generator(latents_NZ, labels_NL, 1.0, numbers_N)
            grown = generator.grow(generator.seed(latents_NZ, labels_NL), 1.0, numbers_N)
            scores, logits = critic(images, 0.5, labels_NL, detach_stddev=True)
    except Exception as error:  # noqa: BLE001 - it is somebody else's code, which may do anything
        raise _wrong(method, f"a pass through its networks fails: {_named(error)}") from None
    logits_wanted = labels if method.supervision.kind == "auxiliary" else 0
    for what, found, expected in (
        ("its generator draws", images, (count, 1, *size_px)),
        ("its generator's grow(seed(...)) draws", grown, (count, 1, *size_px)),
        ("its critic scores", scores, (count,)),
        ("its critic's logits are", logits, (count, logits_wanted)),
    ):
        shape = tuple(getattr(found, "shape", ()))
        if shape != expected:
            raise _wrong(method, f"{what} '{shape}', and not {expected}")


def _check_growth(method: Method, part: str, net: nn.Module, before: dict[str, Tensor]) -> None:
    """See that a stage takes over what it shares with the one before it."""
    after = net.state_dict()
    if before and not before.keys() & after.keys():
        raise _wrong(method, f"its {part} of stage 1 shares no key of its state_dict with that of stage 0")
    for key in before.keys() & after.keys():
        if before[key].shape != after[key].shape:
            raise _wrong(method, f"its {part}'s '{key}' has another shape in stage 1 than in stage 0")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _wrong(method: Method, what: str) -> ConfigError:
    return ConfigError(
        f"network.kind '{method.network.kind}': {what}. docs/extending.md says what is asked of a pair."
    )
