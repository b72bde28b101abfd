"""A training step asks the device for nothing that the host would have to wait for: ticks do.

A CPU tells of no wait. So every operation that would make one on a GPU is caught: a tensor that becomes a
number, a flag, a list or an array, a size that hangs on values, and a copy that is not left to run by itself.
"""

import pytest
import torch
from deepspeed.accelerator import get_accelerator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.train.test_gan_step import new_batch, new_gan_step

SIZED_BY_VALUES = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique",
    "_unique2",
    "equal",
    "bincount",
)
ASKING = {"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__contains__"}
PLUS = (
    "network.kind=bilinear-noise",
    "network.black_margin=0.08",
    "loss.objective=non-saturating",
    "loss.penalty=r1",
    "loss.penalty_every=2",
    "ema.half_life_kimg=1",
    "engine.precision=bf16",
)


class Operators(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        masks = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        if name in SIZED_BY_VALUES or any(mask is not None and mask.dtype == torch.bool for mask in masks):
            self.found.append(name)
        return function(*arguments, **(options or {}))


class Questions(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, arguments=(), options=None):
        options, name = options or {}, getattr(function, "__name__", str(function))
        copies = name in ("to", "tensor", "as_tensor", "cuda") and _names_device(arguments[1:], options)
        if name in ASKING or (copies and not options.get("non_blocking")):
            self.found.append(name)
        return function(*arguments, **options)


def _names_device(arguments, options):
    return "device" in options or any(isinstance(a, (torch.device, str, torch.Tensor)) for a in arguments)


@pytest.fixture
def waits():
    """Give a function that runs a step and lists what would have waited in it."""

    def run(step):
        with Operators() as operators, Questions() as questions:
            step()
        return operators.found + questions.found

    return run


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        PLUS,
        ("supervision.kind=projection", "loss.shared_fakes=true"),
        ("loss.objective=relativistic", "loss.penalty=r1-r2", "engine.micro_batch=[4]"),
        ("engine.precision=fp16", "engine.recompute=[true]"),
    ],
    ids=["wgan-gp", "plus", "projection", "relativistic", "fp16"],
)
def test_a_step_waits_for_nothing(waits, monkeypatch, overrides):
    gan_step = new_gan_step(*overrides)
    batches = [new_batch(gan_step, seed) for seed in range(4)]
    asked = []
    monkeypatch.setattr(type(get_accelerator()), "synchronize", lambda *_: asked.append("synchronize"))
    for number, batch in enumerate(batches):  # DeepSpeed's timer began with the third
        step = lambda batch=batch, number=number: gan_step.step(batch, 0.5, number)  # noqa: E731
        assert waits(step) == []
    assert asked == []


def test_what_waits_is_caught(waits):
    numbers = torch.arange(4.0)
    assert waits(lambda: numbers.sum().item())
    assert waits(lambda: bool(numbers[0]))
    assert waits(lambda: numbers[numbers > 1])
    assert waits(numbers.tolist)
    assert waits(lambda: numbers.to(torch.device("cpu")))
    assert waits(lambda: torch.tensor([1.0], device="cpu"))
    assert waits(numbers.numpy)
    assert waits(lambda: numbers.to(torch.float64)) == []
    assert waits(lambda: numbers.to(torch.device("cpu"), non_blocking=True)) == []
