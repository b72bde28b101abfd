"""No operation of a training step or of drawing is one without a deterministic kernel for GPUs."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mammogan.train import augment
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import LabelTable
from tests.train.test_gan_step import new_batch, new_gan_step
from tests.train.test_waiting import PLUS

WITHOUT = {
    "adaptive_avg_pool2d_backward": "adaptive_avg_pool2d",
    "_adaptive_avg_pool2d_backward": "adaptive_avg_pool2d",
    "adaptive_max_pool2d_backward": "adaptive_max_pool2d",
    "fractional_max_pool2d_backward": "fractional_max_pool2d",
    "max_unpool2d": "max_unpool2d",
    "upsample_linear1d_backward": "interpolate, linear",
    "upsample_bilinear2d_backward": "interpolate, bilinear",
    "_upsample_bilinear2d_aa_backward": "interpolate, bilinear",
    "upsample_bicubic2d_backward": "interpolate, bicubic",
    "upsample_trilinear3d_backward": "interpolate, trilinear",
    "reflection_pad1d_backward": "pad, reflect",
    "reflection_pad2d_backward": "pad, reflect",
    "grid_sampler_2d_backward": "grid_sample",
    "nll_loss_forward": "NLLLoss",
    "nll_loss2d_forward": "NLLLoss",
    "_ctc_loss_backward": "CTCLoss",
    "_embedding_bag_backward": "EmbeddingBag",
    "put_": "put_",
    "histc": "histc",
    "bincount": "bincount",
    "median": "median",
    "kthvalue": "kthvalue",
    "cumsum": "cumsum of floats",
}
"""Operators to what torch.use_deterministic_algorithms lists as an error on a GPU."""
CHANGED = ("augmentation.kind=fixed", "augmentation.scale=0.2", "augmentation.rotation_deg=9")


class Without(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        floats = name != "cumsum" or arguments[0].is_floating_point()
        if name in WITHOUT and floats:
            self.found.add(WITHOUT[name])
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize(
    "overrides",
    [(), PLUS, ("supervision.kind=projection", "loss.objective=hinge", "engine.recompute=[true]"), CHANGED],
    ids=["wgan-gp", "plus", "projection", "augmented"],
)
def test_a_step_is_made_of_what_can_be_deterministic(monkeypatch, overrides):
    gan_step, changed = new_gan_step(*overrides), overrides == CHANGED
    if changed:  # as on a GPU
        monkeypatch.setattr(augment, "_sampled", augment._in_order)
        monkeypatch.setattr(augment._SampledInOrder, "forward", _forward)
    with Without() as without:
        for number in range(2):
            gan_step.step(new_batch(gan_step, number, changes=changed), 0.5, number)
    assert without.found == set()


def _forward(ctx, images_NCHW, grid_NHW2):
    ctx.save_for_backward(grid_NHW2)
    ctx.shape = images_NCHW.shape
    return torch.nn.functional.grid_sample(images_NCHW, grid_NHW2, align_corners=True)


@pytest.mark.parametrize("kind", ["pggan", "bilinear-noise"])
def test_drawing_is_made_of_what_can_be_deterministic(kind):
    method = new_gan_step(f"network.kind={kind}").method
    generator = build_generator(method, 1).requires_grad_(False).eval()
    model = Model(generator, method, LabelTable.of(np.array([[0]])))
    with Without() as without:
        assert len(list(model.draw(1, range(3), 0, truncation=0.7))) == 3
    assert without.found == set()


def test_what_has_no_deterministic_kernel_is_found():
    images = torch.randn(1, 1, 4, 4, requires_grad=True)
    grid = torch.rand(1, 4, 4, 2)
    with Without() as without:
        torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear").sum().backward()
        torch.nn.functional.grid_sample(images, grid, align_corners=True).sum().backward()
        torch.nn.functional.pad(images, (1, 1, 1, 1), mode="reflect").sum().backward()
        torch.nn.functional.cross_entropy(torch.randn(3, 2), torch.tensor([0, 1, 1]))
        torch.arange(3).cumsum(0)
    assert without.found == {"interpolate, bilinear", "grid_sample", "pad, reflect", "NLLLoss"}
