"""A tick in one line of a log: how far, how fast, the losses, and how long the stage will still take."""

from __future__ import annotations

from collections.abc import Mapping

from mammogan.schedule import Stage

SHOWN = (
    ("critic/wasserstein", "fake less real {:.3g}"),
    ("critic/penalty", "penalty {:.3g}"),
    ("generator/adversarial", "generator's loss {:.3g}"),
    ("critic/gradient_norm", "gradients: critic {:.3g}"),
    ("generator/gradient_norm", "generator {:.3g}"),
    ("perf/waiting_for_data", "waiting {:.0%}"),
    ("system/device_memory_peak_gb", "GPU {:.1f} GB"),
    ("system/memory_peak_gb", "memory {:.1f} GB"),
)
"""Metrics of a tick and how they are written, in their order; what a tick doesn't have is left out."""


def tick_line(stage: Stage, images: int, values: Mapping[str, float]) -> str:
    """Write the tick at `images` of a stage: ``values`` are its metrics."""
    speed = values["perf/images_per_s"]
    left_min = (stage.images - images) / speed / 60 if speed else float("inf")
    fade = values["fade"]
    parts = [
        f"{stage.height_px}x{stage.width_px} {images / 1000:.4g} of {stage.images / 1000:.4g} kimg",
        f"{_plain(1000 / speed)} s/kimg, {_plain(speed)} images/s" if speed else "no image a second",
        *(f"fading in, {fade:.0%}" for _ in range(fade < 1)),
        *(text.format(values[name]) for name, text in SHOWN if name in values),
        f"{_duration(left_min)} left",
    ]
    return "; ".join(parts)


def _plain(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _duration(minutes: float) -> str:
    if minutes >= 120:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"
