"""A generator without stripes: it convolves before it doubles, doubles bilinearly, and is fed noise.

PGGAN's doubling by repeated pixels, followed by two convolutions, leaves power along the axes of an image's
spectrum that no mammogram has; docs/method.md has the measurements. Doubling through a low-pass filter is
StyleGAN's (Karras et al. 2019, section 2 and appendix C), and so are noise maps with a weight a channel; skip
outputs are StyleGAN2's (Karras et al. 2020, section 4.1). Everything else is PGGAN's.

Shape suffixes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mammogan.nets.double_backward import activate
from mammogan.nets.generator import Generator
from mammogan.nets.layers import EqualConv, checkpoint_activations, pixel_norm, upsample_bilinear
from mammogan.nets.noise import noise_maps


class NoiseBlock(nn.Module):
    """Convolve at the small size, double bilinearly, add noise, convolve at the large size."""

    def __init__(self, below: int, width: int, number: int) -> None:
        super().__init__()
        self.number = number
        self.narrow, self.wide = EqualConv(below, width, 3), EqualConv(width, width, 3)
        self.noise = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x_NCHW: Tensor, noise_N: Tensor | None) -> Tensor:
        """Map (N, below, H, W) to (N, width, 2H, 2W); `noise_N` are numbers of noise, None is no noise."""
        x = upsample_bilinear(self.narrow(x_NCHW))
        if noise_N is not None:
            x = torch.addcmul(
                x, noise_maps(noise_N, self.number, *x.shape[2:]).to(x.dtype), self.noise.to(x.dtype)
            )
        # After the second convolution noise would stay as grain.
        return pixel_norm(activate(self.wide(pixel_norm(activate(x)))))


class BilinearNoiseGenerator(Generator):
    """PGGAN's generator with another block; parameters as of `mammogan.nets.Generator`, and these.

    Parameters
    ----------
    skip : bool
        The image is the sum of what every stage draws, doubled up to the last, and not the last's alone.
    """

    def __init__(self, *shape: Any, skip: bool = False, **options: Any) -> None:
        super().__init__(*shape, **options)
        self.skip = skip

    def build_blocks(self, widths: Sequence[int]) -> nn.ModuleList:
        """Make the blocks that double, the smallest first."""
        return nn.ModuleList(
            NoiseBlock(below, width, number) for number, (below, width) in enumerate(pairwise(widths), 1)
        )

    def grow(self, features_NCHW: Tensor, fade: float = 1.0, noise_N: Tensor | None = None) -> Tensor:
        """Draw images from the first features; `noise_N` are numbers of noise, int64, None is no noise."""
        x = pixel_norm(activate(self.first(pixel_norm(activate(features_NCHW)))))
        drawn: Tensor = self.to_image[0](x) if self.skip or not self.stage else x
        for number, block in enumerate(self.blocks, 1):
            below = x
            x = checkpoint_activations(block, x, noise_N) if self.recompute else block(x, noise_N)
            newest = number == self.stage
            if self.skip:
                drawn = upsample_bilinear(drawn) + (fade if newest else 1.0) * self.to_image[number](x)
            elif newest:
                drawn = self.to_image[number](x)
                if fade < 1:
                    drawn = torch.lerp(upsample_bilinear(self.to_image[number - 1](below)), drawn, fade)
        return drawn
