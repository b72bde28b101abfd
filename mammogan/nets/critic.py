"""The critic: an image of the current stage's resolution to one score and the label's logits.

Shape suffixes: N images, C channels, H x W pixels, L labels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mammogan.nets.layers import EqualConv, EqualLinear, activate, channels, downscale, minibatch_stddev


class Critic(nn.Module):
    """PGGAN's critic, the generator's mirror image; parameters as of `mammogan.nets.Generator`.

    `stddev_group` is the number of consecutive images over which minibatch standard deviation is taken.
    """

    def __init__(
        self,
        stage: int,
        base_px: tuple[int, int],
        labels: int,
        channels_base: int,
        channels_max: int,
        stddev_group: int,
    ) -> None:
        super().__init__()
        self.stage, self.stddev_group = stage, stddev_group
        widths = [channels(s, channels_base, channels_max) for s in range(stage + 1)]
        self.from_image = nn.ModuleList(EqualConv(1, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(width, width, 3), EqualConv(width, below, 3)])
            for below, width in pairwise(widths)
        )
        self.last = EqualConv(widths[0] + 1, widths[0], 3)
        self.dense = EqualLinear(widths[0] * base_px[0] * base_px[1], widths[0])
        self.head = EqualLinear(widths[0], 1 + labels, gain=1.0)

    def forward(self, images_NCHW: Tensor, fade: float = 1.0) -> tuple[Tensor, Tensor]:
        """Score images (N, 1, H, W): scores (N,) and logits (N, L), both float32."""
        x = activate(self.from_image[self.stage](images_NCHW))
        for stage in range(self.stage, 0, -1):
            for convolution in self.blocks[stage - 1].children():
                x = activate(convolution(x))
            x = downscale(x)
            if stage == self.stage and fade < 1:
                x = torch.lerp(activate(self.from_image[stage - 1](downscale(images_NCHW))), x, fade)
        x = activate(self.last(minibatch_stddev(x, self.stddev_group)))
        x = self.head(activate(self.dense(x.flatten(1)))).float()
        return x[:, 0], x[:, 1:]
