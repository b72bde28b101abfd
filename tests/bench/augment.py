"""Show every augmentation at its extremes, and measure what augmentation costs, for docs/augmentation.md.

    python -m tests.bench.augment [--rounds 3] [--picture] [--write]

One process, one thread, CPU time; a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import time
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import median

import cv2
import matplotlib as mpl
import numpy as np
import pydicom
import torch

from mammogan.config.augmentation_settings import Augmentation
from mammogan.config.dataset import load_recipe
from mammogan.config.loss_settings import Loss
from mammogan.config.method import load_method
from mammogan.data.phantom.phantom_files import make_patient
from mammogan.data.preprocess.preprocess import pyramid, take
from mammogan.files import write
from mammogan.losses import OBJECTIVES, PENALTIES
from mammogan.memory import keep_pages
from mammogan.nets import Critic
from mammogan.schedule import plan
from mammogan.train.augment import PARAMETERS, apply, draw

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "augmentation.md", DOCS / "pictures" / "augmentation.png"
BEGIN, END = "<!-- measured by python -m tests.bench.augment -->\n", "<!-- end of measured -->\n"
TOP = (1280, 1024)
STRONG = Augmentation(kind="fixed", probability=0.8, flip_cc=True)
BATCH = 4
SIZES = ((80, 64), (320, 256))


def row(view=0, **values):
    """Give the parameters of one image; `values` by their names in PARAMETERS."""
    params_NP = torch.zeros(1, len(PARAMETERS))
    params_NP[0, PARAMETERS.index("top_held")] = float(view != 0)
    for name, value in values.items():
        params_NP[0, PARAMETERS.index(name)] = value
    return params_NP


@cache
def phantoms(patient=0, frame_scale=1.0, size_px=TOP):
    """Take the CC and the MLO of a left phantom breast through the pipeline: (2, 1, H, W) in [-1, 1]."""
    recipe, views = load_recipe("phantom"), []
    for made in make_patient(2, patient, frame_scale):
        if made.truth["laterality"] == "L":
            dicom = pydicom.dcmread(io.BytesIO(made.data))
            views.append((made.truth["view"], take(dicom, made.truth["view"], "L", recipe.pixels, size_px)))
    images_NHW = np.stack([picture.image_HW for _, picture in sorted(views, key=lambda v: v[0])])
    return torch.from_numpy(images_NHW.astype(np.float32) / 32767.5 - 1).unsqueeze(1)


def extremes(settings, view):
    """Name each change at its extremes for a view: (title, parameters)."""
    largest = {
        "rows": settings.shift_rows,
        "columns": settings.shift_columns,
        "log_scale": math.log1p(settings.scale),
        "angle_rad": math.radians(settings.rotation_deg),
        "log_tone": math.log1p(settings.tone),
        "log_contrast": math.log1p(settings.contrast),
    }
    says = {
        "rows": lambda x: f"rows {x:+.0%}",
        "columns": lambda x: f"columns {x:.0%}",
        "log_scale": lambda x: f"scale {math.exp(x):.2f}",
        "angle_rad": lambda x: f"rotation {math.degrees(x):+.0f}°",
        "log_tone": lambda x: f"tone {math.exp(x):.2f}",
        "log_contrast": lambda x: f"contrast {math.exp(x):.2f}",
    }
    yield "MLO as it is" if view else "CC as it is", row(view)
    if not view:
        yield "flip (CC only)", row(view, flip=1)
    for name, value in largest.items():
        signs = (1,) if name == "columns" else (-1,) if name == "rows" and view else (-1, 1)
        for sign in signs:
            yield says[name](sign * value), row(view, **{name: sign * value})


def draw_picture():
    """Write the sheet of extremes."""
    mpl.use("agg")
    from matplotlib import pyplot

    sheet, axes = pyplot.subplots(4, 7, figsize=(10.5, 8.4), dpi=100, facecolor="white")
    for axis in axes.flat:
        axis.set_axis_off()
    for view in (0, 1):
        image_NCHW = phantoms()[view : view + 1]
        for axis, (title, params_NP) in zip(
            axes[2 * view : 2 * view + 2].flat, extremes(STRONG, view), strict=False
        ):
            shown_HW = small(apply(image_NCHW, params_NP)[0, 0])
            axis.imshow(shown_HW, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
            axis.set_title(title, fontsize=9, pad=3)
    sheet.subplots_adjust(0.005, 0.005, 0.995, 0.97, 0.03, 0.12)
    stream = io.BytesIO()
    sheet.savefig(stream, format="png")
    grey = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)
    write(PICTURE, cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


def small(image_HW):
    """Shrink for the sheet."""
    return cv2.resize(image_HW.numpy(), (160, 200), interpolation=cv2.INTER_AREA)


class Case:
    """A critic of full width at one size, with what is timed about it; `batch` images."""

    def __init__(self, height_px, width_px):
        net = load_method("mammogan").network
        stages = plan(load_method("mammogan"))
        (self.stage,) = [s.index for s in stages if (s.height_px, s.width_px) == (height_px, width_px)]
        torch.manual_seed(0)
        self.critic = Critic(self.stage, (5, 4), 2, net.widths(self.stage), net.stddev_group)
        self.adam = torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.0, 0.99), fused=True)
        self.loss = Loss()
        self.objective, self.penalise = OBJECTIVES["wgan-gp"](self.loss), PENALTIES[self.loss.penalty]
        image_NHW = (phantoms().numpy()[:, 0] + 1) * 32767.5
        readers = [(height_px << n, width_px << n) for n in range(10) if height_px << n <= TOP[0]]
        scaled = [pyramid(image_HW.astype(np.uint16), tuple(readers))[0] for image_HW in image_NHW]
        real_NHW = np.stack(scaled * (BATCH // 2)).astype(np.float32) / 32767.5 - 1
        self.real_NCHW = torch.from_numpy(real_NHW).unsqueeze(1)
        self.fake_NCHW = self.real_NCHW + 0.1 * torch.randn_like(self.real_NCHW)
        self.views_N = torch.tensor([0, 1] * (BATCH // 2))
        self.noise = torch.Generator().manual_seed(1)

    def critic_step(self):
        """Update the critic as training does: real, fake and penalty back-propagated in turn, then Adam."""
        sum(self.objective.real(self.critic(self.real_NCHW)[0]).values()).backward()
        sum(self.objective.fake(self.critic(self.fake_NCHW)[0]).values()).backward()
        inputs = self.real_NCHW, self.fake_NCHW, torch.rand(BATCH)
        self.penalise(self.loss, self.critic, *inputs).backward()
        self.adam.step()
        self.adam.zero_grad()

    def augment(self, probability):
        """Do what augmentation adds to a critic's update: draw for reals and fakes, and change both."""
        for images_NCHW in (self.real_NCHW, self.fake_NCHW):
            params_NP = draw(STRONG, probability, BATCH, self.noise, self.views_N)
            apply(images_NCHW, params_NP)

    def augment_and_back(self, probability):
        """Do what it adds to a generator's update: change the fakes, and go back through it."""
        fake_NCHW = self.fake_NCHW.clone().requires_grad_(True)
        params_NP = draw(STRONG, probability, BATCH, self.noise, self.views_N)
        apply(fake_NCHW, params_NP).backward(self.real_NCHW)


