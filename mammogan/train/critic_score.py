"""The critic of a checkpoint as a judge of single images.

Shape suffixes: N images, C channels, G a group, H x W pixels, L labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from mammogan.config.label_fields import UNKNOWN
from mammogan.config.method import Method
from mammogan.train.accelerator import compute_in, drawing
from mammogan.train.build_networks import build_critic
from mammogan.train.checkpoint import Checkpoint, verified
from mammogan.train.dataloader import to_float
from mammogan.train.label_encoding import one_hot

GROUPS = 4  # scored at once


class Judge:
    """Scores images of one view, each among the same real companions.

    Minibatch standard deviation makes a score depend on the images beside it. So that an image has one score,
    each stands in a group of its own, whose other members never change.

    Parameters
    ----------
    companions_GHW
        Real images of the view, uint16; as many as ``network.stddev_group`` less one are used.
    view
        Place of the view in ``VIEWS``.
    """

    def __init__(
        self,
        method: Method,
        source: Checkpoint,
        companions_GHW: np.ndarray,
        view: int,
        device: torch.device,
    ) -> None:
        self.method, self.device = method, device
        self.critic = build_critic(method, source.stage).requires_grad_(False).eval().to(device)
        self.critic.load_state_dict(verified(source).tensors("critic"))
        self.companions_GHW = companions_GHW[: method.network.stddev_group - 1]
        fields = method.supervision.fields
        labels_F = torch.tensor([view if name == "view" else UNKNOWN for name in fields])
        self.label_L = one_hot(labels_F[None], method.supervision.classes)[0].to(device)

    def scores(self, images: Iterable[np.ndarray]) -> Iterator[float]:
        """Score images, uint16 (H, W), one after the other; higher is more like the reals."""
        stream = iter(images)
        while chunk := list(islice(stream, GROUPS)):
            groups = [np.concatenate([image_HW[None], self.companions_GHW]) for image_HW in chunk]
            images_NCHW = to_float(np.concatenate(groups), self.device, self.method.network.black_margin)
            labels_NL = self.label_L.expand(len(images_NCHW), -1)
            with (
                torch.no_grad(),
                drawing(self.device, tf32=self.method.sampling.tf32),
                compute_in(self.method.engine.precision, self.device),
            ):
                scores_N, _ = self.critic(images_NCHW, 1.0, labels_NL)
            yield from scores_N.view(len(chunk), -1)[:, 0].tolist()
