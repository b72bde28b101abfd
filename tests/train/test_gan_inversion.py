"""The latent of a given image: losses at several scales, and the descent from several starts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammogan.config.method import load_method
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import Model
from mammogan.train.gan_inversion import Search, invert, losses
from mammogan.train.label_encoding import LabelTable
from tests.train.conftest import TINY


@pytest.fixture(scope="module")
def model():
    method = load_method("tour", TINY)
    torch.manual_seed(3)
    net = build_generator(method, 1).requires_grad_(False).eval()
    net.to_image[1].weight.mul_(0.2)  # fresh weights draw beyond black and white, where images are cut
    return Model(net, method, LabelTable.of(np.array([(0,), (1,)])))


@pytest.fixture(scope="module")
def drawn(model):
    return next(model.draw(7, range(5, 6), 0))


@given(st.integers(0, 99), st.sampled_from([(5, 4), (10, 8), (40, 32), (13, 9)]))
def test_an_image_differs_from_itself_by_nothing_and_from_others_alike_both_ways(seed, size_px):
    one, other = torch.rand(2, 1, 1, *size_px, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    assert losses(one, one).tolist() == [0]
    there, back = losses(one, other).item(), losses(other, one).item()
    assert 0 < there == pytest.approx(back)


def test_a_difference_is_of_grey_from_black_to_white_at_every_scale():
    black, white = torch.full((1, 1, 40, 32), -1.0), torch.full((3, 1, 40, 32), 1.0)
    assert losses(white, black).tolist() == [1, 1, 1]
    checkered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(20, 16)[None, None]
    assert losses(checkered, torch.zeros_like(black)).item() == pytest.approx(
        0.25 / 4
    )  # of 4 scales the finest


def test_what_the_model_draws_is_found_again(model, drawn):
    found = invert(model, drawn, 0, Search(steps=150))
    first = np.sqrt(found.losses_TS[0])
    assert found.losses_TS.shape == (151, 4)
    assert found.error < 0.05 * first.min()
    assert found.best == found.losses_TS[-1].argmin()
    assert np.abs(found.image_HW.astype(int) - drawn).mean() < 0.02 * 65535
    assert abs(np.linalg.norm(found.latent_Z) - np.sqrt(8)) < 3
    assert found.labels_F.tolist() == [0]


def test_the_latent_that_is_told_draws_the_image_that_is_told(model, drawn):
    found = invert(model, drawn, 0, Search(steps=20))
    images = model.images(torch.from_numpy(found.latent_Z)[None], torch.from_numpy(found.labels_F)[None])
    told = images[0, 0].add(1).mul(32767.5).round().clamp(0, 65535).numpy()
    assert np.abs(told - found.image_HW).max() <= 1


def test_the_seed_decides_and_every_step_is_told(model, drawn):
    told = []
    one = invert(model, drawn, 0, Search(seed=1, steps=9), lambda: told.append(1))
    again, other = (invert(model, drawn, 0, Search(seed=seed, steps=9)) for seed in (1, 2))
    assert len(told) == 9
    assert one.latent_Z.tobytes() == again.latent_Z.tobytes()
    assert one.losses_TS.tobytes() == again.losses_TS.tobytes()
    assert not np.array_equal(one.latent_Z, other.latent_Z)


def test_a_start_is_not_disturbed_by_the_others(model, drawn):
    alone = invert(model, drawn, 0, Search(starts=1, steps=9))
    among = invert(model, drawn, 0, Search(starts=3, steps=9))
    assert alone.losses_TS[:, 0] == pytest.approx(among.losses_TS[:, 0], rel=1e-3)
