"""Every line that depends on the device: which one, its collectives, its precision, its memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from mammogan import machine
from mammogan.config.engine_settings import Engine
from mammogan.memory import keep_pages
from mammogan.train import device_choice

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BACKENDS: Any = torch.backends  # whose types leave out what their modules have
_CUDA: Any = torch.cuda
_DETERMINISTIC: Any = torch.utils.deterministic
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""cuBLAS is deterministic with workspaces of a fixed size alone, and looks at this once, when it starts."""


def local_device() -> torch.device:
    """Give this rank's device: its own GPU where there is one, else the CPU.

    MAMMOGAN_DEVICE decides if it is set, as in every step of a run. A site may show a rank all GPUs of its
    node or only its own (gpus-per-task), which is then number 0.

    Raises
    ------
    ClusterError
        If MAMMOGAN_DEVICE is ``cuda`` and there is no GPU, or fewer than processes on the node.
    """
    if device_choice.kind() == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", device_choice.gpu_of_rank())
    torch.cuda.set_device(device)
    return device


def collectives() -> str:
    """Name the backend of the process group."""
    return "nccl" if device_choice.kind() == "cuda" else "gloo"


def decoding_threads(wanted: int, device: torch.device) -> int:
    """Choose how many threads decode a batch's images: what a GPU computes leaves the host's cores free."""
    return wanted or (4 if device.type == "cuda" else 1)


