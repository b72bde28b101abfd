"""What a pool of synthetic images is: what decides its bytes, the parts that it is made in, its records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mammogan import __version__
from mammogan.config.settings import Natural, Positive, Settings, validate
from mammogan.data.shards.shard_reader import ImageReader
from mammogan.data.store.image_encoding import decode_png
from mammogan.data.store.manifest import ShardFile, render
from mammogan.errors import ConfigError, DataError
from mammogan.files import sha256, write

POOL, MANIFEST, PARTS, RATES = "pool.json", "manifest.json", "parts", "rates"


@dataclass(frozen=True)
class Image:
    """An image of a pool: its view, its number, and its pixels, uint16 (H, W), chest wall on the left."""

    view: str
    number: int
    pixels_HW: NDArray[np.uint16]

    @property
    def name(self) -> str:
        """What its files are called."""
        return image_name(self.view, self.number)


@dataclass(frozen=True)
class Part:
    """A shard's worth of a pool: which numbers of which views, the views of a pair one after the other."""

    name: str
    views: tuple[str, ...]
    numbers: range

    @property
    def order(self) -> Iterator[tuple[str, int]]:
        """List view and number of its images in their order."""
        return ((view, number) for number in self.numbers for view in self.views)


class DicomForm(Settings):
    """How images are put into DICOM files: the side they are hung as, mm a pixel, a text drawn into them."""

    laterality: Literal["L", "R"] = "L"
    pixel_mm: Annotated[float, Field(gt=0)]
    watermark: bool = False


