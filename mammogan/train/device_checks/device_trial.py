"""What all checks of a device share: its sizes, how networks and batches for it come to be, and time.

Shape suffixes: N images, F label fields.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mammogan import schedule
from mammogan.config.method import Method, load_method
from mammogan.schedule import Stage
from mammogan.train import accelerator, build_networks
from mammogan.train.build_networks import Networks
from mammogan.train.dataloader import Batch, BatchLoader
from mammogan.train.distributed import ProcessGroup, join
from mammogan.train.engines import BareEngine
from mammogan.train.gan_step import GanStep

CPU = torch.device("cpu")
NARROW = ("network.channels_base=512", "network.channels_max=32", "network.latent_size=64")
"""Networks that a CPU trains beside a GPU."""
TINY = ("ladder.stages=2", "network.channels_base=64", "network.channels_max=16", "network.latent_size=16")
"""Networks for a CPU in the place of the GPU."""
TINY_BATCHES = ("schedule.batch=[8]", "engine.micro_batch=[8]")
FP32 = ("engine.precision=fp32", "engine.tf32=false")
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "fp32": FP32,
    "TF32": ("engine.precision=fp32", "engine.tf32=true"),
    "bf16": ("engine.precision=bf16",),
}
WARM_UP = 2


@dataclass
class Trial:
    """A device on trial.

    Attributes
    ----------
    end : float
        Time of `time.monotonic` at which no check is begun any more.
    bare : bool
        Whether steps do without DeepSpeed, because it does not start here.
    """

    device: torch.device
    end: float
    bare: bool = False

    @property
    def tiny(self) -> bool:
        """Whether a CPU stands in for the GPU, with sizes to match."""
        return self.device.type == "cpu"

    @property
    def step_s(self) -> float:
        """Seconds over which something is timed."""
        return 0.02 if self.tiny else 0.4

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()

    def method(self, name: str, *overrides: str) -> Method:
        """Load a method, of its full size on a GPU."""
        return load_method(name, (*self.overrides, *overrides))

    @property
    def overrides(self) -> tuple[str, ...]:
        """What every method is changed by: nothing on a GPU."""
        return (*TINY, *TINY_BATCHES) if self.tiny else ()

    def narrow(self, name: str, *overrides: str) -> Method:
        """Load a method with networks that a CPU trains too."""
        batches = ("schedule.batch=[8]", "engine.micro_batch=[8]")
        return self.method(name, *(() if self.tiny else NARROW), *batches, *overrides)

    @cached_property
    def group(self) -> ProcessGroup:
        """The process group of this process alone."""
        return ProcessGroup(0, 1) if self.bare else join()

    def gan_step(
        self,
        method: Method,
        stage: Stage,
        networks: Networks | None = None,
        *,
        on: torch.device | None = None,
    ) -> GanStep:
        """Build a stage's step on the device, with DeepSpeed; or on another, `on`, by torch alone."""
        device = on or self.device
        engine = BareEngine if self.bare or device.type != self.device.type else None
        if networks is None:
            generator, critic = build_networks.fresh(method, stage.index)
            average = build_networks.build_generator(method, stage.index)
            average.load_state_dict(generator.state_dict())
            networks = Networks(generator, average, critic)
        group = ProcessGroup(0, 1) if engine else self.group
        return GanStep(method, stage, networks, group, device, engine)

    def free(self) -> None:
        """Give back the memory of what was dropped."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def usable(self) -> bool:
        """Whether the device still answers this process."""
        try:
            self.wait()
        except RuntimeError:
            return False
        return True

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, step: Callable[[], object], seconds: float, fewest: int = 3) -> float:
        """Time `step`, in seconds, over so many seconds; the device is waited for once, at the end."""
        for _ in range(WARM_UP):
            step()
        self.wait()
        count, begin = 0, time.perf_counter()
        while count < fewest or time.perf_counter() - begin < seconds:
            step()
            count += 1
            if count % 8 == 0:  # or thousands of steps would be waiting
                self.wait()
        self.wait()
        return (time.perf_counter() - begin) / count


@contextmanager
def prepared(trial: Trial, method: Method) -> Iterator[None]:
    """Open the context in which the device computes as `method` says, and give its memory back after it."""
    accelerator.prepare(trial.device, method.engine)
    try:
        yield
    finally:
        trial.free()


def end(gan_step: GanStep) -> None:
    """Let DeepSpeed let go of a step's networks, whose memory would stay in use."""
    for engine in (gan_step.critic_engine, gan_step.generator_engine):
        if hasattr(engine, "destroy"):
            engine.destroy()


def alone(method: Method, index: int, batch: int) -> Stage:
    """Give a stage of a method with another batch, taken at once."""
    return replace(schedule.plan(method)[index], batch=batch, micro_batch=batch)


def noise_batch(method: Method, stage: Stage, batch: int, device: torch.device) -> Batch:
    """Make a batch of noise: to be timed, and the same on every device."""
    noise = torch.Generator().manual_seed(batch)
    latents_NZ = torch.randn(batch, method.network.latent_size, generator=noise)
    classes = method.supervision.classes or (1,) * len(method.supervision.fields)
    labels_NF = torch.stack([torch.randint(count, (batch,), generator=noise) for count in classes], dim=1)
    numbers_N = torch.arange(batch)
    parts = (
        torch.rand(batch, 1, stage.height_px, stage.width_px, generator=noise) * 2 - 1,
        labels_NF,
        latents_NZ,
        torch.rand(batch, generator=noise),
        latents_NZ.flip(0),
        labels_NF.flip(0),
        numbers_N,
        numbers_N + batch,
    )
    return Batch(*[*(part.to(device) for part in parts), torch.empty(batch, 3, 0)])


class NoiseImages:
    """Images of noise in the place of a rung of a shard set."""

    def __init__(self, stage: Stage, count: int) -> None:
        noise = torch.Generator().manual_seed(stage.index)
        shape = count, stage.height_px, stage.width_px
        self.images_NHW = torch.randint(65536, shape, generator=noise, dtype=torch.int32).numpy().astype("u2")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images_NHW)

    def read(self, positions: Any) -> Any:
        """Give the images at `positions`."""
        return self.images_NHW[positions]

    def classes(self, field: str) -> Any:
        """Give each image's class: both views in turn, and nothing else."""
        return (torch.arange(len(self)) % 2).numpy()


def loader(trial: Trial, method: Method, stage: Stage) -> BatchLoader:
    """Make batches of a stage of noise, as they are made of a shard set's."""
    images: Any = NoiseImages(stage, 4 * stage.batch)
    return BatchLoader(images, method, stage, ProcessGroup(0, 1), trial.device)


def weights(gan_step: GanStep) -> dict[str, Tensor]:
    """Copy all weights to the host."""
    nets = {"generator": gan_step.generator, "average": gan_step.average, "critic": gan_step.critic}
    return {
        f"{name}.{key}": tensor.detach().cpu().clone()
        for name, net in nets.items()
        for key, tensor in net.state_dict().items()
    }


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """List what is not the same bit for bit."""
    return [
        name
        for name in sorted({*one, *other})
        if name not in one or name not in other or not _same(one[name], other[name])
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)
