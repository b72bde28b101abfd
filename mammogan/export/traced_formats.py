"""The plain generator as a graph: TorchScript, torch.export and ONNX, for any number of images at once."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from mammogan.export.exported_model import ExportedModel
    from mammogan.nets.plain_generator import MammoganGenerator

TORCHSCRIPT, PT2, ONNX = "model.ts", "model.pt2", "model.onnx"
TRACED_IMAGES = 2
"""In the example that is traced; with 1, a compiler would take the number for a constant."""


def write_torchscript(exported: ExportedModel, folder: Path) -> None:
    """Write a trace that ``torch.jit.load`` opens."""
    import torch

    plain = exported.plain()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # still what MONAI and C++ load
        trace: Callable[..., Any] = torch.jit.trace
        traced = trace(plain, example_kwarg_inputs=_example(plain), check_trace=False)
        torch.jit.save(traced, folder / TORCHSCRIPT)


def write_pt2(exported: ExportedModel, folder: Path) -> None:
    """Write a program that ``torch.export.load`` opens."""
    import torch

    torch.export.save(_program(exported.plain()), folder / PT2)


def write_onnx(exported: ExportedModel, folder: Path) -> None:
    """Write a graph for ONNX Runtime and others; inputs by name, the result is ``images``."""
    import torch

    plain = exported.plain()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it names packages that this needs nothing of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about itself
        graph = torch.onnx.export(
            _program(plain),
            kwargs=_example(plain),
            input_names=list(plain.inputs),
            output_names=["images"],
            dynamo=True,
            verbose=False,
        )
    assert graph is not None
    graph.save(str(folder / ONNX))


def _program(plain: MammoganGenerator) -> Any:
    import torch

    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(
        plain, (), kwargs=_example(plain), dynamic_shapes={name: {0: batch} for name in plain.inputs}
    )


def _example(plain: MammoganGenerator) -> dict[str, Tensor]:
    """Give inputs by name, those that the network heeds."""
    from mammogan.nets.plain_generator import latents, noise_numbers

    numbers = range(TRACED_IMAGES)
    inputs = {
        "latents": latents(0, numbers, plain.latent_size),
        "labels": plain.one_hot(plain.labels_of(0, numbers)),
        "noise": noise_numbers(0, numbers),
    }
    return {name: inputs[name] for name in plain.inputs}