def training_precision(precision: str, device: torch.device) -> str:
    """Choose the arithmetic of training where a method leaves it open (``auto``): bf16 where that is quick.

    That is a GPU from Ampere on, and a CPU with AMX (docs/cost.md says what convolutions reach in both).
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        quick = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        quick = bool(torch.cpu._is_amx_tile_supported())
    return "bf16" if quick else "fp32"


def compute_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Open the context in which convolutions run in ``fp32``, ``bf16`` or ``fp16``; parameters stay fp32.

    ``auto`` is for training (`training_precision`); what is drawn and judged is the same everywhere, in fp32.
    """
    if precision in ("fp32", "auto"):
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to the device, on a GPU without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Uploads:
    """Batches on their way to the device, which a reading thread sends while a step is computed.

    On a GPU they go on a stream of their own, from pinned memory that is used again once its copy has left:
    two sets of buffers take turns. Elsewhere nothing is copied, unless `reuse` asks for it.
    """

    def __init__(self, device: torch.device, *, beside: bool = True, reuse: bool | None = None) -> None:
        self.device = device
        self._stream = _CUDA.Stream(device) if beside and device.type == "cuda" else None
        self._reuse = self._stream is not None if reuse is None else reuse
        self._sets: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        self._left: list[torch.cuda.Event | None] = [None, None]
        self._turn = 0

    def begin(self) -> None:
        """Turn to the other set of buffers; waits if what it last held has not left yet."""
        self._turn = 1 - self._turn
        if (left := self._left[self._turn]) is not None:
            left.synchronize()  # the reading thread waits, not the one that computes

    def buffer(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Give memory on the host to read `name` of a batch into; it is valid until it is sent."""
        if not self._reuse:
            return torch.empty(shape, dtype=dtype)
        buffers = self._sets[self._turn]
        if name not in buffers or buffers[name].shape != shape:
            buffers[name] = torch.empty(shape, dtype=dtype, pin_memory=self._stream is not None)
        return buffers[name]

    def send(self, tensors: Iterable[Tensor]) -> Arriving:
        """Send what lies in buffers of this turn."""
        if self._stream is None:
            copy = self._reuse  # else what was sent would change with the buffer
            return Arriving([t.clone() if copy else move(t, self.device) for t in tensors], None)
        with torch.cuda.stream(self._stream):
            there = [tensor.to(self.device, non_blocking=True) for tensor in tensors]
            left = _CUDA.Event(blocking=True)
            left.record(self._stream)
        self._left[self._turn] = left
        return Arriving(there, left)


@dataclass(frozen=True)
class Arriving:
    """Tensors that are on their way to the device."""

    tensors: list[Tensor]
    left: torch.cuda.Event | None

    def receive(self) -> list[Tensor]:
        """Give the tensors to the current stream, which waits for them; the host does not."""
        if self.left is not None:
            stream = torch.cuda.current_stream(self.tensors[0].device)
            stream.wait_event(self.left)
            for tensor in self.tensors:
                tensor.record_stream(stream)  # their memory is that stream's, too, until it is through
        return self.tensors


@dataclass(frozen=True)
class Arithmetic:
    """How a GPU computes; a CPU is deterministic by itself, with one number of threads.

    Attributes
    ----------
    deterministic : bool
        By algorithms that give the same bits each time. Else cuDNN tries which is the fastest, and takes it.
    tf32 : bool
        fp32 numbers are multiplied as TF32 and summed up in fp32.
    """

    deterministic: bool = True
    tf32: bool = False

    def apply(self) -> None:
        """Let this process compute so on GPUs from now on."""
        os.environ.setdefault(*CUBLAS_WORKSPACE)
        torch.backends.cudnn.deterministic = self.deterministic
        # Which one is the fastest is measured anew by each process, and decides the last bits.
        torch.backends.cudnn.benchmark = not self.deterministic
        # By this name torch loads no compiler, which takes a second.
        torch.set_deterministic_debug_mode("error" if self.deterministic else "default")
        # Else every tensor that is made is filled with numbers first, at the price of writing it twice.
        _DETERMINISTIC.fill_uninitialized_memory = False
        _multiply(tf32=self.tf32)

    @classmethod
    def current(cls) -> Self:
        """Return how this process computes on GPUs."""
        tf32 = _BACKENDS.cudnn.conv.fp32_precision == "tf32"
        return cls(deterministic=torch.backends.cudnn.deterministic, tf32=tf32)


def _multiply(*, tf32: bool) -> None:
    """Set what becomes of fp32 numbers in convolutions and products of matrices.

    Torch has names of before 2.9 and new ones, each set of which can be read as long as both agree alone.
    """
    precision = "tf32" if tf32 else "ieee"
    with warnings.catch_warnings():  # that the old names will go
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
    _BACKENDS.mkldnn.matmul.fp32_precision = "ieee"  # the old name means the CPU, too
    for one in (_BACKENDS.cuda.matmul, _BACKENDS.cudnn.conv, _BACKENDS.cudnn.rnn):
        one.fp32_precision = precision


@contextmanager
def drawing(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Open the context of drawing and scoring: the same bytes each time, however training computes."""
    if device.type != "cuda":
        yield
        return
    before, cudnn_benchmark = Arithmetic.current(), torch.backends.cudnn.benchmark
    Arithmetic(tf32=tf32).apply()
    try:
        yield
    finally:
        before.apply()
        torch.backends.cudnn.benchmark = cudnn_benchmark


def compile_generator(generator: nn.Module, how: str) -> None:
    """Compile the generator in place; a critic can't be, whose gradients are differentiated once more."""
    if how == "off":
        return
    if torch.get_deterministic_debug_mode():  # then by the name that tells the compiler, too
        torch.use_deterministic_algorithms(True)
    generator.compile(mode="reduce-overhead" if how == "cuda-graphs" else "default")


def kept(output: Tensor, how: str) -> Tensor:
    """Return what a generator compiled in this way gave, safe from its next run, which writes there."""
    return output.clone() if how == "cuda-graphs" else output


def uncompiled(when: bool) -> AbstractContextManager[object]:
    """Open a context in which compiled networks run as they are written, `when` that is wanted."""
    return torch.compiler.set_stance("force_eager") if when else nullcontext()


def usage() -> dict[str, float]:
    """Tell the most memory that this process has had, in GB of the host and of the device.

    Of a GPU also the percentage of its last second, or less, in which anything ran on it: its own figure.
    """
    used = {"system/memory_peak_gb": machine.memory_peak_gb()}
    if torch.cuda.is_available():
        used["system/device_memory_peak_gb"] = torch.cuda.max_memory_allocated() / 2**30
        with suppress(ImportError):
            from pynvml import NVMLError

            with suppress(RuntimeError, NVMLError):  # not every driver or slice of a GPU tells
                used["system/device_busy_percent"] = float(torch.cuda.utilization())
    return used


def prepare(device: torch.device, engine: Engine | None = None) -> None:
    """Set the process up for this device: threads and allocator of a CPU, arithmetic of a GPU.

    It is that of a training's `engine`; without one, of drawing and scoring. To be called before anything is
    computed on the device.
    """
    if device.type == "cuda":
        how = Arithmetic() if engine is None else Arithmetic(engine.deterministic, engine.tf32)
        how.apply()
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1)
    keep_pages()
