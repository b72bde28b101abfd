"""The latent whose image is most like a given one, found by descent from several starts.

Shape suffixes: S starts, T steps, Z latent, F label fields, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mammogan.train.accelerator import drawing
from mammogan.train.dataloader import to_float, to_uint16
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import one_hot

COARSEST_PX = 4
"""Shorter side down to which images are halved and compared."""
BETAS = (0.9, 0.999)
LENGTH_OFF = 3 / math.sqrt(2)


@dataclass(frozen=True)
class Search:
    """How a latent is looked for: `starts` latents of `seed`, so many steps of Adam at a falling `rate`."""

    seed: int = 0
    starts: int = 4
    steps: int = 200
    rate: float = 0.2


@dataclass(frozen=True)
class Inverted:
    """What was found: of all starts the best one's latent, labels and image, and every start's losses.

    `losses_TS` has a row before each step and one after the last. `image_HW` is 0 black .. 65535 white.
    """

    latent_Z: np.ndarray
    labels_F: np.ndarray
    image_HW: np.ndarray
    losses_TS: np.ndarray
    best: int

    @property
    def error(self) -> float:
        """The best loss's root: a difference of grey, black to white being 1."""
        return math.sqrt(self.losses_TS[-1, self.best])


def losses(images_SCHW: Tensor, target_1CHW: Tensor) -> Tensor:
    """Compare images in [-1, 1] with one, (S,): squared differences of grey (0 to 1) at several scales.

    The mean over pixels, then over scales: both images are halved again and again by averaging, down to a
    shorter side of `COARSEST_PX`. Coarse scales say where to go while edges do not yet meet.
    """
    off_SCHW = (images_SCHW - target_1CHW) / 2
    levels = [off_SCHW.square().mean(dim=(1, 2, 3))]
    while min(off_SCHW.shape[2:]) >= 2 * COARSEST_PX:
        off_SCHW = functional.avg_pool2d(off_SCHW, 2)  # of the difference: averaging is linear
        levels.append(off_SCHW.square().mean(dim=(1, 2, 3)))
    return torch.stack(levels).mean(dim=0)


def invert(
    model: Model,
    image_HW: np.ndarray,
    view: int,
    search: Search,
    on_progress: Callable[[], None] = lambda: None,
) -> Inverted:
    """Find the latent that draws `image_HW` (uint16, of the model's size) of `view` best.

    The starts are the latents of the images 0, 1, .. of the seed, with the other labels that these have; no
    image gets noise, which could only be searched for number by number. All
    arithmetic is fp32, whatever the method's precision: the result is a function of model, image, view and
    search on one kind of machine with one number of threads, and of no other image.

    After Creswell & Bharath (2018), "Inverting the Generator of a Generative Adversarial Network".

    Parameters
    ----------
    view
        Place of the view in ``VIEWS``; a model that was taught no views does not heed it.
    on_progress
        Called after each step.
    """
    device = next(model.generator.parameters()).device
    numbers = range(search.starts)
    target_1CHW = to_float(image_HW[None], device, model.method.network.black_margin)
    labels_SF = model.labels(search.seed, numbers, view)
    labels_SL = one_hot(labels_SF, model.method.supervision.classes).to(device)
    latents_SZ = model.latents(search.seed, numbers).to(device).requires_grad_()
    adam = torch.optim.Adam([latents_SZ], lr=search.rate, betas=BETAS)
    rows: list[Tensor] = []
    with torch.enable_grad(), drawing(device):
        for step in range(search.steps):
            for group in adam.param_groups:  # half a cosine, from the rate to 0
                group["lr"] = search.rate * (1 + math.cos(math.pi * step / search.steps)) / 2
            found_S = losses(model.generator(latents_SZ, labels_SL, model.fade), target_1CHW)
            rows.append(found_S.detach())
            (latents_SZ.grad,) = torch.autograd.grad(found_S.sum(), latents_SZ)  # no start heeds another
            adam.step()
            with torch.no_grad():
                latents_SZ.copy_(_held(latents_SZ))
            on_progress()
        with torch.no_grad():
            images_SCHW = model.generator(latents_SZ, labels_SL, model.fade)
            rows.append(losses(images_SCHW, target_1CHW))
    losses_TS = torch.stack(rows).cpu().numpy()
    best = int(losses_TS[-1].argmin())
    return Inverted(
        latent_Z=latents_SZ[best].detach().cpu().numpy(),
        labels_F=labels_SF[best].numpy(),
        image_HW=to_uint16(images_SCHW[best : best + 1])[0],
        losses_TS=losses_TS,
        best=best,
    )


def _held(latents_SZ: Tensor) -> Tensor:
    """Hold latents to lengths that training draws: the root of Z, and three deviations of 1 / sqrt(2) about.

    Adam makes them longer step by step, and length decides how much a label counts beside them.
    """
    lengths_S1 = latents_SZ.norm(dim=1, keepdim=True)
    usual = math.sqrt(latents_SZ.shape[1])
    held_SZ: Tensor = latents_SZ * (lengths_S1.clamp(usual - LENGTH_OFF, usual + LENGTH_OFF) / lengths_S1)
    return held_SZ
