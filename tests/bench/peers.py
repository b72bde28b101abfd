"""What MammoGAN's training step is held against: a plain one, pro-gan-pth and the GAN zoo.

All train WGAN-GP (Karras et al. 2018) for one grey channel, at the same channels, batch and resolution, with
the newest resolution fully faded in. Peers know square images only.

Shape suffixes: N images, C channels, H x W pixels, Z latent.
"""

from __future__ import annotations

import copy
import io
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mammogan.config.method import Network

Step = Callable[[], None]
RATE, BETAS = 1e-3, (0.0, 0.99)


@dataclass(frozen=True)
class Shape:
    """What is trained: rung `stage` of a ladder from `base_px`, with a method's channels."""

    base_px: tuple[int, int]
    stage: int
    batch: int
    channels_base: int = 8192
    channels_max: int = 512

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.base_px[0] << self.stage, self.base_px[1] << self.stage

    @property
    def widths(self) -> list[int]:
        """Channels of every rung up to this one."""
        return list(
            Network(channels_base=self.channels_base, channels_max=self.channels_max).widths(self.stage)
        )

    @property
    def latent(self) -> int:
        """Size of the latent vector."""
        return self.channels_max

    def reals(self, device: str = "cpu") -> Tensor:
        """Draw a batch in [-1, 1] that stands for real images: (N, 1, H, W)."""
        return torch.rand(self.batch, 1, *self.size_px, device=device) * 2 - 1


class PlainConv(nn.Module):
    """Convolution, or a dense layer where `size` is 0, with the weights scaled at run time."""

    def __init__(self, inputs: int, outputs: int, size: int, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        kernel = (size, size) if size else ()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.size = gain / math.sqrt(self.weight[0].numel()), size

    def forward(self, x: Tensor) -> Tensor:
        if self.size:
            return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.size // 2)
        return F.linear(x, self.weight * self.scale, self.bias)


def _norm(x: Tensor) -> Tensor:
    return x / torch.sqrt((x**2).mean(dim=1, keepdim=True) + 1e-8)


def _stddev(x: Tensor, group: int = 4) -> Tensor:
    n, c, h, w = x.shape
    group = min(group, n)
    y = torch.sqrt(x.view(group, -1, c, h, w).var(dim=0, unbiased=False) + 1e-8)
    y = y.mean(dim=(1, 2, 3)).view(-1, 1, 1, 1).repeat(group, 1, h, w)
    return torch.cat([x, y], dim=1)


class PlainGenerator(nn.Module):
    """Latents (N, Z) to images (N, 1, H, W), as one would write it first."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths, (self.h, self.w) = shape.widths, shape.base_px
        self.dense = PlainConv(shape.latent, widths[0] * self.h * self.w, 0)
        self.first = PlainConv(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList([PlainConv(a, b, 3), PlainConv(b, b, 3)]) for a, b in pairwise(widths)
        )
        self.last = PlainConv(widths[-1], 1, 1, gain=1.0)

    def forward(self, latents_NZ: Tensor) -> Tensor:
        x = self.dense(_norm(latents_NZ)).view(len(latents_NZ), -1, self.h, self.w)
        x = _norm(F.leaky_relu(x, 0.2))
        x = _norm(F.leaky_relu(self.first(x), 0.2))
        for one, two in self.blocks:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = _norm(F.leaky_relu(one(x), 0.2))
            x = _norm(F.leaky_relu(two(x), 0.2))
        return self.last(x)


class PlainCritic(nn.Module):
    """Images (N, 1, H, W) to scores (N,), as one would write it first."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.widths
        self.first = PlainConv(1, widths[-1], 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([PlainConv(b, b, 3), PlainConv(b, a, 3)])
            for a, b in reversed(list(pairwise(widths)))
        )
        self.last = PlainConv(widths[0] + 1, widths[0], 3)
        self.dense = PlainConv(widths[0] * math.prod(shape.base_px), widths[0], 0)
        self.head = PlainConv(widths[0], 1, 0, gain=1.0)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(images_NCHW), 0.2)
        for one, two in self.blocks:
            x = F.leaky_relu(one(x), 0.2)
            x = F.avg_pool2d(F.leaky_relu(two(x), 0.2), 2)
        x = F.leaky_relu(self.last(_stddev(x)), 0.2)
        return self.head(F.leaky_relu(self.dense(x.flatten(1)), 0.2))[:, 0]


