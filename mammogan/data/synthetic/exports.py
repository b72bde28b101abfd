"""The files that a pool can be exported to, one an image, beside the shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mammogan.data.store.image_encoding import encode_png
from mammogan.data.synthetic.dicom_export import encode_dicom
from mammogan.data.synthetic.synthetic_pool import Image, Pool


@dataclass(frozen=True)
class Export:
    """A format: equal pools and images give equal bytes, which say that they are synthetic where they can.

    Attributes
    ----------
    suffix
        Of the files, without the dot; they lie in a folder of the pool that is called as the format.
    encode
        From the pool and one of its images to the bytes of a file.
    """

    suffix: str
    encode: Callable[[Pool, Image], bytes]


EXPORTS: dict[str, Export] = {
    "png": Export("png", lambda pool, image: encode_png(image.pixels_HW)),
    "dicom": Export("dcm", encode_dicom),
}
"""By their names in ``mammogan sample --format``; `mammogan.data.synthetic.pool_writer` reads the table."""

SHARDS = "shards"
FORMATS = (SHARDS, *EXPORTS)
