"""How well new phantoms are told from planted outliers: AUC of the critic, of the reconstruction, of both.

    python -m tests.bench.outlier FOLDER [--patients 100] [--new 20]

trains the method `tour` in FOLDER on 70 % of the patients, ranks among the other 30 %, and scores patients of
whom nobody has seen anything, as they are and with one thing wrong. Intervals are of 2,000 bootstraps over
those patients. Beside it stands what needs no network: the distance to the nearest training image.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydicom import uid
from rich.console import Console
from rich.progress import track

from mammogan import schedule
from mammogan.config.dataset import load_recipe
from mammogan.config.label_fields import VIEWS
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import load_site
from mammogan.data.dicom.dicom_writing import view_code
from mammogan.data.phantom import header_edits, make_cohort
from mammogan.data.phantom.defects import BOTH, Defect, make_defective
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.single_file import Wanted, fetch
from mammogan.files import write
from mammogan.metrics.conformal import p_values
from mammogan.pages.image_sheet import png, sheet
from mammogan.run_folder import RunFolder
from mammogan.steps.anomaly_score import Gauge
from mammogan.train import accelerator, checkpoint
from mammogan.train.build_networks import load_average
from mammogan.train.dataloader import to_float
from mammogan.train.gan_inversion import Search, losses
from tests.steps import scored
from tests.train.conftest import train

SEED, FRAME_SCALE, FIRST_NEW = 0, 0.125, 500_000
BOOTSTRAPS = 2000
HERE = torch.device("cpu")


def turned(quarters, ds, pixels):
    """Turn the picture, as a detector that lies on its side would."""
    pixels = np.ascontiguousarray(np.rot90(pixels, quarters))
    ds.Rows, ds.Columns = pixels.shape
    return pixels


def upside_down(ds, pixels):
    return np.ascontiguousarray(pixels[::-1])


def dark(ds, pixels):
    """Store a third of what was seen: most of it is black in the window."""
    return pixels // 3


def other_view(ds, pixels):
    """Call a CC an MLO, and an MLO a CC."""
    ds.ViewPosition = VIEWS[1 - VIEWS.index(ds.ViewPosition)]
    ds.ViewCodeSequence = [view_code(ds.ViewPosition)]
    return pixels


def chest(ds, pixels):
    """Make an axial slice of a chest, of another size for everybody: a body, two lungs, a spine."""
    shape = header_edits.ct(ds, pixels).shape
    ds.SeriesDescription = "Thorax"
    rng = np.random.default_rng(int.from_bytes(str(ds.PatientID).encode()))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    wide, high = rng.uniform(0.7, 0.9), rng.uniform(0.5, 0.65)

    def disc(x0, y0, a, b):
        return ((x - x0 * wide) / (a * wide)) ** 2 + ((y - y0 * high) / (b * high)) ** 2 < 1

    grey = np.where(disc(0, 0, 1, 1), rng.uniform(0.45, 0.6), 0)
    for side in (-1, 1):
        grey = np.where(disc(0.45 * side, -0.1, rng.uniform(0.26, 0.34), rng.uniform(0.5, 0.6)), 0.1, grey)
    grey = np.where(disc(0, 0.6, 0.14, 0.2), 0.9, grey) + rng.normal(0, 0.02, shape)
    top = float(ds.WindowCenter) + float(ds.WindowWidth) / 2
    return np.asarray((grey * top).clip(0, 2**ds.BitsStored - 1), np.uint16)


def planted(kind, edit=None, views=BOTH, findings=(), **more):
    return Defect(kind, "outlier", views, findings, edit, **more)


AS_THEY_ARE = planted("as they are")
OUTLIERS = (
    planted("implant", findings=("implant",)),
    planted("mirrored", header_edits.mirrored),
    planted("upside down", upside_down),
    planted("on its side", partial(turned, 1), syntax=uid.ExplicitVRLittleEndian),
    planted("other view's name", other_view),
    planted("dark", dark),
    planted("chest CT", chest, views=(("L", "CC"),), syntax=uid.ExplicitVRLittleEndian),
)


def new_images(folder, recipe, size_px, defect, patients):
    """Give (patient, view, image) of a kind, by way of DICOM files; what has no view goes for a CC."""
    for patient in patients:
        for made in make_defective(defect, SEED, patient, FRAME_SCALE):
            path = folder / "new.dcm"
            write(path, made.data)
            fresh = fetch(Wanted(str(path), recipe, size_px, "CC", "L"))
            assert fresh.image_HW is not None, (defect.kind, fresh.reason)
            yield patient, VIEWS.index(fresh.view), fresh.image_HW


class Nearest:
    """The distance to the nearest training image of the view, as a p-value among the validation images."""

    def __init__(self, gauge):
        height, width = gauge.model.size_px
        self.reals, self.held_out = {}, {}
        for view in range(len(VIEWS)):
            images = [gauge.shardset.reader(height, width, split) for split in ("train", "validation")]
            train_NHW, held_NHW = (reader.read(np.flatnonzero(reader.views_N == view)) for reader in images)
            self.reals[view] = to_float(train_NHW, HERE)
            self.held_out[view] = [self.distance(image, view) for image in held_NHW[: gauge.count(view)]]

    def distance(self, image_HW, view):
        return float(losses(self.reals[view], to_float(image_HW[None], HERE)).min())

    def p(self, image_HW, view):
        values = np.array([self.distance(image_HW, view), *self.held_out[view]])
        return float(p_values(values, two_sided=True)[0])


def picture(gauge, images):
    """Lay a column an image: it, and the best that the generator draws."""
    found = [gauge.invert(image, view).image_HW for view, image in images]
    return png(sheet([*(image for _, image in images), *found], len(images), 4))


def auc(outliers, others):
    """Give the probability that an outlier's p-value is below another's; ties count half."""
    outliers, others = np.asarray(outliers)[:, None], np.asarray(others)[None]
    return float((outliers < others).mean() + (outliers == others).mean() / 2)


def interval(outliers, others, seed=0):
    """Bootstrap over patients (a list of p-values each), outliers and others of one patient together."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(len(others), size=len(others))
        parts = (np.concatenate([part[i] for i in drawn]) for part in (outliers, others))
        found.append(auc(*parts))
    return np.quantile(found, (0.025, 0.975))


