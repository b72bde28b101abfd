"""A run whose pool is made of given images, as if its generator had drawn them; nothing is trained."""

import json

from mammogan.config.labels import VIEWS
from mammogan.config.method import load_method
from mammogan.config.run import claim, merge
from mammogan.config.site import load_site
from mammogan.data import synthetic
from mammogan.data.filling import write_parts
from mammogan.data.synthetic import Image, Pool
from mammogan.steps.subjects import Subjects

DIGEST = "d" * 64
SETTINGS = ("assessment.bootstraps=100", "assessment.splits=20", "assessment.pairs=40")


def make_run(folder, shard_set, images, *overrides):
    """Make a run on a shard set of 40x32 pixels; `images` are those of its pool by view, uint16 (N, H, W)."""
    count = len(images["CC"])
    sampling = (f"sampling.images_per_view={count}", f"sampling.images_per_task={count}")
    method = load_method("tour", (*SETTINGS, *sampling, *overrides))
    site = load_site("local", ("tracking.uri=off",))
    claim(folder, merge(method, shard_set.recipes, site, shard_set.path, shard_set.identity, "test"))
    (folder / "selection.json").write_text(json.dumps({"stage": 3, "images": 1, "checkpoint": DIGEST}))
    size = {"height_px": 40, "width_px": 32}
    pool = Pool(checkpoint=DIGEST, seed=1, views=VIEWS, images_per_view=count, **size)
    synthetic.claim(folder / "samples", pool)
    drawn = ((part, Image(view, i, images[view][i])) for part in pool.parts for view, i in part.order)
    write_parts(folder / "samples", pool, drawn, lambda: None)
    assert synthetic.finish(folder / "samples", pool)
    return folder


def reals(shard_set, split, count):
    """Give the first images of a split by view, uint16 (N, H, W)."""
    rung = shard_set.rung(40, 32, split)
    return {view: rung.read((rung.views_N == n).nonzero()[0][:count]) for n, view in enumerate(VIEWS)}


def subjects(run_folder):
    """Give what a run's steps measure."""
    from mammogan.config.run import Run

    return Subjects(run_folder, Run.load(run_folder))
