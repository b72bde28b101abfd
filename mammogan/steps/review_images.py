"""An artefact review's pictures, and what becomes of the images that it accepts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.errors import ConfigError, DataError
from mammogan.files import replacing_folder, write
from mammogan.steps.licence_notice import TERMS
from mammogan.steps.study_images import Sources, laid_out, offers

if TYPE_CHECKING:
    from mammogan.data.synthetic.synthetic_pool import PoolManifest
    from mammogan.study.review.review_folder import Review
    from mammogan.study.review.review_settings import ReviewFile

ACCEPTED = "accepted.json"
CONDITION = (
    "These images of a pool were accepted by a blinded review of artefacts. Whatever is found with them "
    "holds for such images only, not for all that the generator draws.\n"
)


def new_review(
    out: Path,
    settings: ReviewFile,
    sources: Sources,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Review:
    """Make a review in the new folder `out`, whole or not at all.

    Raises
    ------
    ConfigError
        If a source has no images.
    """
    from mammogan.study.review.review_folder import create

    about = settings.review
    offered = offers(sources, about.images_per_view, about.seed)
    with laid_out(out, sources, offered, settings.pictures, about.seed, on_progress) as (folder, index):
        return create(folder, settings, index, sources.model_id, sources.split)


def export_accepted(
    names: Sequence[str], model_id: str, pool: Path, out: Path, on_progress: Callable[[], None] = lambda: None
) -> tuple[int, int]:
    """Copy the accepted images of a pool into the new folder `out`; gives how many PNGs and DICOM files.

    PNGs are encoded anew from shards where the pool has none; DICOM files come along if the pool has any. The
    list itself, the terms of the images that the model learned from, and the condition go with them.

    Raises
    ------
    ConfigError
        If the pool is of another model than the reviewed one.
    DataError
        If it lacks an image.
    """
    from mammogan.data.synthetic.synthetic_pool import load_manifest

    manifest = load_manifest(pool)
    if not manifest.pool.checkpoint.startswith(model_id):
        raise ConfigError(
            f"The pool '{pool}' was drawn from checkpoint '{manifest.pool.checkpoint[:12]}', and the review "
            f"is of '{model_id}': give the pool that was reviewed."
        )
    listed = {file for part in manifest.parts for file in part.files}
    kinds = {"png": "png/{}.png", "dicom": "dicom/{}.dcm"}
    counts = dict.fromkeys(kinds, 0)
    drawn = None if "png" in manifest.pool.formats else _from_shards(pool, manifest)
    with replacing_folder(out) as folder:
        for name in names:
            for kind, pattern in kinds.items():
                file = pattern.format(name)
                if file in listed:
                    (folder / kind).mkdir(exist_ok=True)
                    shutil.copyfile(_there(pool / file), folder / file)
                    counts[kind] += 1
            if drawn is not None:
                write(folder / kinds["png"].format(name), drawn(name))
                counts["png"] += 1
            elif kinds["png"].format(name) not in listed:
                raise DataError(_lacking(pool, name))
            on_progress()
        write(folder / ACCEPTED, json.dumps(list(names), indent=1) + "\n")
        write(folder / "README.txt", CONDITION)
        if (pool / TERMS).exists():
            shutil.copyfile(pool / TERMS, folder / TERMS)
    return counts["png"], counts["dicom"]


def _from_shards(pool: Path, manifest: PoolManifest) -> Callable[[str], bytes]:
    """Give a reader of images by name, as PNG, from a pool's shards."""
    import numpy as np

    from mammogan.data.store.image_encoding import encode_png

    reader = manifest.reader(pool)
    places = {name: place for place, name in enumerate(reader.keys(np.arange(len(reader))))}

    def encoded(name: str) -> bytes:
        if name not in places:
            raise DataError(_lacking(pool, name))
        return encode_png(reader.read(np.array([places[name]]))[0])

    return encoded


def _there(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"The synthetic image '{path}' is missing: sample the pool again to draw it anew.")
    return path


def _lacking(pool: Path, name: str) -> str:
    return f"The pool '{pool}' has no image '{name}': give the pool that was reviewed."
