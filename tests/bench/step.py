"""Measure the training step beside its peers, as ratios within one run, and what it costs, for docs/cost.md.

    python -m tests.bench.step [--only karras-32,memory] [--rounds 3] [--gan-zoo FOLDER] [--write]

One thread, seconds of CPU. Contenders alternate in one process in an order that rotates; a ratio is the
median of the rounds' ratios. The first turn of each is not timed: in it the work is counted. What was
measured before is kept in build/bench and on the page, so that it can be written section by section.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.progress import Progress

from mammogan.files import write
from tests.bench import cost
from tests.bench.flops import Work, count, unit
from tests.bench.ours import ours, sampler
from tests.bench.peers import Shape, Step, gan_zoo, plain, pro_gan_pth, samplers
from tests.bench.shards import BEGIN, CACHE, END, ROOT, Row
from tests.bench.turns import FP32, KEPT, KINDS, OURS_BF16, Bench, head, in_turns, machine, row, settle

PAGE, RESULTS = ROOT / "docs" / "cost.md", CACHE / "step.json"
MOST_WORK = 18.1  # forward passes of the generator
SMALL = {"gan-zoo": 1.1, "pro-gan-pth": 1.15}


@dataclass(frozen=True)
class Case:
    """A comparison: its shape, the least ratios to contenders, the rounds, and the least fraction of peak."""

    shape: Shape
    targets: dict[str, float]
    rounds: int = 3
    of_peak: float | None = None
    square: bool = True  # peers know no others


CASES = {
    "karras-8": Case(Shape((4, 4), 1, 4), SMALL, 9),
    "karras-16": Case(Shape((4, 4), 2, 4), SMALL, 5),
    "karras-32": Case(Shape((4, 4), 3, 2), SMALL, 5, 0.75),
    "karras-64": Case(Shape((4, 4), 4, 2), {}, 3, 0.75),
    "karras-128": Case(Shape((4, 4), 5, 2), {}, 2, 0.75),
    "narrow-128": Case(Shape((4, 4), 5, 4, **cost.NARROW), {"gan-zoo": 1.15, "pro-gan-pth": 1.15}),
    "narrow-512": Case(Shape((4, 4), 7, 2, **cost.NARROW), {"gan-zoo": 1.3, "pro-gan-pth": 1.2}),
    "karras-1280x1024": Case(Shape((5, 4), 8, 1), {"plain": 1.6}, 2, square=False),
}


def contenders(shape: Shape, bench: Bench, *, square: bool) -> dict[str, Step]:
    """Build every step that can be had, by name."""
    ways = {"plain": plain(shape), KEPT: plain(shape)}
    if square and find_spec("pro_gan_pytorch"):
        ways["pro-gan-pth"] = pro_gan_pth(shape)
    if square and bench.zoo:
        ways["gan-zoo"] = gan_zoo(bench.zoo, shape)
    kinds = {name: how for name, how in KINDS.items() if how != KINDS[OURS_BF16] or bench.has_bf16}
    return ways | {name: ours(shape, *how) for name, how in kinds.items()}


def compare(case: Case, bench: Bench) -> Iterator[str]:
    """Write the tables of one case."""
    shape = case.shape
    ways = contenders(shape, bench, square=case.square)
    work: dict[str, Work] = {}
    for name, way in ways.items():
        settle(name)
        work[name] = count(way)
    bench.measure_peaks()
    spent = in_turns(ways, bench.rounds or case.rounds, settle)
    whole = unit(shape)
    yield from head(
        ("contender", "CPU s an image", "of peak", "work in forward passes", "GB moved an image", "operators")
    )
    for name, seconds in spent.items():
        top = bench.peaks["bf16" if name == OURS_BF16 else "fp32"] * 1e9
        yield row(
            name,
            f"{median(seconds) / shape.batch:.4g}",
            f"{work[name].flops / median(seconds) / top:.2f}",
            f"{work[name].flops / whole:.2f}",
            f"{work[name].traffic / shape.batch / 1e9:.2f}",
            work[name].calls,
        )
    yield from ("", *verdicts(case, spent), "")
    yield f"Work, exact: {bounded(work[FP32].flops / whole, most=MOST_WORK)}."
    if case.of_peak:
        reached = work[FP32].flops / median(spent[FP32]) / bench.peaks["fp32"] / 1e9
        yield f"Fraction of peak, exact: {bounded(reached, least=case.of_peak)}."
    yield from absent(case, bench)


def bounded(value: float, least: float = 0.0, most: float = math.inf) -> str:
    """Write a value with its bound, and whether it keeps it."""
    bound = f"at least {least:g}" if math.isinf(most) else f"at most {most:g}"
    return f"{value:.2f}, {bound}: {'yes' if least <= value <= most else '**no**'}"


def absent(case: Case, bench: Bench) -> Iterator[str]:
    """Say who was not there to be compared with."""
    if case.square and not find_spec("pro_gan_pytorch"):
        yield "pro-gan-pth was not installed."
    if case.square and not bench.zoo:
        yield "pytorch_GAN_zoo was not at hand (`--gan-zoo`)."


def verdicts(case: Case, spent: dict[str, list[float]]) -> Iterator[str]:
    """Write how ours fare beside the others, and against the bounds."""
    yield from head(("ours", "images a core-hour", "beside", "ratio", "at least", "reached"))
    rates = {name: [3600 * case.shape.batch / s for s in seconds] for name, seconds in spent.items()}
    for mine in (name for name in KINDS if name in rates):
        for other in (name for name in rates if name not in KINDS):
            yield str(Row(mine, rates[mine], other, rates[other], case.targets.get(other)))
    if OURS_BF16 in rates:
        yield str(Row(OURS_BF16, rates[OURS_BF16], FP32, rates[FP32], 1.5))


def sampling(bench: Bench) -> Iterator[str]:
    """Write the rates of drawing 1024x1024."""
    shape = Shape((4, 4), 8, 1)
    with torch.no_grad():
        ways = samplers(shape, bench.zoo)
        ways |= {FP32: sampler(shape)} | ({OURS_BF16: sampler(shape, "bf16")} if bench.has_bf16 else {})
    for name, way in ways.items():
        settle(name)
        way()
    spent = in_turns(ways, bench.rounds or 7, settle)
    yield from verdicts(Case(shape, {"plain": 1.25, "gan-zoo": 1.25, "pro-gan-pth": 1.25}), spent)


SECTIONS: dict[str, tuple[str, Callable[[Bench], Iterator[str]]]] = {
    **{
        name: (
            f"{name.split('-')[0].capitalize()} width, {'x'.join(map(str, case.shape.size_px))}, "
            f"batch {case.shape.batch}",
            lambda bench, case=case: compare(case, bench),
        )
        for name, case in CASES.items()
    },
    "sampling": ("Drawing one image of 1024x1024", sampling),
    "rare": ("The penalty at every 16th step", cost.rare_penalty),
    "deepspeed": ("What DeepSpeed adds", cost.deepspeed),
    "memory": ("Peak memory of a step at 1280x1024", cost.memory),
    "rungs": ("Every rung", cost.rungs),
    "plus": ("Every rung of mammogan-plus beside mammogan", cost.plus),
    "gpus": ("Estimate for GPUs, in hours", cost.on_gpus),
}


def measured() -> dict[str, dict[str, str]]:
    """Read what was measured so far, by section."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def page(results: dict[str, dict[str, str]], before: str = "") -> str:
    """Join the sections, in their order: as measured now, or else as they stand on the page `before`."""
    old = {part.partition("\n")[0]: part for part in before.split("### ")[1:]}
    new = {
        SECTIONS[name][0]: f"{SECTIONS[name][0]}\n\n{result['machine']}\n\n{result['text']}"
        for name, result in results.items()
    }
    parts = old | new
    return "\n".join(f"### {parts[title].rstrip()}\n" for title, _ in SECTIONS.values() if title in parts)


def main() -> None:
    """Measure what is asked for, print it and put it into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, by name")
    parser.add_argument("--rounds", type=int, help="instead of each section's own number")
    parser.add_argument("--gan-zoo", type=Path, help="a checkout of facebookresearch/pytorch_GAN_zoo")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/cost.md")
    asked = parser.parse_args()
    unknown = set(asked.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # DeepSpeed's
    with Progress(console=Console(stderr=True)) as progress:
        bench = Bench(asked.rounds, asked.gan_zoo, progress, {})
        bench.measure_peaks()
        for name in progress.track(asked.only.split(",")):
            bench.say(name)
            text = "\n".join(SECTIONS[name][1](bench)) + "\n"
            results = measured()  # anew: another bench may have measured something else meanwhile
            results[name] = {"machine": machine(bench.peaks), "text": text}
            CACHE.mkdir(parents=True, exist_ok=True)
            write(RESULTS, json.dumps(results, indent=1))
            progress.console.print(f"{SECTIONS[name][0]}\n{text}", markup=False, soft_wrap=True)
    if asked.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        old, _, after = rest.partition(END)
        write(PAGE, before + BEGIN + page(measured(), old) + END + after)


if __name__ == "__main__":
    main()
