"""Ask whether images have the labels that they were drawn for, beside held-out reals, for docs/method.md.

    python -m tests.bench.conditioning RUN [RUN ...] [--count 200]

A linear classifier (ridge regression on 64 principal components of the pixels, one class against the others)
learns each label of the training reals. Its accuracy on held-out reals is what the label can be seen by at
all; its accuracy on synthetic images is how often they are what they were asked for. Classes with few reals
are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from mammogan import schedule
from mammogan.config.label_fields import CLASSES
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.train import accelerator, checkpoint
from mammogan.train.build_networks import load_average
from tests.bench.turns import head, row

COMPONENTS, RIDGE, FEWEST = 64, 1.0, 20
Images = NDArray[np.uint16]


class Classifier:
    """A linear classifier of images by the classes of one label."""

    def __init__(self, images_NHW: Images, labels_N: NDArray[np.int64]) -> None:
        x_NP = images_NHW.reshape(len(images_NHW), -1) / 65535
        self.classes = [c for c in np.unique(labels_N) if c >= 0 and (labels_N == c).sum() >= FEWEST]
        self.mean = x_NP.mean(0)
        _, _, axes = np.linalg.svd(x_NP - self.mean, full_matrices=False)
        self.axes = axes[:COMPONENTS].T
        features = self._features(images_NHW)
        wanted = np.stack([np.where(labels_N == c, 1.0, -1.0) for c in self.classes], axis=1)
        known = np.isin(labels_N, self.classes)
        a = features[known]
        self.weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ wanted[known])

    def accuracy(self, images_NHW: Images, label: int) -> float:
        """Return the share of images that are taken for `label`."""
        found = np.array(self.classes)[(self._features(images_NHW) @ self.weights).argmax(1)]
        return float((found == label).mean())

    def _features(self, images_NHW: Images) -> NDArray[np.float64]:
        x_NP = images_NHW.reshape(len(images_NHW), -1) / 65535 - self.mean
        return np.column_stack([x_NP @ self.axes, np.ones(len(x_NP))])


def fidelity(folder: Path, count: int) -> Iterator[tuple[str, float, float, int]]:
    """Give each label, accuracy on held-out reals and on images (means of the classes), number of classes."""
    run = Run.load(folder)
    last, shards = schedule.plan(run.method)[-1], ShardSet(Path(run.shards))
    size_px = last.height_px, last.width_px
    model = load_average(
        run.method, checkpoint.at(folder, last.index, last.images), accelerator.local_device()
    )
    train = shards.reader(*size_px, "train")
    held_out = shards.reader(*size_px, shards.held_out(*size_px))
    pixels, others = everything(train), everything(held_out)
    for name in run.method.supervision.fields:
        classifier, of_others = Classifier(pixels, train.classes(name)), held_out.classes(name)
        reals, fakes = [], []
        for label in classifier.classes:
            if (of_others == label).sum() < 5:
                continue
            view = label if name == "view" else None
            asked = None if name == "view" else {name: int(label)}
            drawn = np.stack(list(model.draw(11, range(count), view, others=asked)))
            reals.append(classifier.accuracy(others[of_others == label], label))
            fakes.append(classifier.accuracy(drawn, label))
        yield (
            f"{name} ({len(CLASSES[name])} classes)",
            float(np.mean(reals)),
            float(np.mean(fakes)),
            len(reals),
        )


def everything(reader: ImageReader) -> Images:
    """Read all images of a rung."""
    return reader.read(np.arange(len(reader)))


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("runs", type=Path, nargs="+")
    arguments.add_argument("--count", type=int, default=200, help="images of each class")
    options = arguments.parse_args()
    torch.set_grad_enabled(False)
    console = Console()
    lines = [*head(("run", "label", "classes seen", "held-out reals", "synthetic"))]
    for folder in options.runs:
        for name, real, fake, classes in fidelity(folder, options.count):
            lines.append(row(folder.name, name, classes, f"{real:.2f}", f"{fake:.2f}"))
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
