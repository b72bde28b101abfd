"""The generator: latent and label to a greyscale image of the current stage's resolution.

Shape suffixes: N images, C channels, H x W pixels, Z latent, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mammogan.nets.double_backward import activate
from mammogan.nets.layers import (
    EqualConv,
    EqualLinear,
    checkpoint_activations,
    pixel_norm,
    upsample,
)


class Generator(nn.Module):
    """PGGAN's generator for a base of h x w doubled `stage` times, one channel, label beside the latent.

    Parameters
    ----------
    stage : int
        Rung of the ladder that is drawn, from 0.
    base_px : (int, int)
        Height and width of rung 0.
    latent_size, labels : int
        Sizes of the two inputs; `labels` may be 0.
    widths : sequence of int
        Channels of each stage up to this one.
    recompute : bool
        Keep no activations of the blocks, but compute them again on the way back: less memory, more work.
    """

    def __init__(
        self,
        stage: int,
        base_px: tuple[int, int],
        latent_size: int,
        labels: int,
        widths: Sequence[int],
        *,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.stage, self.base_px, self.labels, self.recompute = stage, base_px, labels, recompute
        pixels = base_px[0] * base_px[1]
        # The first layer's fan-in counts its base positions too, as in PGGAN (sqrt(2)/4 for 4x4).
        gain = math.sqrt(2 / pixels)
        self.dense = EqualLinear(latent_size + labels, widths[0] * pixels, gain, bias=False)
        self.bias = nn.Parameter(torch.zeros(widths[0], 1, 1))
        self.first = EqualConv(widths[0], widths[0], 3)
        self.blocks = self.build_blocks(widths)
        self.to_image = nn.ModuleList(EqualConv(width, 1, 1, gain=1.0) for width in widths)

    def build_blocks(self, widths: Sequence[int]) -> nn.ModuleList:
        """Make the blocks that double, the smallest first."""
        return nn.ModuleList(
            nn.ModuleList([EqualConv(below, width, 3, upsample_first=True), EqualConv(width, width, 3)])
            for below, width in pairwise(widths)
        )

    def forward(
        self, latents_NZ: Tensor, labels_NL: Tensor, fade: float = 1.0, noise_N: Tensor | None = None
    ) -> Tensor:
        """Draw images (N, 1, H, W), about [-1, 1]; `fade` is the weight of the newest resolution.

        `noise_N`, int64, are the numbers of the images' noise, for networks that take noise; None is none.
        """
        return self.grow(self.seed(latents_NZ, labels_NL), fade, noise_N)

    def seed(self, latents_NZ: Tensor, labels_NL: Tensor) -> Tensor:
        """Map latent and label to the first features (N, C, h, w), before their normalisation."""
        x = pixel_norm(torch.cat([latents_NZ, labels_NL], dim=1)) if self.labels else pixel_norm(latents_NZ)
        return self.dense(x).view(len(x), -1, *self.base_px) + self.bias  # type: ignore[no-any-return]

    def grow(self, features_NCHW: Tensor, fade: float = 1.0, noise_N: Tensor | None = None) -> Tensor:
        """Draw images from the first features; this generator takes no noise."""
        x = pixel_norm(activate(features_NCHW))
        x = pixel_norm(activate(self.first(x)))
        below = x
        for block in self.blocks:
            below = x
            x = checkpoint_activations(self._block, block, x) if self.recompute else self._block(block, x)
        images_NCHW: Tensor = self.to_image[self.stage](x)
        if self.stage and fade < 1:
            images_NCHW = torch.lerp(upsample(self.to_image[self.stage - 1](below)), images_NCHW, fade)
        return images_NCHW

    @staticmethod
    def _block(block: nn.Module, x_NCHW: Tensor) -> Tensor:
        x = x_NCHW
        for convolution in block.children():
            x = pixel_norm(activate(convolution(x)))
        return x
