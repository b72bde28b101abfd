"""A model for notebooks and other programs: images as arrays, the very pixels of ``mammogan sample``.

Shape suffixes: N images, V views, T frames, H x W pixels, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from mammogan.config.label_fields import VIEWS
from mammogan.errors import ConfigError, DataError
from mammogan.export.exported_model import ExportedModel
from mammogan.export.model_card import CARD, card
from mammogan.train import draw_images
from mammogan.train.dataloader import to_uint16
from mammogan.train.gan_inversion import Search, invert
from mammogan.train.taught_labels import check_truncation, class_names, class_numbers, view_number

Images = NDArray[np.uint16]


@dataclass(frozen=True)
class Projection:
    """The latent that draws a given image best.

    Attributes
    ----------
    latent_Z
        float32 (Z,).
    image_HW
        What it draws: uint16 (H, W).
    error
        Root of the mean squared difference over several scales; from black to white is 1.
    labels
        The labels that it was drawn with; what is unknown is empty.
    """

    latent_Z: NDArray[np.float32]
    image_HW: Images
    error: float
    labels: dict[str, str]


class Model:
    """A generator of mammograms, as `mammogan.load` opens it.

    Image number i is a function of model, seed, i, view and labels alone: it is the same whoever draws it,
    in whatever company. Images are uint16, 0 black to 65535 white, the chest wall on the left.
    """

    def __init__(self, model: draw_images.Model, terms: str, folder: Path, run: Path | None = None) -> None:
        self._model, self._folder, self._run = model, folder, run
        self.terms = terms
        """On what terms the images came that it learned from; they go with what it draws."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of its images."""
        return self._model.size_px

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the labels that it was taught, the view among them, and the classes of each."""
        return self._model.taught

    @property
    def seed(self) -> int:
        """The seed that it draws by if none is given: its run's, as in its pool."""
        return self._model.method.method.seed

    @property
    def card(self) -> str:
        """What it is, in Markdown: the card that came with it, or else one of what its run and files say."""
        try:
            return (self._folder / CARD).read_text(encoding="utf-8")
        except FileNotFoundError:
            known = ExportedModel(self._model, self.terms, self._folder, self._run)
            return card(known, f"## Use\n\n`mammogan.load('{self._run or self._folder}').draw(4)`")

    @overload
    def draw(
        self,
        n: int,
        *,
        view: str | None = ...,
        seed: int | None = ...,
        first: int = ...,
        truncation: float = ...,
        labels: Mapping[str, str] | None = ...,
        as_iterator: Literal[False] = ...,
    ) -> Images: ...

    @overload
    def draw(
        self,
        n: int,
        *,
        view: str | None = ...,
        seed: int | None = ...,
        first: int = ...,
        truncation: float = ...,
        labels: Mapping[str, str] | None = ...,
        as_iterator: Literal[True],
    ) -> Iterator[Images]: ...

    def draw(
        self,
        n: int,
        *,
        view: str | None = None,
        seed: int | None = None,
        first: int = 0,
        truncation: float = 1.0,
        labels: Mapping[str, str] | None = None,
        as_iterator: bool = False,
    ) -> Images | Iterator[Images]:
        """Draw `n` images: the very pixels of ``mammogan sample`` with these settings.

        Parameters
        ----------
        n : int
            Images.
        view : str, optional
            ``CC`` or ``MLO``; without it views come as they occur among the reals.
        seed : int, optional
            Decides about every image; without it `seed`.
        first : int
            Number of the first image.
        truncation : float
            From 1, all the model's variety, to 0, the mean image of each label.
        labels : mapping, optional
            Further labels and their classes, as ``{"density": "c"}``; those not named come as they occur.
        as_iterator : bool
            Give the images one after the other, in memory for a few of them.

        Returns
        -------
        numpy.ndarray or iterator
            uint16 (n, H, W), or as many (H, W).

        Raises
        ------
        ConfigError
            If a number is out of range, or the model was not taught such a view or label.
        """
        if n < 0 or first < 0:
            raise ConfigError(f"n '{n}' and first '{first}' count images: neither is below 0.")
        check_truncation(truncation)
        number = None if view is None else view_number(self._model, view)
        others = class_numbers(self._model, labels or {})
        numbers = range(first, first + n)
        drawn = self._model.draw(self._seed(seed), numbers, number, truncation, others)
        if as_iterator:
            return drawn
        images_NHW = np.empty((n, *self.size_px), np.uint16)
        for place, image_HW in enumerate(drawn):
            images_NHW[place] = image_HW
        return images_NHW

    def pairs(
        self,
        n: int,
        *,
        seed: int | None = None,
        first: int = 0,
        truncation: float = 1.0,
        labels: Mapping[str, str] | None = None,
    ) -> Images:
        """Draw `n` latents as each view that the model was taught: uint16 (n, V, H, W), V as in `labels`.

        Raises
        ------
        ConfigError
            As `draw`, and if the model was taught fewer than two views.
        """
        views = self.labels.get("view", ())
        if len(views) < len(VIEWS):
            raise ConfigError(
                f"Pairs are of {' and '.join(VIEWS)}, and this model was taught: {views or 'none'}."
            )
        settings = {"seed": seed, "first": first, "truncation": truncation, "labels": labels}
        return np.stack([self.draw(n, view=view, **settings) for view in views], axis=1)  # type: ignore[call-overload]

    def interpolate(
        self,
        start: int,
        end: int,
        steps: int,
        *,
        view: str | None = None,
        seed: int | None = None,
        truncation: float = 1.0,
        labels: Mapping[str, str] | None = None,
    ) -> Images:
        """Draw the way from image number `start` to image number `end`: uint16 (steps, H, W), both included.

        Latents turn from one to the other along a great circle, so that each is as long as those of training;
        labels and the noise of the networks stay those of `start`.

        Raises
        ------
        ConfigError
            As `draw`, and if there are fewer than two steps.
        """
        if steps < 2:
            raise ConfigError(f"steps '{steps}': the way between two images has at least both.")
        check_truncation(truncation)
        model, key = self._model, self._seed(seed)
        number = None if view is None else view_number(model, view)
        ends_2Z = torch.cat([model.latents(key, range(i, i + 1)) for i in (start, end)])
        labels_1F = model.labels(key, range(start, start + 1), number, class_numbers(model, labels or {}))
        noise_1 = model.noise(key, range(start, start + 1))
        latents_TZ = draw_images.great_circle(ends_2Z[0], ends_2Z[1], steps)
        # As many at once as `draw` takes: a batch's size can change the last bit.
        padded_TZ = latents_TZ[
            [min(i, steps - 1) for i in range(-(-steps // draw_images.CHUNK) * draw_images.CHUNK)]
        ]
        drawn = [
            model.images(
                part_TZ, labels_1F.expand(len(part_TZ), -1), truncation, noise_1.expand(len(part_TZ))
            )
            for part_TZ in torch.split(padded_TZ, draw_images.CHUNK)
        ]
        return to_uint16(torch.cat(drawn))[:steps]

    def project(
        self,
        image_HW: NDArray[np.generic],
        *,
        view: str = "CC",
        seed: int = 0,
        starts: int = 4,
        steps: int = 200,
    ) -> Projection:
        """Find the latent that draws an image best, by descent from several starts.

        Parameters
        ----------
        image_HW : numpy.ndarray
            uint16, or float from 0 black to 1 white, (H, W) of `size_px`; chest wall left, background 0.
        view : str
            ``CC`` or ``MLO``; a model that was taught no views does not heed it.
        seed, starts, steps : int
            Decide about the starts, how many there are, and steps of Adam.

        Raises
        ------
        DataError
            If the image is of another size or type.
        """
        image_HW = _as_uint16(image_HW, self.size_px)
        number = view_number(self._model, view) if "view" in self.labels else 0
        found = invert(self._model, image_HW, number, Search(seed, starts, steps))
        return Projection(
            found.latent_Z, found.image_HW, found.error, class_names(self._model, found.labels_F)
        )

    def _seed(self, seed: int | None) -> int:
        return self.seed if seed is None else seed

    def __repr__(self) -> str:
        height, width = self.size_px
        return f"Model('{self._model.method.method.name}', {height} x {width} pixels, {self._folder})"


def _as_uint16(image_HW: NDArray[np.generic], size_px: tuple[int, int]) -> Images:
    image_HW = np.asarray(image_HW)
    if image_HW.shape != size_px:
        raise DataError(
            f"The image is {' x '.join(map(str, image_HW.shape))}, and this model draws {size_px[0]} x "
            f"{size_px[1]}: resize it with its aspect ratio kept, and pad it with 0."
        )
    if image_HW.dtype == np.uint16:
        return image_HW.astype(np.uint16)
    if not np.issubdtype(image_HW.dtype, np.floating) or not (image_HW.min() >= 0 and image_HW.max() <= 1):
        raise DataError(f"The image is of type '{image_HW.dtype}': give uint16, or floats from 0 to 1.")
    return np.asarray(np.rint(image_HW * 65535), np.uint16)
