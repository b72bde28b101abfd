"""What a step of MammoGAN's costs: memory, DeepSpeed's share, every rung, and GPUs by estimate."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from statistics import median
from typing import Any

from mammogan.config.method import load_method
from mammogan.cost import gpu_datasheets
from tests.bench import estimate
from tests.bench.flops import Work, count
from tests.bench.memory import Peak, peak, slope
from tests.bench.ours import BF16, PLUS, SAVINGS, UNLABELLED, countable, ours, pages
from tests.bench.peers import Shape, plain
from tests.bench.turns import FP32, OURS_BF16, Bench, head, in_turns, row

RUNG_BATCHES = (64, 16, 8, 4, 2, 1, 1, 1, 1, 1)
RARE = 16
NARROW = {"channels_base": 2048, "channels_max": 128}
STYLEGAN2_ADA = (
    ("Karras", Shape((4, 4), 1, 4), 0.84),
    ("Karras", Shape((4, 4), 3, 2), 1.58),
    ("Karras", Shape((4, 4), 4, 2), 1.95),
    ("Karras", Shape((4, 4), 5, 2), 2.35),
    ("narrow", Shape((4, 4), 5, 4, **NARROW), 1.73),
    ("narrow", Shape((4, 4), 7, 2, **NARROW), 1.39),
)
"""Its images a second over those of a plain network, both in fp32."""


def deepspeed(bench: Bench) -> Iterator[str]:
    """Write what DeepSpeed's engines add to the same arithmetic."""
    yield from head(("stage", "batch", "without, CPU s", "with, CPU s", "ratio", "at most", "reached"))
    for shape, rounds in ((Shape((5, 4), 4, 4), 3), (Shape((5, 4), 5, 2), 3)):
        ways = {"without": ours(shape, bare=True), "with": ours(shape)}
        for way in ways.values():
            pages(True)
            way()
        spent = in_turns(ways, bench.rounds or rounds, lambda _: pages(True))
        ratio = median(a / b for a, b in zip(spent["with"], spent["without"], strict=True))
        size = "x".join(map(str, shape.size_px))
        times = (f"{median(spent[name]):.2f}" for name in ways)
        yield row(size, shape.batch, *times, f"{ratio:.3f}", "1.05", "yes" if ratio <= 1.05 else "**no**")


def rare_penalty(bench: Bench) -> Iterator[str]:
    """Write the rates with the penalty at every 16th step, as StyleGAN2-ADA has its own, over plain's.

    Its code is not free to be used here. What it does more than a plain network of the same channels was
    measured elsewhere, on one core with AVX-512: that ratio is asked for.
    """
    yield from head(
        ("channels", "maps", "batch", "penalty every 16 steps", "over plain", "StyleGAN2-ADA's", "reached")
    )
    rare = (*UNLABELLED, *SAVINGS, f"loss.penalty_every={RARE}")
    kinds = {"fp32": rare} | ({"bf16": (*rare, *BF16)} if bench.has_bf16 else {})
    for width, shape, asked in STYLEGAN2_ADA:
        ways = {"plain": plain(shape)}
        for name, how in kinds.items():
            ways[name] = ours(shape, *how, numbers=partial(repeat, 1))
            ways[f"{name}, penalty"] = ours(shape, *how, numbers=partial(repeat, 0))
        for name, way in ways.items():
            settle_as(name)
            way()
        spent = in_turns(ways, bench.rounds or 2, settle_as)
        for name in kinds:
            with_it, without = spent[f"{name}, penalty"], spent[name]
            mean = [(a + (RARE - 1) * b) / RARE for a, b in zip(with_it, without, strict=True)]
            ratio = median(a / b for a, b in zip(spent["plain"], mean, strict=True))
            size = "x".join(map(str, shape.size_px))
            verdict = "yes" if ratio >= asked else "**no**"
            yield row(width, size, shape.batch, name, f"{ratio:.2f}", asked, verdict)


def settle_as(name: str) -> None:
    """Give a contender the memory it has at home."""
    gc.collect()
    pages(name != "plain")


def memory(bench: Bench) -> Iterator[str]:
    """Write the peaks of the first step at 1280x1024, of batches of 1 and 2."""
    names = ["plain", "exact", "savings", *(["bf16"] if bench.has_bf16 else [])]
    peaks: dict[str, tuple[Peak, Peak]] = {}
    yield from head(
        (
            "contender",
            "batch 1, GB",
            "batch 2, GB",
            "GB an image",
            "of plain's",
            "at most",
            "reached",
            "CPU s, 2",
        )
    )
    for name in names:
        peaks[name] = peak(name, Shape((5, 4), 8, 1)), peak(name, Shape((5, 4), 8, 2))
        each, of_plain = slope(*peaks[name]), slope(*peaks["plain"])
        asked = {"exact": 0.55, "bf16": 0.35}.get(name)
        verdict = "" if asked is None else "yes" if each <= asked * of_plain else "**no**"
        sizes = (f"{p.gb:.2f}" for p in peaks[name])
        spent = f"{peaks[name][1].cpu_s:.0f}"
        yield row(name, *sizes, f"{each:.2f}", f"{each / of_plain:.2f}", asked or "", verdict, spent)
        bench.say(f"memory of {name}: {peaks[name]}")


