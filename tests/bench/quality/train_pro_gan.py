"""Train pro-gan-pth 3.4 for so many CPU seconds with its own step; square images only.

    python -m tests.bench.quality.train_pro_gan DATA.npz OUT --seconds 140 --seed 1 --count 1024

Widths, latent size and batches are those of our method `small`. Each stage lasts its share of the time by the
clock of this process, its first half faded in, as its own defaults have it; the shares are those of the
schedule that was best for ours. Its average (`fakes.npy`) and the generator itself (`fakes-raw.npy`) are
both drawn from: the average counts steps and lags in a training as short as these.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.bench.peers import BETAS, Shape, pro_gan

SHARES, BATCHES = (0.003, 0.013, 0.06, 0.18, 0.744), (32, 32, 16)
RATE, FADED, CHUNK = 0.003, 0.5, 64


def train(net: Any, reals_NCHW: Tensor, budget_s: float, latent: int) -> list[dict[str, float]]:
    """Train from 4x4 px upwards; every stage ends with the step in which its time runs out."""
    from pro_gan_pytorch.custom_layers import update_average
    from pro_gan_pytorch.losses import WganGP

    loss, stages = WganGP(), []
    # Its betas are (0, 0.99), and today's torch wants two floats.
    of_generator = torch.optim.Adam(net.gen.parameters(), RATE, BETAS, eps=1e-8)
    of_critic = torch.optim.Adam(net.dis.parameters(), RATE, BETAS, eps=1e-8)
    start_s = ended_s = time.process_time()
    for depth in range(2, net.depth + 1):
        begin_s, images = ended_s, 0
        end_s = start_s + budget_s * sum(SHARES[: depth - 1]) / sum(SHARES[: net.depth - 1])
        batch = BATCHES[min(depth - 2, len(BATCHES) - 1)]
        while (ended_s := time.process_time()) < end_s:
            alpha = min(1.0, (ended_s - begin_s) / (FADED * (end_s - begin_s))) if depth > 2 else 1.0
            reals, noise = reals_NCHW[torch.randint(len(reals_NCHW), (batch,))], torch.randn(batch, latent)
            net.optimize_discriminator(loss, of_critic, noise, reals, depth, alpha)
            net.optimize_generator(loss, of_generator, noise, reals, depth, alpha)
            update_average(net.gen_shadow, net.gen, beta=net.ema_beta)
            images += batch
        stages.append(
            {"height_px": 2**depth, "width_px": 2**depth, "kimg": images / 1000, "cpu_s": ended_s - begin_s}
        )
    return stages


@torch.no_grad()
def draw(generator: Any, depth: int, latent: int, count: int) -> np.ndarray:
    """Draw uint8 (N, H, W)."""
    torch.manual_seed(0)
    chunks = [generator(torch.randn(CHUNK, latent), depth, 1)[:, 0] for _ in range(-(-count // CHUNK))]
    return np.rint(((torch.cat(chunks)[:count] + 1) * 127.5).clamp(0, 255).numpy()).astype(np.uint8)


def main() -> None:
    """Train, draw, and write fakes.npy, fakes-raw.npy and facts.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--count", type=int, required=True)
    options = arguments.parse_args()
    with np.load(options.data) as data:
        train_NHW = data["train"]
    side = train_NHW.shape[1]
    torch.manual_seed(options.seed)
    shape = Shape((4, 4), (side // 4).bit_length() - 1, BATCHES[-1], channels_base=512, channels_max=64)
    net, latent = pro_gan(shape), shape.latent
    reals_NCHW = torch.from_numpy(train_NHW)[:, None].float() / 127.5 - 1
    stages = train(net, reals_NCHW, options.seconds, latent)
    for name, generator in (("fakes", net.gen_shadow), ("fakes-raw", net.gen)):
        np.save(options.out / f"{name}.npy", draw(generator, net.depth, latent, options.count))
    facts = {"cpu_s": sum(row["cpu_s"] for row in stages), "kimg": stages[-1]["kimg"], "stages": stages}
    (options.out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