def seconds(work, *arguments, repeats=1):
    """Give the CPU time of one call."""
    begin = time.process_time()
    for _ in range(repeats):
        work(*arguments)
    return (time.process_time() - begin) / repeats


def cost_table(rounds):
    """Measure augmentation against a critic's update, in turns; milliseconds an image."""
    yield "| size | probability | critic's update, ms | added, ms | share | added to a generator's, ms |"
    yield "|---|---|---|---|---|---|"
    for size_px in SIZES:
        case = Case(*size_px)
        case.critic_step()
        times = {probability: [] for probability in (0.2, 0.8)}
        for _ in range(rounds):
            step = seconds(case.critic_step)
            for probability, seen in times.items():
                added = seconds(case.augment, probability, repeats=20)
                seen.append((step, added, seconds(case.augment_and_back, probability, repeats=20)))
        for probability, seen in times.items():
            share = median(added / step for step, added, _ in seen)
            step, added, back = (1000 * median(part) / BATCH for part in zip(*seen, strict=True))
            size = "x".join(map(str, size_px))
            yield f"| {size} | {probability:g} | {step:.0f} | {added:.2f} | {share:.2%} | {back:.2f} |"


def sharpness(image_HW, inside_HW):
    """Give the standard deviation of the Laplacian within the breast."""
    return cv2.Laplacian(image_HW, cv2.CV_32F)[inside_HW].std()


def sharpness_table(draws=8):
    """Measure what is left of the finest detail of the phantoms at full size."""
    noise, views_N = torch.Generator().manual_seed(3), torch.tensor([0, 1])
    alone = {name: 0 for name in ("shift_rows", "shift_columns", "tone", "contrast")} | {"flip_cc": False}
    settings = {
        "scale and rotation": STRONG.model_copy(update=alone),
        "shifts and flip": STRONG.model_copy(
            update={"scale": 0, "rotation_deg": 0, "tone": 0, "contrast": 0}
        ),
    }
    yield "| change | finest detail left | images without it at probability 0.2, 0.8 |"
    yield "|---|---|---|"
    for name, some in settings.items():
        left = []
        for _ in range(draws):
            params_NP = draw(some, 1.0, 2, noise, views_N)
            for before, after in zip(phantoms(), apply(phantoms(), params_NP), strict=True):
                left.append(
                    sharpness(after[0].numpy(), breast(after)) / sharpness(before[0].numpy(), breast(before))
                )
        parts = [untouched(some, probability) for probability in (0.2, 0.8)]
        yield f"| {name} | {np.mean(left):.0%} | {parts[0]:.0%}, {parts[1]:.0%} |"


def breast(image_CHW):
    """Find the breast's inside: away from black, whose border has an edge of its own."""
    bright_HW = (image_CHW[0].numpy() > -0.9).astype(np.uint8)
    return (
        cv2.erode(bright_HW, np.ones((25, 25), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    )


def untouched(settings, probability, count=20_000):
    """Give the share of CC views that no change of these settings reaches."""
    params_NP = draw(
        settings, probability, count, torch.Generator().manual_seed(4), torch.zeros(count, dtype=torch.long)
    )
    return float((params_NP == 0).all(dim=1).float().mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--picture", action="store_true", help="write docs/pictures/augmentation.png, and no more"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/augmentation.md")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_pages()
    if asked.picture:
        draw_picture()
        return
    lines = []
    for line in chain(sharpness_table(), [""], cost_table(asked.rounds)):
        lines.append(line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if asked.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        text = before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2]
        write(PAGE, text)


if __name__ == "__main__":
    main()