def rungs(bench: Bench) -> Iterator[str]:
    """Write what a step costs at every rung of `mammogan-2560`, with its labels."""
    bf16 = ("bf16 with both savings, s",) if bench.has_bf16 else ()
    yield from head(
        ("stage", "batch", "GFLOP an image", "with both savings", "GB moved an image", "CPU s an image",
         "of peak", "both savings, s", *bf16, "peak GB")
    )  # fmt: skip
    kinds = {FP32: (), "both savings": SAVINGS} | ({OURS_BF16: (*SAVINGS, *BF16)} if bf16 else {})
    for stage, batch in enumerate(RUNG_BATCHES):
        shape = Shape((5, 4), stage, batch)
        work = {name: counted(shape, *kinds[name]) for name in (FP32, "both savings")}
        ways = {name: ours(shape, *how) for name, how in kinds.items()}
        pages(True)
        spent = in_turns(ways, 3 if stage < 4 else 2, lambda _: gc.collect() and None)
        best = {name: min(seconds) for name, seconds in spent.items()}
        del ways
        gc.collect()
        yield row(
            "x".join(map(str, shape.size_px)),
            batch,
            *(f"{each.flops / batch / 1e9:.4g}" for each in work.values()),
            f"{work[FP32].traffic / batch / 1e9:.2f}",
            f"{best[FP32] / batch:.3g}",
            f"{work[FP32].flops / best[FP32] / bench.peaks['fp32'] / 1e9:.2f}",
            *(f"{best[name] / batch:.3g}" for name in kinds if name != FP32),
            f"{peak('exact', shape).gb:.2f}",
        )
        bench.say(f"rung {shape.size_px}: {best}")


def plus(bench: Bench) -> Iterator[str]:
    """Write what a step of `mammogan-plus` costs at every rung beside that of `mammogan`, both in fp32."""
    yield from head(
        ("stage", "batch", "GFLOP an image", "plus", "of it", "CPU s an image", "plus", "of it", "peak GB",
         "plus", "of it")
    )  # fmt: skip
    every = load_method("mammogan", PLUS).loss.penalty_every
    for stage, batch in enumerate(RUNG_BATCHES[:9]):
        shape = Shape((5, 4), stage, batch)
        ways = {"mammogan": ours(shape)}
        flops = {"mammogan": counted(shape).flops}
        parts = {"with": repeat(0), "without": repeat(1)}  # numbers of steps with and without penalty
        for name, numbers in parts.items():
            ways[name] = ours(shape, *PLUS, numbers=lambda n=numbers: n)
            flops[name] = counted(shape, *PLUS, numbers=lambda n=numbers: n).flops
        settle_as("mammogan")
        spent = in_turns(ways, 3 if stage < 4 else 2, lambda _: gc.collect() and None)
        del ways
        gc.collect()
        best = {name: min(seconds) for name, seconds in spent.items()}
        peaks = [peak(name, shape).gb for name in ("exact", "plus")]
        numbers = []
        for found, unit in ((flops, 1e9), (best, 1)):
            mean = (found["with"] + (every - 1) * found["without"]) / every
            both = found["mammogan"] / batch / unit, mean / batch / unit
            numbers += [f"{both[0]:.4g}", f"{both[1]:.4g}", f"{both[1] / both[0]:.2f}"]
        size = "x".join(map(str, shape.size_px))
        yield row(size, batch, *numbers, *(f"{gb:.2f}" for gb in peaks), f"{peaks[1] / peaks[0]:.2f}")
        bench.say(f"plus at {size}: {best}")


def counted(shape: Shape, *overrides: str, **options: Any) -> Work:
    """Count a step's work without computing it."""
    with countable():
        return count(ours(shape, *overrides, bare=True, where="meta", **options))


def on_gpus(bench: Bench) -> Iterator[str]:
    """Write the estimate for GPUs."""
    method = load_method("mammogan")
    group, of = method.network.stddev_group, list(estimate.rungs(method))
    yield (
        f"Assumed: {gpu_datasheets.SUSTAINED:g} of peak arithmetic and {gpu_datasheets.STREAMED:g} of peak "
        f"bandwidth are reached, {gpu_datasheets.LAUNCH_S * 1e6:g} us pass from launch to launch, gradients "
        f"are reduced at {gpu_datasheets.LINK_BYTES_S / 1e9:g} GB/s a GPU, and nothing overlaps with that.\n"
    )
    yield from estimate.total_table(of, group)
    yield "\nWhere the time goes on eight A100, TF32:\n"
    yield from estimate.stage_table(of, group, gpu_datasheets.GPUS[1], "TF32")
