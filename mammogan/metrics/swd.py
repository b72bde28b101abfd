"""Sliced Wasserstein distance between local patches of a Laplacian pyramid (Karras et al. 2018, section 5).

For greyscale images of any height and width. Each level of each set is centred and scaled by its own mean and
deviation, so that a global shift of brightness or contrast is invisible here: look at the moments beside it.

Shape suffixes: N images, H x W pixels, P patches, D numbers of a patch, R directions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.files import write
from mammogan.metrics import laplacian_pyramid, patch_sampling
from mammogan.metrics.patch_sampling import Places
from mammogan.metrics.patch_store import Floats, Store
from mammogan.metrics.sliced_projection import normalise, sliced, unit_directions

AT_ONCE_PX = 4 * 1280 * 1024
"""Pixels of the images that are taken at once: calls are few then, and freed arrays are still kept."""
ABOUT = "about.json"
Directions = Callable[[int, int], Floats]
"""Gives the directions (D, R) of a level and a repeat."""


@dataclass(eq=False)
class SlicedWasserstein:
    """Patches of one image set, gathered image by image; `distance` compares two sets, a level at a time.

    The patches of an image are drawn from a seed and the image's own content. So two identical sets have
    distance 0 exactly, order does not matter, and parts gathered by different tasks merge to the whole.

    Parameters
    ----------
    height_px, width_px : int
        Of the images.
    patches_per_image : int
        At each level (published: 128).
    directions, repeats : int
        Random projections, `repeats` times `directions` (published: 4 x 128).
    seed : int
        Of patches and directions.
    foreground : bool
        Cut patches about places in the breast alone. A large share of all places is empty background.
    folder : Path, optional
        Where to keep patches, a file a level, instead of in memory: 25 KB an image and level.
    device : str
        What computes, as torch names it: ``cpu`` (with torch's number of threads) or ``cuda``.
    """

    height_px: int
    width_px: int
    patches_per_image: int = 128
    directions: int = 128
    repeats: int = 4
    seed: int = 0
    foreground: bool = False
    folder: Path | None = field(default=None, kw_only=True)
    device: str = field(default="cpu", kw_only=True)
    images: int = field(default=0, init=False)
    stores: list[Store] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.levels = laplacian_pyramid.levels(self.height_px, self.width_px)
        self.stores = [Store(numbers, path) for numbers, path in self._files(self.folder)]

    @property
    def settings(self) -> dict[str, Any]:
        """Give all that two sets must agree in to be compared."""
        names = {found.name for found in fields(self) if found.init} - {"folder", "device"}
        return {name: getattr(self, name) for name in sorted(names)}

    def update(
        self,
        images_NHW: Sequence[NDArray[np.uint16]] | NDArray[np.uint16],
        places: Sequence[Places] | None = None,
    ) -> None:
        """Add images, uint16 (N, H, W).

        `places` are first rows and columns of each image's patches for each level, (N, P) both, to be taken
        instead of those that would be drawn.
        """
        gather([self], images_NHW, places)

    def merge(self, other: SlicedWasserstein) -> None:
        """Add what another part has gathered; files are not copied and must stay.

        Raises
        ------
        ValueError
            If it was gathered with other settings.
        """
        self.check_settings(other)
        for mine, theirs in zip(self.stores, other.stores, strict=True):
            mine.merge(theirs)
        self.images += other.images

    def distance(self, other: SlicedWasserstein, directions: Directions | None = None) -> list[float]:
        """Compute SWD x 1000 to `other` at every level, finest first; `directions` replaces those drawn.

        Raises
        ------
        ValueError
            If the sets are empty or differ in size, or were gathered with other settings.
        """
        self.check_settings(other)
        if self.images != other.images or not self.images:
            raise ValueError(
                f"SWD compares sets of the same size, not {self.images} with {other.images} images"
            )
        return [self._level(level, other, directions) for level in range(len(self.levels))]

    def _level(self, level: int, other: SlicedWasserstein, given: Directions | None) -> float:
        """Compare one level; what it takes is freed before the next is read."""
        a_DP, b_DP = (self._normalised(store) for store in (self.stores[level], other.stores[level]))
        random = np.random.default_rng([self.seed, level])
        repeats = []
        for repeat in range(self.repeats):
            drawn_DR = given(level, repeat) if given else unit_directions(len(a_DP), self.directions, random)
            repeats.append(sliced(a_DP, b_DP, drawn_DR))
        return 1000 * float(np.mean(repeats))

    def save(self) -> None:
        """Finish the files of `folder`, so that `load` finds the set there."""
        assert self.folder is not None, "a set in memory has no folder"
        for store in self.stores:
            store.flush()
        write(self.folder / ABOUT, json.dumps(self.settings | {"images": self.images}))

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> SlicedWasserstein:
        """Open what `save` has left; nothing is read before it is compared.

        Raises
        ------
        ValueError
            If a file is not as long as it was.
        """
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        images = about.pop("images")
        found = cls(**about, device=device)
        rows = images * found.patches_per_image
        for level, (numbers, path) in enumerate(found._files(folder)):
            assert path is not None
            if path.stat().st_size != 4 * rows * numbers:
                raise ValueError(f"'{path}' does not hold the {rows} patches that '{ABOUT}' tells of")
            found.stores[level] = Store.of_file(numbers, path, rows)
        found.images = images
        return found

    def _files(self, folder: Path | None) -> list[tuple[int, Path | None]]:
        numbers = [laplacian_pyramid.patch_px(shape) ** 2 for shape in self.levels]
        return [(n, folder / f"level-{level}.f32" if folder else None) for level, n in enumerate(numbers)]

    def _normalised(self, store: Store) -> Tensor:
        return torch.from_numpy(normalise(store.read())).to(self.device)

    def check_settings(self, other: SlicedWasserstein) -> None:
        """Refuse a set that can't be compared with this one.

        Raises
        ------
        ValueError
            If it was gathered with other settings.
        """
        theirs = other.settings
        for name, mine in self.settings.items():
            if mine != theirs[name]:
                raise ValueError(
                    f"one set was gathered with {name} '{mine}', the other with '{theirs[name]}'"
                )


def gather(
    sets: Sequence[SlicedWasserstein],
    images_NHW: Sequence[NDArray[np.uint16]] | NDArray[np.uint16],
    given: Sequence[Places] | None = None,
) -> None:
    """Add images, uint16 (N, H, W), to several sets of one size and device, whose pyramids are built once."""
    shapes, device = sets[0].levels, torch.device(sets[0].device)
    assert all((one.levels, one.device) == (shapes, sets[0].device) for one in sets)
    at_once = max(1, AT_ONCE_PX // (shapes[0][0] * shapes[0][1]))
    for first in range(0, len(images_NHW), at_once):
        part_NHW = np.asarray(images_NHW[first : first + at_once])
        lows = laplacian_pyramid.low_passes(part_NHW, shapes, device)
        masks: list[NDArray[np.bool_]] = []
        if any(one.foreground for one in sets):
            masks = [
                patch_sampling.breast(low_HW)
                for low_HW in lows[patch_sampling.outlined(shapes)].cpu().numpy()
            ]
        last = first + at_once
        for one in sets:
            if given:
                at_levels = [(y_NP[first:last], x_NP[first:last]) for y_NP, x_NP in given]
            else:
                pairs = zip(part_NHW, masks or part_NHW, strict=True)
                at_levels = _stacked([_drawn(one, image_HW, mask_HW) for image_HW, mask_HW in pairs])
            one.images += len(part_NHW)
            for store, low_NHW, coarser_NHW, at in zip(
                one.stores, lows, [*lows[1:], None], at_levels, strict=True
            ):
                store.add(laplacian_pyramid.cut(low_NHW, coarser_NHW, *at).cpu().numpy())


def _drawn(one: SlicedWasserstein, image_HW: NDArray[np.uint16], mask_HW: NDArray[np.bool_]) -> list[Places]:
    random = patch_sampling.drawn(image_HW, one.seed)
    if one.foreground:
        return patch_sampling.within(mask_HW, one.levels, one.patches_per_image, random)
    return patch_sampling.everywhere(one.levels, one.patches_per_image, random)


def _stacked(images: Sequence[Sequence[Places]]) -> list[Places]:
    """Bring places by image and level to places by level, (N, P) both."""
    return [
        (np.stack([y_P for y_P, _ in level]), np.stack([x_P for _, x_P in level]))
        for level in zip(*images, strict=True)
    ]
