"""Adam's moments by parameter name, the same on any number of ranks and for every ZeRO stage."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mammogan.train.adam import optimiser_of

MOMENTS = ("exp_avg", "exp_avg_sq")


def gather(engine: Any) -> dict[str, Tensor]:
    """Collect ``<parameter>/<moment>`` tensors, ``step`` and the loss scale; every rank must call it.

    ``<parameter>/step`` is there for a parameter that has taken fewer steps than others have.
    """
    from deepspeed.utils import safe_get_full_optimizer_state

    states = engine.optimizer.state if _plain(engine) else None
    steps = _steps(engine)
    tensors: dict[str, Tensor] = {"step": torch.tensor(steps)}
    if (scale := optimiser_of(engine).log2_scale) is not None:
        tensors["log2_scale"] = scale.detach().cpu().clone()
    for name, parameter in engine.module.named_parameters():
        for moment in MOMENTS:
            if states is None:
                value = safe_get_full_optimizer_state(parameter, moment)
            else:
                value = states.get(parameter, {}).get(moment)
            if value is not None:  # a layer that no step has reached yet has no moments
                tensors[f"{name}/{moment}"] = value.detach().to("cpu", torch.float32, copy=True).contiguous()
        own = float(states[parameter]["step"]) if states and parameter in states else steps
        if own != steps:  # of a layer that is younger than the others, whose moments were kept
            tensors[f"{name}/step"] = torch.tensor(own)
    return tensors


def scatter(engine: Any, tensors: dict[str, Tensor]) -> None:
    """Put back what `gather` collected, on this or another number of ranks."""
    from deepspeed.utils import safe_set_full_optimizer_state

    step = tensors["step"].item()
    if not _plain(engine):
        _make_moments(engine)  # which takes a step, and that moves the loss scale
    if (scale := optimiser_of(engine).log2_scale) is not None and "log2_scale" in tensors:
        scale.copy_(tensors["log2_scale"])
    for name, parameter in engine.module.named_parameters():
        found = {moment: tensors.get(f"{name}/{moment}") for moment in MOMENTS}
        if _plain(engine):
            if all(value is not None for value in found.values()):
                state = {
                    moment: value.to(parameter.device) for moment, value in found.items() if value is not None
                }
                taken = tensors.get(f"{name}/step", tensors["step"])
                engine.optimizer.state[parameter] = {"step": taken.to(parameter.device, copy=True), **state}
        else:
            for moment, value in found.items():
                if value is not None:
                    safe_set_full_optimizer_state(parameter, value, moment)
    if not _plain(engine):
        _set_steps(engine, step)


def reset(engine: Any) -> None:
    """Forget all moments, as PGGAN does when a fade begins and when it ends."""
    if _plain(engine):
        engine.optimizer.state.clear()
        return
    for state in engine.optimizer.optimizer.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                value.zero_()


def _plain(engine: Any) -> bool:
    """Whether the engine steps torch's own Adam (ZeRO 0), not partitions of it."""
    return isinstance(engine.optimizer, torch.optim.Optimizer) and not hasattr(engine.optimizer, "optimizer")


def _steps(engine: Any) -> float:
    optimiser = engine.optimizer if _plain(engine) else engine.optimizer.optimizer
    return max((float(state["step"]) for state in optimiser.state.values() if "step" in state), default=0.0)


def _set_steps(engine: Any, step: float) -> None:
    for state in engine.optimizer.optimizer.state.values():
        if "step" in state:
            state["step"] = torch.full_like(torch.as_tensor(state["step"]), step)


def _make_moments(engine: Any) -> None:
    """Give ZeRO's partitions the moments, of zeros, that they would only get with their first step.

    DeepSpeed offers no call for this. A step with gradients of 0 makes them and moves no weight.
    """
    zero = engine.optimizer
    for partition in zero.single_partition_of_fp32_groups:
        partition.grad = torch.zeros_like(partition)
    zero.optimizer.step()
    for partition in zero.single_partition_of_fp32_groups:
        partition.grad = None
    zero._lazy_init_hp_params_optimizer_state()
