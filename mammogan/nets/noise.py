"""Noise maps by number: the same map for the same number, on any device and in any batch, with nothing kept.

A map is a hash of (number of the image, block, place), turned into normal variates. So networks that are fed
noise stay pure functions of their inputs, resuming and recomputing need no state of a random generator, and
ranks need not agree on anything.

Shape suffixes: N images, H x W pixels, M = H W rounded up to even.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_HALF = 0xFFFFFFFF
_MULTIPLIER = 0x45D9F3B
"""Below 2^27, so that 32 bits times it stay within 63: no product of integers may overflow."""
MOST_BLOCKS = 64


def noise_maps(numbers_N: Tensor, block: int, height: int, width: int) -> Tensor:
    """Draw a standard normal map (N, 1, H, W) float32 an image; `numbers_N` are int64 from 0 to 2^56 - 1.

    Two uniform numbers of 24 bits, by a hash that mixes all bits, make two normal ones (Box and Muller 1958).
    """
    if not 0 <= block < MOST_BLOCKS:
        raise ValueError(f"block {block} is not among the {MOST_BLOCKS} that have noise of their own")
    count, places = height * width, height * width + height * width % 2
    low_N, high_N = numbers_N & _HALF, (numbers_N >> 32) | (block << 24)
    mixed_M = _mix(torch.arange(places, device=numbers_N.device))
    bits_NM = _mix(_mix(mixed_M ^ low_N[:, None]) ^ high_N[:, None]) >> 8
    first_NM, second_NM = bits_NM.float().chunk(2, dim=1)
    radius_NM = (first_NM.add_(1).mul_(2.0**-24).log_().mul_(-2)).sqrt_()  # of numbers in (0, 1]
    angle_NM = second_NM.mul_(2 * math.pi * 2.0**-24)
    normal_NM = torch.cat([radius_NM * angle_NM.cos(), radius_NM * angle_NM.sin()], dim=1)
    return normal_NM[:, :count].view(-1, 1, height, width)


def _mix(x: Tensor) -> Tensor:
    """Mix 32 bits (in int64) so that each bit of the result hangs on all: xor-shifts and products."""
    for _ in range(2):
        x = ((x >> 16) ^ x).mul_(_MULTIPLIER).bitwise_and_(_HALF)
    return (x >> 16).bitwise_xor_(x)
