"""The work of training a stage, counted from the widths of its layers: operations, bytes, parameters.

Nothing is computed and torch is not loaded. A test holds these formulae against torch's own count of a step:
operations agree within 2 %, bytes within 15 % from 80x64 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from mammogan.config.method import Method
from mammogan.errors import ConfigError
from mammogan.schedule import Stage, ladder

BYTES_A_NUMBER, BYTES_A_PARAMETER = 31.0, 225.0
"""Fitted to what operators read and write in a step: for each number of a map and pass, and parameter."""
CALLS, CALLS_A_STAGE = 536, 188
"""Fitted to the operators that a step launches: in the first stage, and more in each that follows."""


@dataclass(frozen=True)
class Work:
    """What one image costs in one training step, what drawing it costs, and what a step costs beside."""

    flops: float
    traffic: float
    step_traffic: float
    drawing_flops: float
    calls: int
    parameters: int
    critic_parameters: int

    @property
    def gradient_bytes(self) -> float:
        """Bytes of both networks' gradients, which ranks reduce."""
        return 4.0 * (self.parameters + self.critic_parameters)

    @property
    def checkpoint_bytes(self) -> float:
        """Bytes of a checkpoint: generator, its average and critic, and two moments of each Adam."""
        return 4.0 * (4 * self.parameters + 3 * self.critic_parameters)


def work(method: Method, stage: Stage) -> Work:
    """Count the work of `stage`, in passes of the networks over one image (see docs/cost.md).

    Raises
    ------
    ConfigError
        If the method's networks are others than PGGAN's, whose layers are counted here.
    """
    if method.network.kind != "pggan":
        raise ConfigError(
            f"The cost of the networks '{method.network.kind}' (network.kind) is not known: only those of "
            "'pggan' are counted."
        )
    drawing, layers, parameters, maps = _generator(method, stage.index)
    generator, critic = _passes(method, stage)
    return Work(
        flops=generator * drawing + critic * layers,
        traffic=BYTES_A_NUMBER * (generator + critic) * maps,
        step_traffic=BYTES_A_PARAMETER * parameters,
        drawing_flops=drawing,
        calls=CALLS + CALLS_A_STAGE * stage.index,
        parameters=parameters,
        critic_parameters=_critic_parameters(method, stage.index),
    )


def _passes(method: Method, stage: Stage) -> tuple[float, float]:
    """Count the passes of a step over generator and critic, a pass back through layers counting as two."""
    loss = method.loss
    generator = 3 + (0 if loss.shared_fakes else 1)
    penalty = (4 if loss.penalty_holds_stddev else 6) / loss.penalty_every
    critic = 2 + 2 + 4 + penalty
    if stage.recompute:
        generator, critic = generator + 1, critic + 5
    return generator, critic


def _generator(method: Method, stage: int) -> tuple[float, float, int, float]:
    """Count a forward pass of the generator over one image: operations, parameters, numbers in its maps.

    Operations are those of the generator, whose upper stages double and convolve at once
    (`mammogan.nets.layers`), and those without that, which are the critic's.
    """
    net, base = method.network, method.ladder.base_px
    widths = net.widths(stage)
    pixels = [height * width for height, width in ladder(base, stage + 1)]
    first = widths[0]
    dense = (net.latent_size + sum(method.supervision.classes)) * first * pixels[0]
    convolutions = [(9 * first * first, pixels[0], first)]
    saved = 0.0
    for (below, width), at in zip(pairwise(widths), pixels[1:], strict=True):
        convolutions += [(9 * below * width, at, width), (9 * width * width, at, width)]
        if below * at / 4 > 9 * below * width:
            saved += 2.0 * (9 - 4) * below * width * at
    operations = 2.0 * (
        dense + sum(weights * at for weights, at, _ in convolutions) + widths[-1] * pixels[-1]
    )
    biases = first + sum(width for _, _, width in convolutions)
    images = sum(width + 1 for width in widths)
    parameters = dense + sum(weights for weights, _, _ in convolutions) + biases + images
    return operations - saved, operations, parameters, float(sum(width * at for _, at, width in convolutions))


def _critic_parameters(method: Method, stage: int) -> int:
    net, (height, width) = method.network, method.ladder.base_px
    widths = net.widths(stage)
    first = widths[0]
    images = sum(2 * maps for maps in widths)
    blocks = sum(9 * maps * (maps + below) + maps + below for below, maps in pairwise(widths))
    last = 9 * (first + 1) * first + first
    dense = first * height * width * first + first
    labels = sum(method.supervision.classes)
    head = (first + 1) * (1 + (labels if method.supervision.kind == "auxiliary" else 0))
    projection = first * labels if method.supervision.kind == "projection" else 0
    return images + blocks + last + dense + head + projection
