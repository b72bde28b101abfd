"""Supervised information that steadies the game: the critic tells the label too (AC-GAN, Odena 2017)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def auxiliary(logits_NL: Tensor, labels_N: Tensor) -> Tensor:
    """Cross-entropy of the critic's logits (N, L) against the labels' indices (N,); a scalar."""
    return functional.cross_entropy(logits_NL, labels_N)


def none(logits_NL: Tensor, labels_N: Tensor) -> Tensor:
    """Ignore the labels: a scalar 0."""
    return logits_NL.new_zeros(())


SUPERVISIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"auxiliary": auxiliary, "none": none}
