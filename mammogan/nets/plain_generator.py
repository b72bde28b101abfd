"""MammoGAN's generator on its own: this one file draws what MammoGAN draws, and imports nothing but torch.

It is a part of MammoGAN, and its copy ``modeling_mammogan.py`` goes with every model that is exported::

    from modeling_mammogan import MammoganGenerator

    model = MammoganGenerator.from_pretrained(".")  # the folder of config.json and model.safetensors
    images_NHW = model.draw(range(4), seed=1000, labels={"view": "CC"})  # uint16, 0 black to 65535 white

Image number i is that of ``mammogan sample``. What the network itself takes and gives, in every format:

- ``latents``: (N, Z) float32, standard normal; `latents` gives those of image numbers;
- ``labels``, if it was taught any: (N, L) float32, the classes of each label side by side, 1 for the image's
  own, all 0 for an unknown label; `MammoganGenerator.one_hot` makes them;
- ``noise``, of ``bilinear-noise``: (N,) int64 from 0 to 2^56 - 1; `noise_numbers` gives image numbers' own;
- the result: (N, 1, H, W) float32, about -1 black to 1 white, chest wall left; `to_uint16` makes uint16.

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields, L classes, K combinations.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON, SLOPE, GAIN, UNKNOWN = 1e-8, 0.2, math.sqrt(2), -1
CHUNK = 16  # images at once, as in MammoGAN: a batch's size can change the last bit of a pixel
MEAN_PAIRS = 512  # of a latent and its opposite, over which truncation takes the mean of first features
_HALF, _MULTIPLIER = 0xFFFFFFFF, 0x45D9F3B


def latents(seed: int, numbers: Sequence[int], size: int) -> Tensor:
    """Draw latents (N, Z) of image `numbers`: torch's CPU seeded with hashes of ``SEED:latent:NUMBER``."""
    return torch.stack([torch.randn(size, generator=_random_numbers(seed, "latent", i)) for i in numbers])


def noise_numbers(seed: int, numbers: Sequence[int]) -> Tensor:
    """Give the numbers of noise of image `numbers`: (N,) int64, the hashes of ``SEED:noise:NUMBER``."""
    return torch.tensor([_number(seed, "noise", i) for i in numbers], dtype=torch.int64)


def to_uint16(images_NCHW: Tensor) -> Any:
    """Map what the network gives, (N, 1, H, W) in [-1, 1], to a NumPy array uint16 (N, H, W)."""
    pixels = images_NCHW[:, 0].float().add(1).mul(32767.5).round().clamp(0, 65535)
    return pixels.cpu().numpy().astype("uint16")


