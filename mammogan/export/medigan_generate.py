"""What medigan calls to draw; its copy is the ``__init__.py`` of a package that is exported for it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from mammogan.nets.plain_generator import MammoganGenerator

_drawn: dict[int, int] = {}


def generate(
    model_file: str,
    num_samples: int,
    output_path: str,
    save_images: bool,
    seed: int | None = None,
    first: int | None = None,
    labels: dict[str, str] | None = None,
    truncation: float = 1.0,
) -> list[Any] | None:
    """Draw `num_samples` images of 16 bits, as PNG files in `output_path` or as a list of arrays (H, W).

    They are the images of `seed` from number `first` on. Without `first` each call goes on where the one
    before it has ended, for medigan calls once a batch; without `seed` a process has one of its own.
    """
    if seed is None:
        seed = next(iter(_drawn), secrets.randbits(32))
    start = _drawn.get(seed, 0) if first is None else first
    numbers = range(start, start + num_samples)
    _drawn[seed] = numbers.stop
    model = MammoganGenerator.from_pretrained(Path(model_file).parent)
    images_NHW = model.draw(numbers, seed, labels, truncation)
    if not save_images:
        return list(images_NHW)
    from PIL import Image

    Path(output_path).mkdir(parents=True, exist_ok=True)
    for number, image_HW in zip(numbers, images_NHW, strict=True):
        Image.fromarray(image_HW).save(Path(output_path, f"synthetic-{number:07d}.png"))
    return None
