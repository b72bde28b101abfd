"""Shard sets and runs made of given images, so that no DICOM is read and nothing is trained."""

import json

from mammogan import schedule
from mammogan.config.dataset import load_recipe
from mammogan.config.label_fields import VIEWS
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.scoring_settings import Selection
from mammogan.config.site import load_site
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.manifest import Count, Manifest, Plan, PlannedShard, recipe_record, render
from mammogan.data.store.shard_writer import ShardWriter, encode_image
from mammogan.data.synthetic import synthetic_pool
from mammogan.data.synthetic.pool_writer import write_parts
from mammogan.data.synthetic.synthetic_pool import Image, Pool
from mammogan.run_folder import RunFolder
from mammogan.steps.choose_checkpoint import choose
from mammogan.steps.comparison_sets import Subjects
from tests.steps import scored

DIGEST = "d" * 64
SETTINGS = ("assessment.bootstraps=100", "assessment.splits=20", "assessment.pairs=40")
SPACING_MM = 0.2


def make_shards(folder, images, a_patient=2):
    """Make a shard set of one rung of images by split and view, uint16 (N, H, W); some are of one patient.

    The patients' names start with ``CANARY``, and so do keys.
    """
    recipe, shards, files, counts = load_recipe("phantom"), [], [], []
    private_folder.create(folder, "plan")
    for split, views in images.items():
        size = views["CC"].shape[1:]
        writer, lines = ShardWriter(folder, *size, split, f"{split}-00000"), []
        for view in VIEWS:
            for number, image in enumerate(views[view]):
                key = f"CANARY{split}{view}{number:05d}"
                note = json.dumps({"key": key, "pixel_spacing_mm": SPACING_MM}).encode()
                writer.add(key, {"view": view, "laterality": "L"}, encode_image(image), note)
                lines.append({"sample": {"key": key}, "patient": f"CANARY{split}{number // a_patient}"})
            counts.append(Count(recipe="phantom", split=split, view=view, vendor="", images=len(views[view])))
        files.append(writer.close())
        private_folder.write_lines(private_folder.folder(folder) / "plan" / f"{split}-00000.jsonl", lines)
        shards.append(
            PlannedShard(name=f"{split}-00000", split=split, samples=len(lines), sha256=files[-1].sha256)
        )
    identity = manifest.identity((recipe,), tuple(shards))
    about = {"identity": identity, "tallies": ()}
    (folder / manifest.PLAN).write_text(render(Plan(recipes=(recipe,), shards=tuple(shards), **about)))
    made = Manifest(
        recipes=(recipe_record(recipe),),
        rungs_px=(size,),
        counts=tuple(counts),
        flags={},
        moments=(),
        files=tuple(files),
        **about,
    )
    (folder / manifest.MANIFEST).write_text(render(made))
    return ShardSet(folder)


def make_run(folder, shard_set, images, *overrides):
    """Make a run on a shard set, whose stage has the images' size; `images` are its pool's, by view."""
    count, height, width = images["CC"].shape
    stage = (height // 5).bit_length() - 1
    sampling = (f"sampling.images_per_view={count}", f"sampling.images_per_task={count}")
    method = load_method("tour", (f"ladder.stages={stage + 1}", *SETTINGS, *sampling, *overrides))
    site = load_site("local", ("tracking.uri=off",))
    claim(folder, merge(method, shard_set.recipes, site, shard_set.path, shard_set.identity, "test"))
    images_shown = schedule.plan(method)[stage].checkpoints()[-1]
    chosen = scored.score(images_shown, 20.0, stage=stage, checkpoint=DIGEST)
    path = RunFolder(folder).score(stage, images_shown)
    path.parent.mkdir(parents=True)
    chosen.write(path)
    choose([chosen], Selection()).write(RunFolder(folder).choice)
    size = {"height_px": height, "width_px": width, "formats": ("shards", "png")}
    pool = Pool(checkpoint=DIGEST, seed=1, views=VIEWS, images_per_view=count, **size)
    synthetic_pool.claim(folder / "samples", pool)
    drawn = ((part, Image(view, i, images[view][i])) for part in pool.parts for view, i in part.order)
    write_parts(folder / "samples", pool, drawn, lambda: None)
    assert synthetic_pool.finish(folder / "samples", pool)
    return folder


def subjects(run_folder):
    """Give what a run's steps measure."""
    return Subjects(run_folder, Run.load(run_folder))


def found(report, view="CC", **wanted):
    """Give the only measure that has the wanted fields, as in ``measures.json``."""
    wanted["view"] = view
    (one,) = [m for m in report["measures"] if all(m[key] == value for key, value in wanted.items())]
    return one
