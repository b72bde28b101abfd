"""How a stage's networks come to be: resumed, grown from the stage before, or fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.config.run_config import Run
from mammogan.errors import DataError
from mammogan.nets.networks import pair_of
from mammogan.train import checkpoint
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.dataloader import random_numbers
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import LabelTable


class Networks(NamedTuple):
    """The networks of a stage: generator, its moving average, and critic.

    Their types are those of the pair in `NETWORKS` that the method names.
    """

    generator: Any
    average: Any
    critic: Any


def build_generator(method: Method, stage: int, *, recompute: bool = False) -> Any:
    """Build the generator of `stage`, with fresh weights."""
    return pair_of(method).generator(method, stage, recompute)


def build_critic(method: Method, stage: int, *, recompute: bool = False) -> Any:
    """Build the critic of `stage`, with fresh weights."""
    return pair_of(method).critic(method, stage, recompute)


def networks(folder: Path, run: Run, stage: int, start: Checkpoint | None) -> Networks:
    """Give generator, averaged generator and critic of `stage`.

    `start` is the checkpoint to resume; without it the layers that the stage before knows are taken from its
    last checkpoint and the new ones are fresh, the same in the generator and its average.

    Raises
    ------
    DataError
        If the stage before has not ended, or its last checkpoint is damaged.
    """
    generator, critic = fresh(run.method, stage)
    average = build_generator(run.method, stage)
    average.load_state_dict(generator.state_dict())
    source = start
    if source is None and stage:
        before = schedule.plan(run.method)[stage - 1]
        source = checkpoint.at(folder, before.index, before.images)
        if not source.folder.is_dir():
            raise DataError(
                f"Stage {stage} grows from stage {stage - 1}, which has not ended: there is no "
                f"'{source.folder}'. Run `mammogan launch` for this run, or `mammogan step {folder} "
                f"train-{stage - 1}` first."
            )
        checkpoint.verified(source)
    if source is not None:
        for part, net in (("generator", generator), ("average", average), ("critic", critic)):
            _load(net, source.tensors(part), whole=start is not None)
    return Networks(generator, average, critic)


def fresh(method: Method, stage: int) -> tuple[Any, Any]:
    """Draw new weights for both networks of `stage`, the same on every rank."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_numbers(method.method.seed, "weights", stage).initial_seed())
        recompute = schedule.plan(method)[stage].recompute
        return (
            build_generator(method, stage, recompute=recompute),
            build_critic(method, stage, recompute=recompute),
        )


def load_average(method: Method, source: Checkpoint, device: torch.device) -> Model:
    """Give the averaged generator of a checkpoint, ready to draw."""
    average = build_generator(method, source.stage)
    _load(average, checkpoint.verified(source).tensors("average"), whole=True)
    table = LabelTable.load(source.tensors("labels"))
    return Model(average.requires_grad_(False).eval().to(device), method, table)


def _load(net: nn.Module, tensors: dict[str, Tensor], *, whole: bool) -> None:
    own = net.state_dict()
    known = all(name in own and own[name].shape == tensor.shape for name, tensor in tensors.items())
    if not known or (whole and set(own) - set(tensors)):
        raise DataError(
            "A checkpoint does not fit the network that the method describes: it was written with other "
            "settings of [network] or [ladder]. Start a new run for new settings."
        )
    net.load_state_dict(own | tensors)
