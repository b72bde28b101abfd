"""A reader study's pictures: reals that training never saw, and synthetic ones, treated alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mammogan.config.label_fields import VIEWS
from mammogan.errors import ConfigError, DataError
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

    from mammogan.config.dataset import Dataset
    from mammogan.config.pixel_settings import Pixels
    from mammogan.data.shards.shard_reader import ImageReader
    from mammogan.study.reader.study_folder import Study
    from mammogan.study.reader.study_settings import StudyFile
    from mammogan.study.web.image_store import Index, Levels, Outline, Picture, Window

Offer = tuple["Picture", Callable[[], "Levels"]]


@dataclass(frozen=True)
class Sources:
    """Held-out reals and a pool of one size, to be looked at side by side.

    `split` is the reals', `model_id` the start of the SHA-256 of the generator's weights.
    """

    reals: ImageReader
    synthetics: ImageReader
    split: str
    model_id: str
    recipe: Dataset

    @property
    def outline(self) -> Outline:
        """The breast's outline as shards are cut out by it, found anew for both sources."""
        return outline_by(self.recipe.pixels)


def outline_by(pixels: Pixels) -> Outline:
    """Find the breast by a recipe's settings, without the haze along its rim.

    The outline of `find_breast` is generous by a pixel or two. Reals, which were cut out before, are black
    there, and a generator's background need not be: seen with the window narrowed that would tell them apart.
    So what is darker than where breast begins, and hangs together with the outside, is outside.
    """

    def outline(image_HW: Levels) -> np.ndarray:
        import cv2
        import numpy as np

        from mammogan.data.breast_mask import WHITE, find_breast

        mask_HW = find_breast(image_HW, pixels.breast_threshold, pixels.thin_part)
        dark_HW = (image_HW < pixels.breast_threshold * WHITE) | ~mask_HW
        count, parts_HW = cv2.connectedComponents(dark_HW.astype(np.uint8), connectivity=4)
        outside = np.zeros(count, dtype=bool)
        outside[parts_HW[~mask_HW]] = True
        return np.asarray(~outside[parts_HW])

    return outline


def sources_of_run(run: Path) -> tuple[Path, Path]:
    """Give the shard set and the pool of a run.

    Raises
    ------
    ConfigError
        If the folder is no run.
    """
    from mammogan.config.run_config import Run

    return Path(Run.load(run).shards), RunFolder(run).samples


def open_sources(shards: Path, pool: Path) -> Sources:
    """Open a shard set's held-out reals at the size of a pool's images.

    Raises
    ------
    ConfigError
        If the pool has no shards.
    DataError
        If set or pool are not whole, or the set holds no patients apart from those for training.
    """
    from mammogan.data.shards.shard_reader import ShardSet
    from mammogan.data.synthetic.synthetic_pool import load_manifest

    manifest, shard_set = load_manifest(pool), ShardSet(shards)
    synthetics = manifest.reader(pool)
    split = shard_set.held_out(*manifest.pool.size_px)
    return Sources(
        reals=shard_set.reader(*manifest.pool.size_px, split),
        synthetics=synthetics,
        split=split,
        model_id=manifest.pool.checkpoint[:12],
        recipe=shard_set.recipes[0],
    )


def offers(
    sources: Sources, images_per_view: int, seed: int, accepted: frozenset[str] | None = None
) -> list[Offer]:
    """Choose images of each view and source, as many as `images_per_view` at most, by hashes under `seed`.

    Parameters
    ----------
    accepted
        Names of synthetic images that may be shown; None takes any.

    Raises
    ------
    ConfigError
        If there are none at all.
    """
    import numpy as np

    from mammogan.study.web.image_store import Picture

    found: list[Offer] = []
    image_readers: dict[Literal["real", "synthetic"], ImageReader] = {
        "real": sources.reals,
        "synthetic": sources.synthetics,
    }
    for source, image_reader in image_readers.items():
        keys, number = image_reader.keys(np.arange(len(image_reader))), 0
        sides = image_reader.labels.get("laterality", [""] * len(image_reader))  # unknown of synthetic images
        for view, name in enumerate(VIEWS):
            places = [int(place) for place in (image_reader.views_N == view).nonzero()[0]]
            if source == "synthetic" and accepted is not None:
                places = [place for place in places if keys[place] in accepted]
            places.sort(key=lambda place: _drawn(seed, source, keys[place]))
            for place in sorted(places[:images_per_view], key=lambda place: _drawn(seed, "key", keys[place])):
                number += 1
                picture = Picture(
                    key=f"{source[0]}{number:05d}",
                    source=source,
                    view=name,
                    laterality=str(sides[place]),
                    origin=keys[place],
                )
                found.append((picture, _reader(image_reader, place)))
    if not found:
        raise ConfigError(f"Neither source has images of the views {', '.join(VIEWS)}.")
    return found


def read_accepted(path: Path) -> frozenset[str]:
    """Read which synthetic images may be shown: a JSON list of their names, as a review writes it.

    Raises
    ------
    DataError
        If it is no such list, or empty.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{path}' is not valid JSON: {error}.") from None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"'{path}' is no list of names of images, as [\"cc-0000001\"]; the artefact review writes one."
        )
    return frozenset(names)


def new_study(
    out: Path,
    settings: StudyFile,
    sources: Sources,
    accepted: frozenset[str] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Study:
    """Make a study in the new folder `out`, whole or not at all.

    Raises
    ------
    ConfigError
        If there are too few images for its plans.
    """
    from mammogan.study.reader.reading_plan import plans
    from mammogan.study.reader.study_folder import create

    about = settings.study
    offered = offers(sources, about.images_per_view, about.seed, accepted)
    next(
        plans(about.seed, [picture for picture, _ in offered], about.pairs_per_view, about.practice_per_view)
    )
    with laid_out(out, sources, offered, settings.pictures, about.seed, on_progress) as (folder, index):
        return create(folder, settings, index, sources.model_id, sources.split, accepted is not None)


@contextmanager
def laid_out(
    out: Path,
    sources: Sources,
    offered: Sequence[Offer],
    window: Window,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> Iterator[tuple[Path, Index]]:
    """Give a new folder with the pictures in it, which becomes `out` once the block succeeds."""
    from mammogan.files import replacing_folder
    from mammogan.study.web.image_store import fill

    done = 0

    def on_image() -> None:
        nonlocal done
        done += 1
        on_progress(done, len(offered))

    with replacing_folder(out) as folder:
        folder.chmod(0o700)  # patients' images
        yield folder, fill(folder, offered, sources.outline, window, seed, on_image)


def _reader(image_reader: ImageReader, place: int) -> Callable[[], Levels]:
    import numpy as np

    return lambda: image_reader.read(np.array([place]))[0]


def _drawn(seed: int, what: str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}/{what}/{key}".encode()).digest()
