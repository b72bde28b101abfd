"""The images that contenders learn from and are judged by: phantoms, a shard set, or a folder of files.

Everybody learns from the same 8-bit greys. Held-out images are of other patients.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import load_recipe
from mammogan.config.label_fields import UNKNOWN
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.errors import DataError

Images = NDArray[np.uint8]
SUFFIXES = {".png", ".pgm", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
MOST = 20_000
HELD_OUT = 0.3
PHANTOM_SEED, FRAME_SCALE, TOP_PX = 7, 0.25, (160, 128)
"""As `make small` draws them."""


@dataclass(frozen=True)
class Sets:
    """Training images with their views (places in ``VIEWS``, or unknown), and held-out ones; (N, H, W)."""

    train_NHW: Images
    views_N: NDArray[np.int64]
    held_out_NHW: Images
    about: str

    @property
    def digest(self) -> str:
        """Name the images by their content."""
        whole = hashlib.sha256(self.train_NHW.tobytes() + self.held_out_NHW.tobytes())
        return whole.hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write them to an .npz of `train`, `views` and `held_out`."""
        np.savez(path, train=self.train_NHW, views=self.views_N, held_out=self.held_out_NHW)


def load(
    where: str, size_px: tuple[int, int], cache: Path, patients: int, say: Callable[[str], None]
) -> Sets:
    """Read the images: `where` is ``phantoms``, a shard set, or a folder of image files.

    Raises
    ------
    DataError
        If there is nothing to read, or nothing to hold out.
    """
    if where == "phantoms":
        return from_shards(phantoms(cache / f"phantoms-{patients}", patients, say), size_px)
    path = Path(where)
    return from_shards(path, size_px) if (path / "plan.json").exists() else from_files(path, size_px)


def phantoms(folder: Path, patients: int, say: Callable[[str], None]) -> Path:
    """Draw phantoms and build a shard set of them; what is there is not made again."""
    shards = folder / "shards"
    say(f"{patients} patients of phantoms in '{folder}': what is missing is drawn")
    make_cohort(folder / "dicoms", patients, PHANTOM_SEED, frame_scale=FRAME_SCALE)
    if not (shards / "plan.json").exists():
        (folder / "key").write_text("0" * 64)  # patients are split by the key, here the same way each time
        settings = (f"packing.top_px=[{TOP_PX[0]},{TOP_PX[1]}]", "splits.train=0.7", "splits.validation=0.3")
        plan(shards, [(load_recipe("phantom", settings), folder / "dicoms")], key_file=folder / "key")
    build(shards)
    return shards


def from_shards(path: Path, size_px: tuple[int, int]) -> Sets:
    """Read training and held-out images of a built shard set, of its smallest rung that is large enough."""
    shards = ShardSet(path)
    rungs = [
        rung for rung in shards.manifest.rungs_px if all(a >= b for a, b in zip(rung, size_px, strict=True))
    ]
    if not rungs:
        raise DataError(f"The shard set '{path}' has no resolution of '{size_px[0]}x{size_px[1]}' or more.")
    rung, found, views, left_out = min(rungs), [], [], 0
    for split in ("train", shards.held_out(*min(rungs))):
        reader = shards.reader(*rung, split)
        chosen = np.arange(min(len(reader), MOST))
        left_out += len(reader) - len(chosen)
        # One at a time: of a large rung nothing but the small images is to be in memory.
        found.append(np.stack([fit(reader.read(np.array([i]))[0] / 257, size_px) for i in chosen]))
        views.append(reader.views_N[chosen])
    rest = f"; {left_out} more were left out" if left_out else ""
    names = ", ".join(recipe.dataset.name for recipe in shards.recipes)
    about = (
        f"{len(found[0])} training and {len(found[1])} held-out images of {names}, from {rung[0]}x{rung[1]}"
    )
    return Sets(found[0], views[0], found[1], about + rest)


def from_files(folder: Path, size_px: tuple[int, int]) -> Sets:
    """Read grey image files; a patient is a subfolder, or what a file's name has before its first _ or -.

    Raises
    ------
    DataError
        If there are too few.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    read = [(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in paths]
    broken = [path for path, image in read if image is None]
    there = [(path, _one_channel(image)) for path, image in read if image is not None]
    if len(there) < 2:
        raise DataError(
            f"'{folder}' is no shard set and holds {len(there)} images that can be read "
            f"({len(broken)} can't): give a folder of {', '.join(sorted(SUFFIXES))}."
        )
    white = _white([image for _, image in there])
    patients = [_patient(path, folder) for path, _ in there]
    held_out_N = _held_out(patients)
    fitted, mirrored = [], 0
    for _, image in there:
        grey = image.astype(np.float32) * (255 / white)
        half = grey.shape[1] // 2
        if grey[:, -half:].sum() > grey[:, :half].sum():
            grey, mirrored = grey[:, ::-1], mirrored + 1
        fitted.append(fit(grey, size_px))
    all_NHW = np.stack(fitted)
    about = (
        f"{(~held_out_N).sum()} training and {held_out_N.sum()} held-out image files of "
        f"{len(set(patients))} patients; {mirrored} were mirrored to have the lighter half on the left; "
        f"{len(broken)} can't be read"
    )
    views_N = np.full((~held_out_N).sum(), UNKNOWN)
    return Sets(all_NHW[~held_out_N], views_N, all_NHW[held_out_N], about)


def fit(image_HW: NDArray[Any], size_px: tuple[int, int]) -> Images:
    """Scale greys 0 to 255 into `size_px` keeping the aspect ratio, chest wall on the left, black around."""
    height, width = image_HW.shape
    scale = min(size_px[0] / height, size_px[1] / width)
    new = max(1, round(height * scale)), max(1, round(width * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small_HW = cv2.resize(np.ascontiguousarray(image_HW, np.float32), new[::-1], interpolation=how)
    canvas_HW, top = np.zeros(size_px, np.uint8), (size_px[0] - new[0]) // 2
    canvas_HW[top : top + new[0], : new[1]] = np.rint(np.clip(small_HW, 0, 255))
    return canvas_HW


def _one_channel(image: NDArray[Any]) -> NDArray[Any]:
    return image if image.ndim == 2 else image[..., :3].mean(-1)


def _white(images: Sequence[NDArray[Any]]) -> float:
    """Return the white of all: 255, or that of the fewest bits that hold the lightest pixel."""
    return float(max(255, 2 ** int(np.ceil(np.log2(max(float(image.max()) for image in images) + 1))) - 1))


def _patient(path: Path, folder: Path) -> str:
    inside = path.relative_to(folder)
    return str(inside.parent) if len(inside.parts) > 1 else path.stem.replace("-", "_").split("_")[0]


def _held_out(patients: Sequence[str]) -> NDArray[np.bool_]:
    """Hold out 30 % of the patients, one at least, by a hash of their names."""
    names = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if len(names) < 2:
        raise DataError(
            f"All {len(patients)} images are of one patient, '{names[0]}': nothing can be held out. Put each "
            "patient's images into a subfolder, or begin their names with the patient's and _."
        )
    chosen = set(names[: max(1, round(HELD_OUT * len(names)))])
    return np.array([name in chosen for name in patients])