def plain(shape: Shape, device: str = "cpu") -> Step:
    """Give the step that one would write first: NCHW, one graph for the critic, G run twice."""
    with torch.device(device):
        generator, critic = PlainGenerator(shape), PlainCritic(shape)
        average = copy.deepcopy(generator)
    of_generator = torch.optim.Adam(generator.parameters(), RATE, BETAS)
    of_critic = torch.optim.Adam(critic.parameters(), RATE, BETAS)
    reals = shape.reals(device)

    def latents() -> Tensor:
        return torch.randn(shape.batch, shape.latent, device=device)

    def step() -> None:
        with torch.no_grad():
            fakes = generator(latents())
        mix = torch.rand(shape.batch, 1, 1, 1, device=device)
        mixed = (mix * reals + (1 - mix) * fakes).requires_grad_(True)
        real_N, fake_N = critic(reals), critic(fakes)
        (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = 10 * ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
        of_critic.zero_grad()
        (fake_N.mean() - real_N.mean() + penalty + 0.001 * (real_N**2).mean()).backward()
        of_critic.step()
        critic.requires_grad_(False)
        of_generator.zero_grad()
        (-critic(generator(latents())).mean()).backward()
        of_generator.step()
        critic.requires_grad_(True)
        with torch.no_grad():
            for mean, now in zip(average.parameters(), generator.parameters(), strict=True):
                mean.copy_(0.999 * mean + 0.001 * now)

    return step


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Let a package import what it only needs for pictures and boards."""
    stubs = {name: ModuleType(name) for name in names if name not in sys.modules}
    for stub in stubs.values():
        stub.__getattr__ = lambda name: lambda *a, **k: None
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            del sys.modules[name]


def pro_gan(shape: Shape) -> Any:
    """Build pro-gan-pth's ProGAN with the channels of `shape`; its own are twice as many from 64 px up."""
    stubs = ("torchvision", "torchvision.utils", "torchvision.transforms", "torch.utils.tensorboard")
    with _without(*stubs):
        from pro_gan_pytorch import gan, networks
        from pro_gan_pytorch.custom_layers import EqualizedConvTranspose2d
    if not isinstance(networks.nf, partial):
        networks.plain_nf = networks.nf
    networks.nf = partial(networks.plain_nf, fmap_base=shape.channels_base, fmap_max=shape.channels_max)
    # Since 3.4, torch has added an argument to this method, of whose answer only the default is wanted.
    EqualizedConvTranspose2d._output_padding = lambda self, *_: self.output_padding
    depth = shape.stage + 2
    with redirect_stdout(io.StringIO()):  # it prints both networks
        return gan.ProGAN(
            networks.Generator(depth, 1, shape.latent), networks.Discriminator(depth, 1, shape.latent)
        )


def pro_gan_pth(shape: Shape) -> Step:
    """Give pro-gan-pth 3.4's own step, in the order of its `ProGAN.train`."""
    from pro_gan_pytorch.custom_layers import update_average
    from pro_gan_pytorch.losses import WganGP

    net, loss = pro_gan(shape), WganGP()
    # Its betas are (0, 0.99), and today's torch wants two floats.
    of_generator = torch.optim.Adam(net.gen.parameters(), 0.003, BETAS, eps=1e-8)
    of_critic = torch.optim.Adam(net.dis.parameters(), 0.003, BETAS, eps=1e-8)
    reals = shape.reals()

    def step() -> None:
        noise = torch.randn(shape.batch, shape.latent)
        net.optimize_discriminator(loss, of_critic, noise, reals, net.depth, 1)
        update_average(net.gen_shadow, net.gen, beta=net.ema_beta)
        net.optimize_generator(loss, of_generator, noise, reals, net.depth, 1)

    return step


def _zoo(folder: Path, shape: Shape) -> Any:
    """Build pytorch_GAN_zoo's ProgressiveGAN, from a checkout in `folder`."""
    sys.path.insert(0, str(folder))
    try:
        with _without("scipy.misc"):  # which scipy has left behind
            from models import progressive_gan
    finally:
        sys.path.remove(str(folder))
    # Its betas are [0, 0.99], too.
    progressive_gan.optim = SimpleNamespace(Adam=lambda p, betas, lr: torch.optim.Adam(p, lr, BETAS))
    first, *others = shape.widths
    net = progressive_gan.ProgressiveGAN(
        dimLatentVector=shape.latent,
        depthScale0=first,
        miniBatchStdDev=True,
        dimOutput=1,
        useGPU=False,
        lambdaGP=10.0,
        epsilonD=0.001,
        baseLearningRate=RATE,
    )
    for width in others:
        net.addScale(width)
    return net


def gan_zoo(folder: Path, shape: Shape) -> Step:
    """Give pytorch_GAN_zoo's own step."""
    net, reals = _zoo(folder, shape), shape.reals()
    return lambda: net.optimizeParameters(reals) and None


def samplers(shape: Shape, folder: Path | None) -> dict[str, Step]:
    """Give the peers' ways of drawing a batch, by name; the zoo's where its `folder` is known."""
    latents = torch.randn(shape.batch, shape.latent)
    own, other = PlainGenerator(shape), pro_gan(shape)
    nets: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: own(latents),
        "pro-gan-pth": lambda: other.gen(latents, other.depth, 1),
    }
    if folder:
        third = _zoo(folder, shape)
        nets["gan-zoo"] = lambda: third.netG(latents)
    return {name: partial(_drawn, net) for name, net in nets.items()}


@torch.no_grad()
def _drawn(draw: Callable[[], Tensor]) -> None:
    draw()