class MammoganGenerator(nn.Module):
    """PGGAN's generator (Karras et al. 2018), or the one of ``bilinear-noise``, without what training needs.

    `config` is what ``config.json`` holds; `widths` are channels of each stage, `labels` fields and their
    classes, `combinations` and `counts` the classes that occurred together, and how often.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = dict(config)
        self.kind, self.stage, self.fade = config["kind"], config["stage"], config.get("fade", 1.0)
        self.skip = config.get("skip_outputs", False)
        self.height, self.width = config["base_px"]
        self.latent_size = config["latent_size"]
        self.fields: dict[str, list[str]] = dict(config.get("labels", {}))
        widths, pixels = config["widths"], self.height * self.width
        self.label_size = sum(map(len, self.fields.values()))
        self.dense = _Dense(self.latent_size + self.label_size, widths[0] * pixels, math.sqrt(2 / pixels))
        self.bias = nn.Parameter(torch.zeros(widths[0], 1, 1))
        self.first = _Conv(widths[0], widths[0], 3)
        block = _BLOCKS[self.kind]
        self.blocks = nn.ModuleList(
            block(below, width, number, self.height << number, self.width << number)
            for number, (below, width) in enumerate(pairwise(widths), 1)
        )
        self.to_image = nn.ModuleList(_Conv(width, 1, 1, 1.0) for width in widths)
        self._means: dict[tuple[float, ...], Tensor] = {}

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> MammoganGenerator:
        """Load ``config.json`` and ``model.safetensors`` of a folder; needs the package safetensors."""
        from safetensors.torch import load_file

        model = cls(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")))
        model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
        return model.requires_grad_(False).eval()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs that this network heeds, in their order."""
        labels = ("labels",) if self.label_size else ()
        return ("latents", *labels, *(("noise",) if self.kind == "bilinear-noise" and self.stage else ()))

    def forward(self, latents: Tensor, labels: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """Draw images (N, 1, H, W); without `labels` none is known, without `noise` there is none."""
        return self.grow(self.features(latents, labels), noise)

    def features(self, latents_NZ: Tensor, labels_NL: Tensor | None = None) -> Tensor:
        """Map latent and label to the first features (N, C, h, w), before their normalisation."""
        x = latents_NZ
        if self.label_size:
            unknown_NL = x.new_zeros(x.shape[0], self.label_size) if labels_NL is None else labels_NL
            x = torch.cat([x, unknown_NL], dim=1)
        features: Tensor = self.dense(_pixel_norm(x)).view(-1, self.bias.shape[0], self.height, self.width)
        return features + self.bias

    def grow(self, features_NCHW: Tensor, noise_N: Tensor | None = None) -> Tensor:
        """Draw images from the first features."""
        x = below = _normal(self.first(_normal(features_NCHW)))
        drawn: Tensor = self.to_image[0](x) if self.skip or not self.stage else x
        for number, block in enumerate(self.blocks, 1):
            below, x = x, block(x, noise_N)
            if self.skip:
                weight = self.fade if number == self.stage else 1.0
                drawn = _upsample(drawn, self.kind) + weight * self.to_image[number](x)
        if self.skip or not self.stage:
            return drawn
        drawn = self.to_image[self.stage](x)
        before = _upsample(self.to_image[self.stage - 1](below), self.kind) if self.fade < 1 else drawn
        return torch.lerp(before, drawn, self.fade)

    def draw(
        self,
        numbers: Sequence[int],
        seed: int | None = None,
        labels: Mapping[str, str] | None = None,
        truncation: float = 1.0,
    ) -> Any:
        """Draw the images `numbers`, a NumPy array uint16 (N, H, W): those that ``mammogan sample`` draws.

        `labels` are classes by name, as ``{"view": "CC"}``; those that are not given come as they occurred
        among the images learned from. `truncation` goes from 1, all variety, to 0, the mean image of a label.
        """
        seed, device = self.config["seed"] if seed is None else seed, self.bias.device
        parts = [torch.empty(0, 1, self.height << self.stage, self.width << self.stage, device=device)]
        for first in range(0, len(numbers), CHUNK):
            part = numbers[first : first + CHUNK]
            latents_NZ, noise_N = latents(seed, part, self.latent_size), noise_numbers(seed, part)
            labels_NL = self.one_hot(self.labels_of(seed, part, labels))
            parts.append(
                self.images(latents_NZ.to(device), labels_NL.to(device), noise_N.to(device), truncation)
            )
        return to_uint16(torch.cat(parts))

    @torch.no_grad()
    def images(
        self, latents_NZ: Tensor, labels_NL: Tensor, noise_N: Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Draw images (N, 1, H, W); below 1, `truncation` pulls the first features towards their mean."""
        features_NCHW = self.features(latents_NZ, labels_NL)
        if truncation != 1:
            mean_NCHW = torch.stack([self._mean(label_L) for label_L in labels_NL])
            features_NCHW = torch.lerp(mean_NCHW, features_NCHW, truncation)
        return self.grow(features_NCHW, noise_N)

    def labels_of(self, seed: int, numbers: Sequence[int], wanted: Mapping[str, str] | None = None) -> Tensor:
        """Give classes (N, F) int64 of image `numbers`: those `wanted`, and the others as they occurred."""
        columns = {}
        for name, value in (wanted or {}).items():
            if value not in self.fields.get(name, ()):
                raise ValueError(f"label '{name}={value}': this model knows {self.fields}")
            columns[list(self.fields).index(name)] = self.fields[name].index(value)
        if not self.fields:
            return torch.empty(len(numbers), 0, dtype=torch.int64)
        shares_N = torch.cat([torch.rand(1, generator=_random_numbers(seed, "labels", i)) for i in numbers])
        rows_KF, counts_K = torch.tensor(self.config["combinations"]), torch.tensor(self.config["counts"])
        fits_K = torch.stack([rows_KF[:, i] == n for i, n in columns.items()] or [counts_K > 0]).all(dim=0)
        if not fits_K.any():
            row = [columns.get(column, UNKNOWN) for column in range(len(self.fields))]
            return torch.tensor([row] * len(numbers))
        ends_K = counts_K[fits_K].cumsum(0)
        places_N = torch.searchsorted(ends_K, shares_N.double() * ends_K[-1], right=True)
        return rows_KF[fits_K][places_N.clamp(max=len(ends_K) - 1)]

    def one_hot(self, labels_NF: Tensor) -> Tensor:
        """Encode classes for the network: (N, L) float32, zeros for what is unknown."""
        parts = [labels_NF.new_zeros(len(labels_NF), 0)]
        for labels_N, classes in zip(labels_NF.unbind(dim=1), self.fields.values(), strict=True):
            parts.append(labels_N[:, None] == torch.arange(len(classes), device=labels_N.device))
        return torch.cat([part.float() for part in parts], dim=1)

    def _mean(self, label_L: Tensor) -> Tensor:
        key = tuple(label_L.tolist())
        if key not in self._means:
            half_NZ = torch.randn(MEAN_PAIRS, self.latent_size, generator=_random_numbers(0, "mean"))
            latents_NZ = torch.cat([half_NZ, -half_NZ]).to(label_L.device)
            labels_NL = label_L.expand(len(latents_NZ), -1)
            self._means[key] = self.features(latents_NZ, labels_NL).mean(dim=0)
        return self._means[key]


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x_NF: Tensor) -> Tensor:
        return functional.linear(x_NF, self.weight * self.scale)


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / math.sqrt(inputs * size * size), size // 2

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.conv2d(x_NCHW, self.weight * self.scale, self.bias, padding=self.padding)


class _RepeatBlock(nn.ModuleList):
    """PGGAN's block: repeat pixels to the size `height` x `width`, convolve twice.

    On large maps the first two are one transposed convolution, which is equal and less work.
    """

    def __init__(self, below: int, width_C: int, number: int, height: int, width: int) -> None:
        super().__init__([_Conv(below, width_C, 3), _Conv(width_C, width_C, 3)])
        self.is_transposed = below * height * width // 4 > 9 * below * width_C

    def forward(self, x_NCHW: Tensor, noise_N: Tensor | None) -> Tensor:
        first: Any = self[0]
        if self.is_transposed:
            edged = functional.pad(first.weight * first.scale, (1, 1, 1, 1))
            rows = edged[..., 1:, :] + edged[..., :-1, :]
            kernel = (rows[..., 1:] + rows[..., :-1]).flip(2, 3).transpose(0, 1)
            x = functional.conv_transpose2d(x_NCHW, kernel, first.bias, stride=2, padding=1)
        else:
            x = first(_upsample(x_NCHW, "pggan"))
        return _normal(self[1](_normal(x)))


class _NoiseBlock(nn.Module):
    """Convolve, double bilinearly to the size `height` x `width`, add noise, convolve."""

    def __init__(self, below: int, width_C: int, number: int, height: int, width: int) -> None:
        super().__init__()
        self.number, self.size_px = number, (height, width)
        self.narrow, self.wide = _Conv(below, width_C, 3), _Conv(width_C, width_C, 3)
        self.noise = nn.Parameter(torch.zeros(width_C, 1, 1))

    def forward(self, x_NCHW: Tensor, noise_N: Tensor | None) -> Tensor:
        x = _upsample(self.narrow(x_NCHW), "bilinear-noise")
        if noise_N is not None:
            x = x + noise_maps(noise_N, self.number, *self.size_px).to(x.dtype) * self.noise
        return _normal(self.wide(_normal(x)))


_BLOCKS: dict[str, type[nn.Module]] = {"pggan": _RepeatBlock, "bilinear-noise": _NoiseBlock}


def noise_maps(numbers_N: Tensor, block: int, height: int, width: int) -> Tensor:
    """Draw a standard normal map (N, 1, H, W) an image by its number: a hash, turned normal (Box, Muller)."""
    count, places = height * width, height * width + height * width % 2
    low_N, high_N = numbers_N & _HALF, (numbers_N >> 32) | (block << 24)
    mixed_M = _mix(torch.arange(places, device=numbers_N.device))
    bits_NM = _mix(_mix(mixed_M ^ low_N[:, None]) ^ high_N[:, None]) >> 8
    first_NM, second_NM = bits_NM[:, : places // 2].float(), bits_NM[:, places // 2 :].float()
    radius_NM = (((first_NM + 1) * 2.0**-24).log() * -2).sqrt()
    angle_NM = second_NM * (2 * math.pi * 2.0**-24)
    normal_NM = torch.cat([radius_NM * angle_NM.cos(), radius_NM * angle_NM.sin()], dim=1)
    return normal_NM[:, :count].view(-1, 1, height, width)


def _mix(x: Tensor) -> Tensor:
    x = (((x >> 16) ^ x) * _MULTIPLIER) & _HALF
    x = (((x >> 16) ^ x) * _MULTIPLIER) & _HALF
    return (x >> 16) ^ x


def _normal(x_NCHW: Tensor) -> Tensor:
    return _pixel_norm(functional.leaky_relu(x_NCHW, SLOPE))


def _pixel_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


def _upsample(x_NCHW: Tensor, kind: str) -> Tensor:
    if kind == "pggan":
        return functional.interpolate(x_NCHW, scale_factor=2.0, mode="nearest")
    return functional.interpolate(x_NCHW, scale_factor=2.0, mode="bilinear", align_corners=False)


def _random_numbers(seed: int, *purpose: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(_number(seed, *purpose))


def _number(seed: int, *purpose: str | int) -> int:
    """Hash ``SEED:PURPOSE:...`` to 56 bits: blake2b of 7 bytes, the most significant first."""
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
