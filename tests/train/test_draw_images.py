"""Drawing: the same image however it is asked for, truncation, and paths of latents that close."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mammogan.config.label_fields import UNKNOWN
from mammogan.config.method import load_method
from mammogan.nets.layers import upsample
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import CHUNK, Model
from mammogan.train.label_encoding import LabelTable
from tests.train.conftest import TINY

CC, MLO = 0, 1
DENSITY = 'supervision.fields=["view", "density"]'
TAUGHT = [[CC, 0], [CC, 1], [MLO, 1], [MLO, UNKNOWN]]


def make(*overrides, labels=((CC,), (MLO,)), seed=0, fade=1.0):
    """Make a model with random weights and biases, which training moves away from 0."""
    method = load_method("tour", (*TINY, "ladder.stages=4", *overrides))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = build_generator(method, 3).requires_grad_(False).eval()
        generator.bias.normal_(std=0.3)
    return Model(generator, method, LabelTable.of(np.array(labels)), fade)


@pytest.fixture(scope="module")
def model():
    return make()


def drawn(model, *arguments, **named):
    return np.stack(list(model.draw(*arguments, **named)))


@pytest.mark.parametrize("truncation", [1.0, 0.6])
def test_an_image_is_the_same_bits_in_whatever_range_it_is_asked_for(model, truncation):
    whole = drawn(model, 3, range(2 * CHUNK + 5), MLO, truncation)
    for part in (range(1), range(7, 9), range(CHUNK, CHUNK + 1), range(CHUNK - 1, 2 * CHUNK + 5)):
        assert np.array_equal(drawn(model, 3, part, MLO, truncation), whole[part.start : part.stop])
    assert list(model.draw(3, range(5, 5), MLO)) == []


def test_truncation_of_1_is_the_plain_generator(model):
    latents_NZ, labels_NF = model.latents(1, range(4)), torch.tensor([[CC], [MLO]] * 2)
    plain = model.generator(latents_NZ, torch.eye(2).repeat(2, 1))
    assert torch.equal(model.images(latents_NZ, labels_NF), plain)
    assert torch.equal(model.images(latents_NZ, labels_NF, 1.0), plain)


def test_truncation_of_0_is_one_image_of_each_view(model):
    cc, mlo = (drawn(model, 1, range(6), view, 0.0) for view in (CC, MLO))
    assert (cc == cc[0]).all() and (mlo == mlo[0]).all()
    assert np.abs(cc[0].astype(int) - mlo[0]).mean() > 100
    assert np.array_equal(drawn(model, 99, range(1), CC, 0.0)[0], cc[0])


def test_the_mean_is_that_of_many_other_latents(model):
    latents_NZ = model.latents(7, range(20_000))
    features_NCHW = model.generator.seed(latents_NZ, torch.tensor([[1.0, 0.0]]).expand(20_000, -1))
    error = features_NCHW.std(dim=0) / math.sqrt(20_000)
    off = (model._mean(torch.tensor([1.0, 0.0])) - features_NCHW.mean(dim=0)).abs()
    assert (off / error).max() < 5


def test_variety_grows_with_truncation(model):
    numbers = range(4 * CHUNK)
    variety = [drawn(model, 1, numbers, CC, t).std(axis=0).mean() for t in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    assert variety[0] == 0
    assert all(more > 1.03 * less for less, more in pairwise(variety))


def test_a_shorter_latent_would_do_nothing():
    model = make('supervision.kind="none"')
    latents_NZ, labels_NF = model.latents(1, range(4)), torch.zeros(4, 1, dtype=torch.int64)
    torch.testing.assert_close(
        model.images(0.3 * latents_NZ, labels_NF), model.images(latents_NZ, labels_NF), rtol=0, atol=1e-3
    )
    truncated = model.images(latents_NZ, labels_NF, 0.3)
    assert (truncated - model.images(latents_NZ, labels_NF)).abs().max() > 0.01


@pytest.mark.parametrize("truncation", [1.0, 0.5])
def test_a_model_in_mid_fade_draws_what_its_networks_blend(truncation):
    latents_NZ, labels_NF = torch.ones(1, 8), torch.tensor([[CC]])
    old, half, new = (make(fade=fade).images(latents_NZ, labels_NF, truncation) for fade in (0, 0.5, 1))
    torch.testing.assert_close(half, (old + new) / 2)
    assert torch.equal(old, upsample(old[:, :, ::2, ::2]))
    assert not torch.equal(new, old)


def test_views_of_a_number_share_the_latent_and_labels_are_as_wanted():
    model = make(DENSITY, labels=TAUGHT)
    assert model.taught == {"view": ("CC", "MLO"), "density": ("a", "b")}
    assert set(map(tuple, model.labels(1, range(50), CC).tolist())) == {(CC, 0), (CC, 1)}
    assert set(map(tuple, model.labels(1, range(50), MLO, {"density": 1}).tolist())) == {(MLO, 1)}
    assert set(map(tuple, model.labels(1, range(50), None, {"density": 1}).tolist())) == {(CC, 1), (MLO, 1)}
    assert set(map(tuple, model.labels(1, range(50), MLO, {"density": 0}).tolist())) == {(MLO, 0)}
    assert not np.array_equal(
        drawn(model, 1, range(2), CC, others={"density": 0}),
        drawn(model, 1, range(2), CC, others={"density": 1}),
    )


def test_a_model_without_supervision_was_taught_nothing():
    assert make('supervision.kind="none"').taught == {}


def test_paths_of_latents_are_smooth_closed_and_distributed_as_in_training(model):
    frames, sigma = 200, 5.0
    paths_TNZ = model.walk(1, 60, frames, sigma)
    assert paths_TNZ.shape == (frames, 60, 8)
    assert paths_TNZ.dtype == torch.float32
    assert abs(paths_TNZ.mean().item()) < 0.05
    assert paths_TNZ.square().mean().item() == pytest.approx(1, abs=0.05)
    # Noise smoothed by a Gaussian of sigma is correlated over d frames by exp(-d^2 / 4 sigma^2),
    # across the seam as elsewhere.
    for distance in (1, 5, 10, 40):
        later_TNZ = paths_TNZ.roll(-distance, dims=0)
        wanted = math.exp(-((distance / (2 * sigma)) ** 2))
        assert (paths_TNZ * later_TNZ).mean().item() == pytest.approx(wanted, abs=0.06)
    steps_T = (paths_TNZ.roll(-1, dims=0) - paths_TNZ).square().mean(dim=(1, 2)).sqrt()
    assert steps_T[-1] < 1.5 * steps_T.mean()
    assert steps_T.max() < 2 * steps_T.min()


def test_a_path_does_not_depend_on_how_many_others_there_are(model):
    assert torch.equal(model.walk(1, 2, 30, 3.0), model.walk(1, 5, 30, 3.0)[:, :2])
    assert not torch.equal(model.walk(1, 2, 30, 3.0), model.walk(2, 2, 30, 3.0))


def test_paths_of_one_frame_and_without_smoothing_are_plain_latents(model):
    for sigma in (0.0, 25.0):
        assert model.walk(1, 200, 1, sigma).square().mean().item() == pytest.approx(1, abs=0.1)
    rough_TNZ = model.walk(1, 50, 100, 0.0)
    assert abs((rough_TNZ * rough_TNZ.roll(1, dims=0)).mean().item()) < 0.05


def test_the_frames_of_a_film_show_the_latents_of_their_moments(model):
    paths_TNZ = model.walk(1, CHUNK + 3, 4, 1.0)
    labels_NF = model.labels(1, range(CHUNK + 3), MLO)
    frames = list(model.follow(1, paths_TNZ, labels_NF))
    assert [frame.shape for frame in frames] == [(CHUNK + 3, 40, 32)] * 4
    alone = next(model.follow(1, paths_TNZ[2:, -1:], labels_NF[-1:]))
    rounding = 16  # of 65535, by the batch's size and the chip
    assert np.abs(frames[2][-1].astype(int) - alone[0]).max() <= rounding
    assert np.abs(frames[2].astype(int) - frames[0]).mean() > 100