class Pool(Settings):
    """All that decides about the bytes of a pool; how many tasks make it, and how often, does not.

    `checkpoint` is the SHA-256 of the generator's weights, `mammogan` the version that draws; a view is
    ``CC``, ``MLO`` or, of a model that was taught none, ``any``. With `pairs` the views of a number lie side
    by side.
    """

    schema_version: Literal[1] = 1
    mammogan: str = __version__
    checkpoint: str
    seed: int
    views: Annotated[tuple[str, ...], Field(min_length=1)]
    first: Natural = 0
    images_per_view: Positive
    truncation: Annotated[float, Field(ge=0, le=1)] = 1.0
    labels: tuple[str, ...] = ()
    pairs: bool = False
    height_px: Positive
    width_px: Positive
    formats: Annotated[tuple[Literal["shards", "png", "dicom"], ...], Field(min_length=1)] = ("shards",)
    images_per_shard: Positive = 64
    dicom: DicomForm | None = None

    @model_validator(mode="after")
    def _form_of_dicoms(self) -> Self:
        assert (self.dicom is not None) == ("dicom" in self.formats), "a DICOM has a form"
        return self

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of its images."""
        return self.height_px, self.width_px

    @property
    def images(self) -> int:
        """Images of all views."""
        return len(self.views) * self.images_per_view

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Cut the pool into parts, view after view, or with `pairs` number after number."""
        groups = [self.views] if self.pairs else [(view,) for view in self.views]
        numbers = range(self.first, self.first + self.images_per_view)
        size = max(1, self.images_per_shard // len(groups[0]))
        cut = [(views, numbers[at : at + size]) for views in groups for at in range(0, len(numbers), size)]
        return tuple(Part(f"pool-{index:05d}", *part) for index, part in enumerate(cut))

    def share(self, task: int, tasks: int) -> tuple[Part, ...]:
        """Give the parts that `task` of `tasks` makes: as many as the others, or one more."""
        count = len(self.parts)
        return self.parts[count * task // tasks : count * (task + 1) // tasks]

    def note(self, image: Image) -> dict[str, Any]:
        """Say of an image all that it is a function of."""
        return {
            "key": image.name,
            "view": image.view,
            "number": image.number,
            **self.model_dump(include={"checkpoint", "seed", "truncation", "labels"}),
        }


class BuiltPart(Settings):
    """What one part has become: its shard, if any, and the SHA-256 of each of its files."""

    name: str
    images: int
    shard: ShardFile | None
    files: dict[str, str]


class PoolManifest(Settings):
    """A whole pool; made anew it is the same to the byte, so that it says nothing of when and how fast."""

    pool: Pool
    parts: tuple[BuiltPart, ...]

    def reader(self, folder: Path) -> ImageReader:
        """Open the images of the pool, which lies in `folder`.

        Raises
        ------
        ConfigError
            If it has no shards.
        """
        files = [part.shard for part in self.parts if part.shard is not None]
        if not files:
            raise ConfigError(f"The pool '{folder}' has no shards: sample it with --format shards.")
        return ImageReader(folder, files)


def image_name(view: str, number: int) -> str:
    """Name an image of a pool."""
    return f"{view.lower()}-{number:07d}"


def claim(folder: Path, pool: Pool) -> None:
    """Write what `pool` is into `folder`, or find the same there already.

    Raises
    ------
    ConfigError
        If the folder holds another pool, or something else.
    """
    others = folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir())
    path = folder / POOL
    if path.exists():  # the first file that any task writes, so that no task takes its fellow for a stranger
        was, now = load_pool(folder).model_dump(), pool.model_dump()
        differing = [f"{key} is '{was[key]}', not '{now[key]}'" for key in now if was[key] != now[key]]
        if differing:
            raise ConfigError(
                f"'{folder}' holds another pool: {'; '.join(differing)}. Give another folder, or ask for "
                "that pool to go on with it; no pool is overwritten."
            )
    elif others:
        raise ConfigError(f"'{folder}' is neither empty nor a pool (it has no {POOL}): give another folder.")
    else:
        write(path, render(pool))


def load_pool(folder: Path) -> Pool:
    """Read what the pool in `folder` is.

    Raises
    ------
    DataError
        If there is none.
    ConfigError
        If the file is damaged.
    """
    return validate(Pool, _tree(folder / POOL), str(folder / POOL))


def load_manifest(folder: Path) -> PoolManifest:
    """Read the manifest of a whole pool.

    Raises
    ------
    DataError
        If there is none.
    ConfigError
        If the file is damaged.
    """
    return validate(PoolManifest, _tree(folder / MANIFEST), str(folder / MANIFEST))


def built(folder: Path, part: Part, *, whole: bool = True) -> BuiltPart | None:
    """Give the record of a part that was made, None if it wasn't; `whole` checks its files, too."""
    path = folder / PARTS / f"{part.name}.json"
    if not path.exists():
        return None
    record = validate(BuiltPart, _tree(path), str(path))
    if not whole:
        return record
    same = (
        (folder / name).is_file() and sha256(folder / name) == digest for name, digest in record.files.items()
    )
    return record if all(same) else None


def finish(folder: Path, pool: Pool) -> bool:
    """Write the manifest once every part of the pool is there; say whether it is."""
    records = [built(folder, part, whole=False) for part in pool.parts]
    parts = tuple(record for record in records if record is not None)
    if len(parts) < len(records):
        return False
    write(folder / MANIFEST, render(PoolManifest(pool=pool, parts=parts)))
    return True


def read_image(path: Path) -> NDArray[np.uint16]:
    """Read a 16-bit PNG (H, W).

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    image = decode_png(path.read_bytes()) if path.is_file() else None
    if image is None:
        raise DataError(
            f"The synthetic image '{path}' is missing or damaged: launch the run again to draw it anew."
        )
    return image


def _tree(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"'{path.parent}' holds no whole pool: it has no {path.name}. `mammogan sample` makes one, and "
            "given again goes on with it."
        ) from None
    except ValueError as error:
        raise DataError(f"'{path}' is damaged: {error}. Delete it and sample again.") from None
    if not isinstance(tree, dict):
        raise DataError(f"'{path}' is damaged: it holds no table. Delete it and sample again.")
    return tree