def prepare(folder, patients, top_px="[40,32]", settings=()):
    """Train a run, or find it trained: on 70 % of the patients, always the same ones."""
    make_cohort(folder / "dicoms", patients, SEED, workers=1, frame_scale=FRAME_SCALE)
    parts = (f"packing.top_px={top_px}", "splits.train=0.7", "splits.validation=0.3")
    recipe, shards = load_recipe("phantom", parts), folder / "shards"
    write(folder / "key", "ab" * 32)  # decides who is in which split
    plan(shards, [(recipe, folder / "dicoms")], key_file=folder / "key", workers=0)
    build(shards, workers=0)
    found, method, run = ShardSet(shards), load_method("tour", settings), folder / "run"
    site = load_site("local", ("tracking.uri=off",))
    claim(run, merge(method, found.recipes, site, shards, found.identity, "bench"))
    stages = schedule.plan(method)
    for stage in track(stages, "stages"):
        if not checkpoint.at(run, stage.index, stage.images).folder.exists():
            train(run, f"train-{stage.index}")
    scored.choice(scored.score(stages[-1].images, 20.0, stage=stages[-1].index)).write(RunFolder(run).choice)
    return run


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--patients", type=int, default=100)
    arguments.add_argument("--new", type=int, default=20)
    arguments.add_argument("--steps", type=int, default=100)
    options = arguments.parse_args()
    accelerator.prepare(HERE)
    folder = prepare(options.folder, options.patients)
    run = Run.load(folder)
    last = schedule.plan(run.method)[-1]
    model = load_average(run.method, checkpoint.at(folder, last.index, last.images), HERE)
    gauge = Gauge(folder, model, Search(steps=options.steps), 100)
    nearest, patients, p, shown = Nearest(gauge), range(FIRST_NEW, FIRST_NEW + options.new), {}, []
    for defect in track((AS_THEY_ARE, *OUTLIERS), "kinds"):
        rows = {patient: [] for patient in patients}
        new = new_images(options.folder, run.recipes[0], model.size_px, defect, patients)
        for patient, view, image in new:
            score = gauge.score(image, view)
            p_values_K = (score.p_critic, score.p_reconstruction, score.p, nearest.p(image, view))
            rows[patient].append((*p_values_K, score.critic, score.reconstruction))
            shown += [(view, image)] if patient == patients[0] else []
        p[defect.kind] = [np.array(values) for values in rows.values()]
    write(options.folder / "planted.png", picture(gauge, shown))
    kept = {kind: [values.tolist() for values in rows] for kind, rows in p.items()}
    write(options.folder / "scores.json", json.dumps(kept))
    say = Console(width=160, highlight=False, markup=False).print
    counts = " and ".join(str(gauge.count(view)) for view in range(len(VIEWS)))
    say(f"{counts} reals of CC and MLO; {options.new} new patients")
    say("| planted | images | critic | reconstruction | both | p at most 0.05 | nearest training image |")
    say("|---|---|---|---|---|---|---|")
    plain = p[AS_THEY_ARE.kind]
    for kind, rows in p.items():
        cells = []
        for column in range(4) if kind != AS_THEY_ARE.kind else ():
            mine, others = ([part[:, column] for part in each] for each in (rows, plain))
            low, high = interval(mine, others)
            cells.append(f"{auc(np.concatenate(mine), np.concatenate(others)):.2f} ({low:.2f} to {high:.2f})")
        whole = np.concatenate(rows)
        cells = cells or [""] * 4
        cells.insert(3, f"{(whole[:, 2] <= 0.05).mean():.2f}")
        say(f"| {' | '.join([kind, str(len(whole)), *cells])} |")


if __name__ == "__main__":
    main()
