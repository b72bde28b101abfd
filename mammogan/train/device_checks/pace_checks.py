"""How fast a device trains each rung, how much fits, what bounds it, and which kernels take the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from mammogan.config.method import Method
from mammogan.nets import layers
from mammogan.train.device_checks.check_outcomes import Kernel, Outcome, Pace
from mammogan.train.device_checks.device_trial import PRECISIONS, Trial, alone, end, noise_batch, prepared
from mammogan.train.gan_step import GanStep

MOST_IMAGES = 2048
"""No larger batch is tried."""
TOP = 10
OUT_OF_MEMORY = ("out of memory", "alloc_failed", "allocation failed")
SLOW_S = 2.0
"""No larger batch is tried once a step takes so long."""


def timed_stage(
    trial: Trial, name: str, precision: str, index: int, *, kernels: bool = True
) -> Iterator[Outcome]:
    """Time the steps of a rung at two batches, find how many images fit, and list the kernels of a step."""
    method = trial.method(name, *PRECISIONS[precision], "loss.penalty_every=1")
    group, stage = method.network.stddev_group, alone(method, index, method.network.stddev_group)
    planned = trial.method(name).engine.micro_batch
    batch = max(2 * group, planned[min(index, len(planned) - 1)])
    with prepared(trial, method):
        gan_step = trial.gan_step(method, stage)
        few_s, many_s = (trial.timed(_step(gan_step, size), trial.step_s) for size in (group, batch))
        pace = _pace(method, gan_step, precision, batch, few_s, many_s)
        yield _outcome(pace, "timed")
        if kernels:
            found, source = _kernels(trial, _step(gan_step, batch))
            pace = pace.model_copy(update={"kernels": found, "kernels_from": source})
        largest, why, memory = _largest(trial, gan_step, batch)
        pace = pace.model_copy(
            update={"largest_batch": largest, "largest_stopped_by": why, "memory_gb": memory}
        )
        yield _outcome(pace, f"{largest} images fit ({why})")
        end(gan_step)
        del gan_step


def _outcome(pace: Pace, words: str) -> Outcome:
    found = (
        f"{pace.images_per_s:.4g} images/s at batch {pace.batch}, a step of {pace.step_ms:.4g} ms; {words}"
    )
    return Outcome(
        check="rung",
        subject=f"{pace.method} {pace.resolution} {pace.precision}",
        status="ok",
        found=found,
        pace=pace,
    )


def _step(gan_step: GanStep, batch: int) -> Callable[[], None]:
    """Give a step of `batch` images at once, each with its penalty, of the same networks."""
    gan_step.stage = replace(gan_step.stage, batch=batch, micro_batch=batch)
    gan_step.micro, gan_step.accumulation = batch, 1
    images = noise_batch(gan_step.method, gan_step.stage, batch, gan_step.device)
    return lambda: gan_step.step(images, 1.0, 0)


def _pace(method: Method, gan_step: GanStep, precision: str, batch: int, few_s: float, many_s: float) -> Pace:
    stage = gan_step.stage
    image_s = (many_s - few_s) / (batch - method.network.stddev_group)
    if image_s <= 0:  # the step is all there is
        image_s = many_s / batch
    return Pace(
        method=method.method.name,
        precision=precision,
        stage=stage.index,
        height_px=stage.height_px,
        width_px=stage.width_px,
        batch=batch,
        step_ms=1000 * many_s,
        images_per_s=batch / many_s,
        image_s=image_s,
        beside_s=max(0.0, many_s - batch * image_s),
    )


def _largest(trial: Trial, gan_step: GanStep, known: int) -> tuple[int, str, float]:
    """Double the batch until memory, time or `MOST_IMAGES` ends it.

    Returns the largest that fits, what ended the search, and the most memory that it took, in GB.
    """
    most, batch, memory = MOST_IMAGES if not trial.tiny else 32, known, _peak_gb(trial)
    while batch < most:
        if trial.left_s < 3 * SLOW_S:
            return batch, "no time to try more", memory
        trial.free()
        seconds = _once(trial, gan_step, 2 * batch)
        if seconds is None:
            return batch, f"memory ends before {2 * batch}", memory
        batch, memory = 2 * batch, _peak_gb(trial)
        if seconds > SLOW_S:
            return batch, f"a step takes {seconds:.0f} s", memory
    return batch, "no more was tried", memory


def _once(trial: Trial, gan_step: GanStep, batch: int) -> float | None:
    """Take one step; return its seconds, or None if memory ended before it did."""
    begin = time.perf_counter()
    try:
        _step(gan_step, batch)()
        trial.wait()
    except RuntimeError as error:  # torch's own is one; cuDNN and cuBLAS have words of theirs
        if not any(word in str(error).lower() for word in OUT_OF_MEMORY):
            raise
    else:
        return time.perf_counter() - begin
    for engine in (gan_step.critic_engine, gan_step.generator_engine):
        engine.optimizer.zero_grad()
    trial.free()
    return None


def _peak_gb(trial: Trial) -> float:
    return torch.cuda.max_memory_allocated(trial.device) / 2**30 if trial.device.type == "cuda" else 0.0


def _kernels(trial: Trial, step: Callable[[], None]) -> tuple[tuple[Kernel, ...], str]:
    """List what takes longest in one step: kernels of a GPU, or operators where no kernel is seen."""
    on_gpu = trial.device.type == "cuda"
    step()
    trial.wait()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    try:
        with profile(activities=activities) as profiled:
            step()
            trial.wait()
        averages: Any = profiled.key_averages()
    except RuntimeError as error:  # no CUPTI, or another profiler has it
        return (), f"the profiler does not run: {str(error).splitlines()[0]}"
    events = [
        event
        for event in averages
        if str(event.device_type).endswith("CUDA") and not getattr(event, "is_user_annotation", False)
    ]
    took: Callable[[Any], float] = lambda event: float(event.self_device_time_total)  # noqa: E731
    source = "kernels of the GPU"
    if not events:
        events, took = list(averages), lambda event: float(event.self_cpu_time_total)
        source = "operators on the host" + (
            ": the profiler saw no kernel (is CUPTI there?)" if on_gpu else ""
        )
    events.sort(key=took, reverse=True)
    total = sum(map(took, events)) or 1.0
    top = events[:TOP]
    return tuple(
        Kernel(name=event.key[:100], ms=took(event) / 1000, share=took(event) / total, calls=event.count)
        for event in top
    ), source


def price(trial: Trial, name: str, index: int) -> Iterator[Outcome]:
    """Time a rung by deterministic algorithms, and by the fastest that cuDNN finds."""
    seconds: dict[str, float] = {}
    for kept in ("true", "false"):
        method = trial.method(name, "engine.precision=bf16", f"engine.deterministic={kept}")
        stage = alone(method, index, _timed_batch(method, index))
        with prepared(trial, method):
            gan_step = trial.gan_step(method, stage)
            seconds[kept] = trial.timed(_step(gan_step, stage.batch), trial.step_s)
            end(gan_step)
            del gan_step
    more = seconds["true"] / seconds["false"] - 1
    found = f"engine.deterministic makes a step {more:+.1%} longer ({1000 * seconds['true']:.1f} ms)"
    yield Outcome(check="price", subject=f"{name} {_rung(method, index)} bf16", status="ok", found=found)


def layout(trial: Trial, name: str, index: int) -> Iterator[Outcome]:
    """Time a rung with channels last everywhere, below 256 channels, and nowhere."""
    kind, taken = trial.device.type, []
    before: Mapping[str, float] = dict(layers.CONTIGUOUS_FROM)
    method = trial.method(name, "engine.precision=bf16")
    stage = alone(method, index, _timed_batch(method, index))
    try:
        for words, channels in (
            ("everywhere", float("inf")),
            ("below 256 channels", 256.0),
            ("nowhere", 0.0),
        ):
            layers.CONTIGUOUS_FROM[kind] = channels
            layers.wide.cache_clear()
            with prepared(trial, method):
                gan_step = trial.gan_step(method, stage)
                taken.append((trial.timed(_step(gan_step, stage.batch), trial.step_s), words))
                end(gan_step)
                del gan_step
    finally:
        layers.CONTIGUOUS_FROM.update(before)
        layers.wide.cache_clear()
    found = ", ".join(f"{words} {1000 * seconds:.1f} ms" for seconds, words in taken)
    yield Outcome(
        check="layout",
        subject=f"{name} {_rung(method, index)} bf16",
        status="ok",
        found=f"channels last {found}: {min(taken)[1]} is the fastest",
    )


def _timed_batch(method: Method, index: int) -> int:
    listed = method.engine.micro_batch
    return listed[min(index, len(listed) - 1)]


def _rung(method: Method, index: int) -> str:
    stage = alone(method, index, 4)
    return f"{stage.height_px}x{stage.width_px}"
