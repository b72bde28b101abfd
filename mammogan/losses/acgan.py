"""Supervised information that steadies the game: the critic tells the labels too (AC-GAN, Odena 2017).

Shape suffixes: N images, L classes of all label fields side by side, F label fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def auxiliary(logits_NL: Tensor, labels_NF: Tensor, classes: Sequence[int]) -> Tensor:
    """Cross-entropy of the critic's logits against the labels' numbers, a sum over the fields; a scalar.

    `classes` counts the classes of each field. A label below 0 is unknown and adds nothing; the mean is over
    all images all the same, so that it does not depend on how a batch is split.
    """
    by_field = torch.split(logits_NL, list(classes), dim=1)
    entropies = [
        _cross_entropy(logits, labels_N)
        for logits, labels_N in zip(by_field, labels_NF.unbind(dim=1), strict=True)
    ]
    return sum(entropies, start=logits_NL.new_zeros(())) / len(logits_NL)


def _cross_entropy(logits_NL: Tensor, labels_N: Tensor) -> Tensor:
    """Sum torch's cross-entropy up; of its own, torch promises no fixed order of adding on a GPU."""
    own_NL = labels_N[:, None] == torch.arange(logits_NL.shape[1], device=labels_N.device)
    return -torch.where(own_NL, functional.log_softmax(logits_NL, dim=1), 0.0).sum()


def none(logits_NL: Tensor, labels_NF: Tensor, classes: Sequence[int]) -> Tensor:
    """Ask nothing of the logits: a scalar 0."""
    return logits_NL.new_zeros(())


SUPERVISIONS: dict[str, Callable[[Tensor, Tensor, Sequence[int]], Tensor]] = {
    "auxiliary": auxiliary,
    "projection": none,  # the labels are in the score
    "none": none,
}
