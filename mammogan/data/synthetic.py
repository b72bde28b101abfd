"""The pool of synthetic images: 16-bit PNGs to look at, and the same as a shard for any WebDataset reader."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.config.settings import canonical_json
from mammogan.data.encoding import decode_png, encode_png
from mammogan.data.tar import ShardWriter, encode_image
from mammogan.errors import DataError
from mammogan.files import write

Image = tuple[str, str, dict[str, Any], NDArray[np.uint16]]
"""Name, view, what is known of it, and pixels (H, W)."""


def write_images(pool: Path, shard: str, size_px: tuple[int, int], images: Iterable[Image]) -> list[Path]:
    """Write images of one size (height, width) as ``<name>.png`` and into a shard; give the files made."""
    files, writer = [], ShardWriter(pool, *size_px, "synthetic", shard)
    try:
        for name, view, facts, image_HW in images:
            path = pool / "png" / f"{name}.png"
            write(path, encode_png(image_HW))
            note = canonical_json({"key": name, "view": view, **facts}).encode()
            writer.add(name, {"view": view}, encode_image(image_HW), note)
            files.append(path)
    except BaseException as error:
        writer.abandon(error)
        raise
    made = writer.close()
    return [*files, pool / made.path, pool / made.index]


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
