"""Bulk sampling beside the bare generator: images a second of both in turns, and the share that is left.

``python -m tests.bench.sampling 7 96 12`` draws stage 6 of the method `small`, 320 x 256, untrained: 96
images a turn, twelve turns of each. Either goes first in turn, so that other work meets both alike.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from mammogan.config.method import load_method
from mammogan.data.synthetic.synthetic_pool import DicomForm, Pool
from mammogan.steps.fill_pool import fill
from mammogan.train import accelerator
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import LabelTable

FORMS = (("shards",), ("png",), ("dicom",))


def make_model(stages):
    method = load_method("small", (f"ladder.stages={stages}",))
    torch.manual_seed(1)
    net = build_generator(method, stages - 1).requires_grad_(False).eval().to(accelerator.local_device())
    return Model(net, method, LabelTable.of(np.array([(0,), (1,)])))


def bare(model, images):
    begin = time.monotonic()
    drawn = sum(1 for view in (0, 1) for _ in model.draw(1, range(images // 2), view))
    return drawn / (time.monotonic() - begin)


def pooled(model, images, formats):
    height_px, width_px = model.size_px
    pool = Pool(
        checkpoint="untrained", seed=1, views=("CC", "MLO"), images_per_view=images // 2, height_px=height_px,
        width_px=width_px, formats=formats, dicom=DicomForm(pixel_mm=1) if "dicom" in formats else None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        return fill(Path(folder) / "pool", pool, model, "none").rate_s


def main():
    stages, images, turns = map(int, sys.argv[1:])
    accelerator.prepare(accelerator.local_device())
    model = make_model(stages)
    bare(model, 32)
    for formats in FORMS:
        alone_s = pool_s = 0.0
        for turn in range(turns):
            works = [lambda: bare(model, images), lambda formats=formats: pooled(model, images, formats)]
            rates = [work() for work in works[:: 1 if turn % 2 else -1]][:: 1 if turn % 2 else -1]
            alone_s, pool_s = alone_s + images / rates[0], pool_s + images / rates[1]
        alone, pool = (turns * images / seconds for seconds in (alone_s, pool_s))
        told = f"generator {alone:.3g}, pool {pool:.3g} images a second, a share of {pool / alone:.2f}"
        Console().print(f"{model.size_px} {formats[0]}: {told}")


if __name__ == "__main__":
    main()
