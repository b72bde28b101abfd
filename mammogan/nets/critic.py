"""The critic: an image of the current stage's resolution to one score and the label's logits.

Shape suffixes: N images, C channels, H x W pixels, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from mammogan.nets.double_backward import activate, downsample
from mammogan.nets.layers import EqualConv, EqualLinear, checkpoint_activations, minibatch_stddev


class Critic(nn.Module):
    """PGGAN's critic, the generator's mirror image; parameters as of `mammogan.nets.Generator`.

    Parameters
    ----------
    logits : int
        Labels that the critic tells beside the score (AC-GAN, Odena et al. 2017).
    projected : int
        Labels that the critic is told: their embeddings are projected on the last features and added to the
        score (Miyato and Koyama 2018, equation 3).
    early_mean : bool
        A block takes 2x2 means between its convolutions and not after both: the second is a quarter the work.
    stddev_group : int
        Consecutive images over which minibatch standard deviation is taken.
    """

    def __init__(
        self,
        stage: int,
        base_px: tuple[int, int],
        logits: int,
        widths: Sequence[int],
        stddev_group: int,
        *,
        projected: int = 0,
        early_mean: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.stage, self.stddev_group, self.recompute = stage, stddev_group, recompute
        self.early_mean = early_mean
        conv = partial(EqualConv, double_backward=True)
        self.from_image = nn.ModuleList(conv(1, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList([conv(width, width, 3), conv(width, below, 3)]) for below, width in pairwise(widths)
        )
        self.last = conv(widths[0] + 1, widths[0], 3)
        self.dense = EqualLinear(widths[0] * base_px[0] * base_px[1], widths[0])
        self.head = EqualLinear(widths[0], 1 + logits, gain=1.0)
        self.projection = EqualLinear(widths[0], projected, gain=1.0, bias=False) if projected else None

    def forward(
        self,
        images_NCHW: Tensor,
        fade: float = 1.0,
        labels_NL: Tensor | None = None,
        *,
        detach_stddev: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Score images (N, 1, H, W): scores (N,) and logits (N, L), both float32.

        `labels_NL`, one-hot, is looked at where labels are projected. `detach_stddev` takes minibatch
        standard deviation as a constant.
        """
        x = activate(self.from_image[self.stage](images_NCHW))
        for stage in range(self.stage, 0, -1):
            block = self.blocks[stage - 1]
            x = checkpoint_activations(self._block, block, x) if self.recompute else self._block(block, x)
            if stage == self.stage and fade < 1:
                x = torch.lerp(activate(self.from_image[stage - 1](downsample(images_NCHW))), x, fade)
        x = activate(self.last(minibatch_stddev(x, self.stddev_group, detach=detach_stddev)))
        features_NC = activate(self.dense(x.flatten(1)))
        outputs = self.head(features_NC).float()
        scores_N = outputs[:, 0]
        if self.projection is not None and labels_NL is not None:
            scores_N = scores_N + (self.projection(features_NC).float() * labels_NL).sum(dim=1)
        return scores_N, outputs[:, 1:]

    def _block(self, block: nn.Module, x_NCHW: Tensor) -> Tensor:
        first, second = block.children()
        x = activate(first(x_NCHW))
        return activate(second(downsample(x))) if self.early_mean else downsample(activate(second(x)))
