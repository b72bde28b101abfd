"""A shard set of images that are in memory, in the product's own format: what `train_stage` reads.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import load_recipe
from mammogan.config.label_fields import UNKNOWN, VIEWS
from mammogan.data.preprocess.preprocess import pyramid
from mammogan.data.store import manifest
from mammogan.data.store.manifest import Manifest, Plan, PlannedShard, ShardFile
from mammogan.data.store.shard_writer import ShardWriter, encode_image
from mammogan.files import write
from tests.bench.quality.images import Images, Sets


def base_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the ladder's first rung, 4 or 5 px high and at least 4 px wide: 4x4 of 64x64, 5x4 of 80x64.

    Raises
    ------
    ValueError
        If halving never comes to such a rung.
    """
    height, width = size_px
    while height % 2 == 0 and width % 2 == 0 and min(height, width) >= 8:
        height, width = height // 2, width // 2
    if min(height, width) != 4 or max(height, width) > 7:
        raise ValueError(
            f"'{size_px[0]}x{size_px[1]}' is no 4 px (at most 7 px the other way) doubled again and again."
        )
    return height, width


def write_shards(folder: Path, sets: Sets) -> Path:
    """Write training images as the split `train` and held-out ones as `validation`, at every rung."""
    size_px = sets.train_NHW.shape[1], sets.train_NHW.shape[2]
    first = base_px(size_px)
    recipe = load_recipe(
        "phantom", (f"packing.top_px=[{size_px[0]},{size_px[1]}]", f"packing.base_px=[{first[0]},{first[1]}]")
    )
    unknown_N = np.full(len(sets.held_out_NHW), UNKNOWN)
    parts = {"train": (sets.train_NHW, sets.views_N), "validation": (sets.held_out_NHW, unknown_N)}
    shards: list[PlannedShard] = []
    files: list[ShardFile] = []
    for split, (images_NHW, views_N) in parts.items():
        digest = hashlib.sha256(images_NHW.tobytes()).hexdigest()
        shards.append(
            PlannedShard(name=f"{split}-00000", split=split, samples=len(images_NHW), sha256=digest)
        )
        files += _write_split(folder, recipe.packing.resolutions, shards[-1], images_NHW, views_N)
    identity = manifest.identity((recipe,), tuple(shards))
    plan = Plan(identity=identity, recipes=(recipe,), shards=tuple(shards), tallies=())
    built = Manifest(
        identity=identity,
        recipes=(manifest.recipe_record(recipe),),
        rungs_px=recipe.packing.resolutions,
        tallies=(),
        counts=(),
        flags={},
        moments=(),
        files=tuple(files),
    )
    write(folder / manifest.PLAN, manifest.render(plan))
    write(folder / manifest.MANIFEST, manifest.render(built))
    return folder


def _write_split(
    folder: Path,
    resolutions: tuple[tuple[int, int], ...],
    shard: PlannedShard,
    images_NHW: Images,
    views_N: NDArray[np.int64],
) -> list[ShardFile]:
    writers = [ShardWriter(folder, *rung, shard.split, shard.name) for rung in resolutions]
    for number, (image_HW, view) in enumerate(zip(images_NHW, views_N, strict=True)):
        labels = {"view": VIEWS[view] if view != UNKNOWN else ""}
        rungs = pyramid(image_HW.astype(np.uint16) * 257, resolutions)
        for writer, rung_HW in zip(writers, rungs, strict=True):
            writer.add(f"{shard.split}{number:06}", labels, encode_image(rung_HW), b"{}")
    return [writer.close() for writer in writers]
