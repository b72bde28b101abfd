"""The pictures of a study, such that nothing but what is seen on them gives away where one comes from.

A picture is sent as the grey bytes of its pixels, row by row, and nothing else: no encoder, no header, no
metadata, and one length for all. Both arms go through one window to 8 bits and lose what lies outside the
breast to exact zero. On the disk the pictures lie in one file, in an order drawn at random.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from mammogan.config.settings import Positive, Settings, first_problem
from mammogan.errors import DataError
from mammogan.files import replacing, write

PIXELS, INDEX = "pictures.grey", "pictures.json"
WHITE = 65535
Levels = NDArray[np.uint16]
Outline = Callable[[Levels], NDArray[np.bool_]]
Record = TypeVar("Record", bound=Settings)


class Window(Settings):
    """The levels, 0 to 65535, that are shown as black and as white; the same for all pictures."""

    black: Annotated[int, Field(ge=0, le=WHITE)] = 0
    white: Annotated[int, Field(ge=0, le=WHITE)] = WHITE

    @model_validator(mode="after")
    def _order(self) -> Window:
        if not self.black < self.white:
            raise ValueError(f"'black' {self.black} is not below 'white' {self.white}")
        return self

    def grey(self, image_HW: Levels) -> NDArray[np.uint8]:
        """Bring levels to 8 bits, rounded to the nearest."""
        span = self.white - self.black
        inside_HW = np.clip(image_HW.astype(np.int64), self.black, self.white) - self.black
        return ((2 * 255 * inside_HW + span) // (2 * span)).astype(np.uint8)


class Picture(Settings):
    """A picture and what only the owner of the study may know of it.

    `key` is its name in the study, `origin` the one that it has in its source, `sha256` of its grey bytes;
    `laterality` is empty if unknown.
    """

    key: str
    source: Literal["real", "synthetic"]
    view: str
    laterality: str = ""
    origin: str = ""
    sha256: str = ""


class Index(Settings):
    """What lies in the file of pictures: record by record."""

    schema_version: Literal[1] = 1
    height_px: Positive
    width_px: Positive
    window: Window
    pictures: tuple[Picture, ...]


class ImageStore:
    """The pictures in `folder`; number i is record i.

    Raises
    ------
    DataError
        If there are none, or they were cut short.
    """

    def __init__(self, folder: Path) -> None:
        self.index = load_index(folder)
        self.bytes_each = self.index.height_px * self.index.width_px
        path = folder / PIXELS
        expected = self.bytes_each * len(self.index.pictures)
        if not path.exists() or path.stat().st_size != expected:
            raise DataError(f"'{path}' is missing or has not {expected} bytes: copy the study's folder anew.")
        with path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def pictures(self) -> Sequence[Picture]:
        """What the pictures are, by number."""
        return self.index.pictures

    def read(self, number: int) -> bytes:
        """Return the grey bytes of a picture, rows from the top."""
        return self._map[number * self.bytes_each : (number + 1) * self.bytes_each]

    def damaged(self) -> list[str]:
        """List the keys of pictures whose bytes are not those that were put in."""
        return [
            picture.key
            for number, picture in enumerate(self.pictures)
            if hashlib.sha256(self.read(number)).hexdigest() != picture.sha256
        ]


def load_record(model: type[Record], path: Path, missing: str) -> Record:
    """Read a JSON file that was fixed once and for all; `missing` is the message if there is none.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    if not path.exists():
        raise DataError(missing)
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(
            f"'{path}' is damaged, or of another version ({first_problem(error)}): copy it from where it was "
            "made."
        ) from None


def load_index(folder: Path) -> Index:
    """Read what pictures there are.

    Raises
    ------
    DataError
        If there are none, or the file is damaged.
    """
    return load_record(Index, folder / INDEX, f"'{folder}' holds no pictures: it has no '{INDEX}'.")


def fill(
    folder: Path,
    pictures: Sequence[tuple[Picture, Callable[[], Levels]]],
    outline: Outline,
    window: Window,
    seed: int,
    on_progress: Callable[[], None] = lambda: None,
) -> Index:
    """Write the pictures of a study, one at a time; `pictures` give their levels, uint16 (H, W), when asked.

    Parameters
    ----------
    outline
        Finds the breast; the same for both sources. Outside of it all is black.
    seed
        Decides about the order of the records.

    Raises
    ------
    DataError
        If two pictures differ in size.
    """
    order = sorted(range(len(pictures)), key=lambda number: _drawn(seed, pictures[number][0].key))
    records: list[Picture] = []
    size: tuple[int, ...] = ()
    with replacing(folder / PIXELS, 0o600) as stream:
        for number in order:
            picture, levels = pictures[number]
            image_HW = levels()
            size = size or image_HW.shape
            if image_HW.shape != size:
                raise DataError(
                    f"The picture '{picture.key}' has {image_HW.shape[0]}x{image_HW.shape[1]} pixels, and "
                    f"others {size[0]}x{size[1]}: all pictures of a study are of one size."
                )
            content = shown(image_HW, outline, window).tobytes()
            stream.write(content)
            digest = hashlib.sha256(content).hexdigest()
            records.append(picture.model_copy(update={"sha256": digest}))
            on_progress()
    index = Index(height_px=size[0], width_px=size[1], window=window, pictures=tuple(records))
    write(folder / INDEX, index.model_dump_json(indent=1) + "\n", 0o600)
    return index


def shown(image_HW: Levels, outline: Outline, window: Window) -> NDArray[np.uint8]:
    """Make of levels what is shown, (H, W): in the window, black outside the breast."""
    return np.where(outline(image_HW), window.grey(image_HW), 0).astype(np.uint8)


def checksums(pictures: Iterable[Picture]) -> str:
    """List SHA-256 and key of each picture, a line each, as `sha256sum` does."""
    return "".join(f"{p.sha256}  {p.key}\n" for p in sorted(pictures, key=lambda p: (p.source, p.key)))


def _drawn(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}/record/{key}".encode()).digest()
