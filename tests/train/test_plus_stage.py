"""All that the methods beyond the papers' ask of a stage: resumed to the same bits, the same on any ranks."""

import shutil

import numpy as np
import pytest
import torch

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.train import checkpoint
from mammogan.train.build_networks import load_average
from tests.train.conftest import new_run, train
from tests.train.test_stage import assert_same, end_of

PLUS = (
    "network.kind=bilinear-noise",
    "network.critic_mean=between",
    "network.skip_outputs=true",
    "loss.objective=non-saturating",
    "loss.penalty_every=2",
    "loss.shared_fakes=true",
    "optimiser.keep_moments=true",
    "optimiser.cosine_decay=0.5",
    "ema.half_life_kimg=0.02",
    "ema.ramp=0.5",
)


@pytest.fixture(scope="module")
def plus(tmp_path_factory, tiny_shards):
    """Train both stages in one go; no test may change it."""
    run = new_run(tmp_path_factory.mktemp("plus") / "run", tiny_shards, *PLUS)
    train(run, "train-0", "train-1")
    return run


def model_of(run):
    return load_average(Run.load(run).method, end_of(run, 1), torch.device("cpu"))


def test_noise_is_learned_and_moments_are_kept(plus):
    last = end_of(plus, 1)
    assert last.tensors("generator")["blocks.0.noise"].abs().min() > 0
    adam = last.tensors("generator_adam")
    stages = schedule.plan(Run.load(plus).method)
    assert adam["step"] == stages[0].steps + stages[1].steps
    assert adam["blocks.0.wide.weight/step"] == stages[1].steps  # which came with the second stage
    assert "dense.weight/step" not in adam


def test_resumed_in_mid_fade_it_ends_bit_identical(plus, make_run):
    run = make_run("resumed", *PLUS, after=plus, stages=2)
    fade = schedule.plan(Run.load(run).method)[1].fade_images
    for done in list(checkpoint.saved(run, 1)):
        if done.images >= fade:
            shutil.rmtree(done.folder)
    newest = checkpoint.newest_valid(run, 1)
    assert newest is None or 0 < newest.images < fade
    train(run, "train-1")
    assert_same(plus, run, 1)


def test_two_ranks_end_in_the_weights_of_one(plus, make_run):
    run = make_run("two", *PLUS, after=plus)
    train(run, "train-1", ranks=2)
    assert_same(plus, run, 1, rtol=1e-3, atol=2e-5)


def test_recomputing_and_micro_batches_end_in_the_weights_of_one(plus, make_run):
    run = make_run("micro", *PLUS, "engine.recompute=[true]", "engine.micro_batch=[4]", after=plus)
    train(run, "train-1")
    assert_same(plus, run, 1, rtol=1e-3, atol=2e-5)


def test_an_image_is_a_function_of_its_number_whoever_draws_it_and_pairs_share_their_noise(plus, monkeypatch):
    model = model_of(plus)
    whole = list(model.draw(3, range(40), 0))
    for begin, end in ((0, 1), (5, 23), (39, 40)):
        part = list(model.draw(3, range(begin, end), 0))
        assert all(np.array_equal(a, b) for a, b in zip(part, whole[begin:end], strict=True))
    assert torch.equal(model.noise(3, range(5, 7)), model.noise(3, range(10))[5:7])
    seen = []
    grow = model.generator.grow
    monkeypatch.setattr(
        model.generator, "grow", lambda x, fade, noise_N: seen.append(noise_N) or grow(x, fade, noise_N)
    )
    for view in range(len(VIEWS)):
        list(model.draw(3, range(16), view))
    assert torch.equal(*seen)


def test_the_noise_of_a_path_stays_along_a_video(plus):
    model = model_of(plus)
    latent_NZ = model.latents(0, range(2))
    still = list(model.follow(5, torch.stack([latent_NZ] * 3), torch.zeros(2, 1, dtype=torch.int64)))
    assert np.array_equal(still[0], still[1]) and np.array_equal(still[1], still[2])
    other = list(model.follow(6, latent_NZ[None], torch.zeros(2, 1, dtype=torch.int64)))
    assert not np.array_equal(other[0], still[0])
