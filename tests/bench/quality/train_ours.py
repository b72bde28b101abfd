"""Train one of our methods for so many CPU seconds, in a process of its own: `train_stage` on a shard set.

    python -m tests.bench.quality.train_ours DATA.npz OUT --method small --seconds 140 --seed 1

What counts is the CPU time of `train_stage`: batches, steps, diagnostics, checkpoints. Imports, the writing
of the shard set and the calibration beforehand are not counted, and neither is the drawing of fakes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mammogan import schedule
from mammogan.config.method import Method, load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import load_site
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.train import accelerator, checkpoint
from mammogan.train.build_networks import load_average
from mammogan.train.training_loop import train_stage
from tests.bench.quality import pace
from tests.bench.quality.images import Sets
from tests.bench.quality.small_shards import base_px, write_shards


def method_for(name: str, size_px: tuple[int, int], seed: int, settings: tuple[str, ...]) -> Method:
    """Load a method for images of this size, with one checkpoint a stage, for nobody scores them here."""
    height, width = base_px(size_px)
    stages = (size_px[0] // height).bit_length()
    ours = (f"ladder.base_px=[{height},{width}]", f"ladder.stages={stages}", "scoring.checkpoints=1")
    return load_method(name, (*ours, f"method.seed={seed}", *settings))


def train(out: Path, method: Method, shards: Path, budget_s: float) -> tuple[Run, list[dict[str, float]]]:
    """Train all stages; what the first have really taken decides how long the later ones last."""
    paces, site, there = pace.measure(method), load_site("local", ("tracking.uri=off",)), ShardSet(shards)
    factors: list[float] = []
    stages: list[dict[str, float]] = []
    spent_s = save_s = 0.0
    for index, each in enumerate(paces):
        factors = pace.fit(method, paces, budget_s - spent_s, factors[:index], save_s)
        fitted = pace.lengths(method, factors)
        run = merge(fitted, there.recipes, site, shards, there.identity, "bench")
        stage, begin = schedule.plan(fitted)[index], time.process_time()
        train_stage(out / "run", run, index, lambda *_: None)
        took_s = time.process_time() - begin
        spent_s += took_s
        row = {"cpu_s": took_s, "steps_s": each.seconds(stage), "saves": len(stage.saves())}
        stages.append(
            {"height_px": stage.height_px, "width_px": stage.width_px, "kimg": stage.images / 1000} | row
        )
        beside_s = sum(row["cpu_s"] - row["steps_s"] for row in stages)
        save_s = max(0.0, beside_s / sum(row["saves"] for row in stages))
    claim(out / "run", run)
    return run, [{**row, **_pace_of(each)} for row, each in zip(stages, paces, strict=True)]


def _pace_of(each: pace.Pace) -> dict[str, float]:
    found = asdict(each)
    return {"fade_s_per_kimg": found["fade_s"], "stable_s_per_kimg": found["stable_s"]}


def draw(run: Run, folder: Path, count: int) -> np.ndarray:
    """Draw fakes with the averaged generator of the last checkpoint, views as they occur: uint8 (N, H, W)."""
    last = schedule.plan(run.method)[-1]
    model = load_average(
        run.method, checkpoint.at(folder, last.index, last.images), accelerator.local_device()
    )
    fakes = model.draw(run.method.method.seed, range(count), None)
    return np.stack([np.rint(image / 257).astype(np.uint8) for image in fakes])


def main() -> None:
    """Train, draw, and write fakes.npy and facts.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--method", required=True)
    arguments.add_argument("--set", action="append", default=[])
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--count", type=int, required=True)
    options = arguments.parse_args()
    with np.load(options.data) as data:
        sets = Sets(data["train"], data["views"], data["held_out"], "")
    method = method_for(options.method, sets.train_NHW.shape[1:], options.seed, tuple(options.set))
    shards = write_shards(options.out / "shards", sets)
    run, stages = train(options.out, method, shards, options.seconds)
    np.save(options.out / "fakes.npy", draw(run, options.out / "run", options.count))
    facts = {
        "cpu_s": sum(row["cpu_s"] for row in stages),
        "kimg": stages[-1]["kimg"],
        "stages": stages,
        "method": run.method.model_dump(mode="json"),
    }
    (options.out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
