"""Generator and critic against values worked out by hand."""

import math

import pytest
import torch

from mammogan.nets import Critic, Generator, channels
from mammogan.nets.layers import EqualConv, minibatch_stddev, pixel_norm, upscale
from mammogan.nets.twice import downscale

BASE = (5, 4)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_channels_follow_the_published_table():
    assert [channels(s, 8192, 512) for s in range(9)] == [512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_parameter_counts_are_those_of_the_published_networks():
    with torch.device("meta"):
        assert parameters(Generator(8, BASE, 512, 2, 8192, 512)) == 24_143_065
        assert parameters(Critic(8, BASE, 2, 8192, 512, 4)) == 24_131_763


@pytest.mark.parametrize("base", [(5, 4), (4, 4), (3, 7)])
@pytest.mark.parametrize("stage", [0, 1, 3])
def test_any_base_is_doubled_at_every_stage(base, stage):
    generator, critic = Generator(stage, base, 8, 2, 64, 8), Critic(stage, base, 2, 64, 8, 4)
    images = generator(torch.randn(4, 8), torch.eye(2)[[0, 1, 0, 1]], 0.5)
    assert images.shape == (4, 1, base[0] << stage, base[1] << stage)
    scores, logits = critic(images, 0.5)
    assert scores.shape == (4,) and logits.shape == (4, 2)


def test_a_network_without_labels_needs_none():
    assert Generator(0, BASE, 8, 0, 64, 8)(torch.randn(2, 8), torch.empty(2, 0)).shape == (2, 1, 5, 4)


def test_fade_zero_is_the_smaller_network_seen_through_its_own_layers():
    torch.manual_seed(0)
    big = Generator(2, BASE, 8, 2, 64, 8)
    small = Generator(1, BASE, 8, 2, 64, 8)
    small.load_state_dict({k: v for k, v in big.state_dict().items() if k in small.state_dict()})
    z, labels = torch.randn(4, 8), torch.eye(2)[[0, 1, 1, 0]]
    torch.testing.assert_close(big(z, labels, 0.0), upscale(small(z, labels)))
    half = big(z, labels, 0.5)
    torch.testing.assert_close(half, (big(z, labels, 0.0) + big(z, labels, 1.0)) / 2)

    critic_big, critic_small = Critic(2, BASE, 2, 64, 8, 4), Critic(1, BASE, 2, 64, 8, 4)
    critic_small.load_state_dict(
        {k: v for k, v in critic_big.state_dict().items() if k in critic_small.state_dict()}
    )
    images = torch.randn(4, 1, 20, 16)
    torch.testing.assert_close(critic_big(images, 0.0)[0], critic_small(downscale(images))[0])


def test_equalised_weights_give_unit_variance_before_the_gain():
    torch.manual_seed(0)
    x = torch.randn(8, 64, 20, 16)
    y = EqualConv(64, 256, 3, gain=1.0)(x)[:, :, 1:-1, 1:-1]
    assert y.std().item() == pytest.approx(1.0, abs=0.05)


def test_pixel_norm_leaves_unit_root_mean_square():
    x = pixel_norm(torch.randn(2, 16, 3, 3) * 7)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(2, 3, 3))


def test_minibatch_stddev_is_the_biased_deviation_within_each_group():
    x = torch.tensor([0.0, 2.0, 1.0, 1.0]).view(4, 1, 1, 1)
    maps = minibatch_stddev(x, 2)[:, 1].flatten()
    torch.testing.assert_close(maps, torch.tensor([1.0, 1.0, 1e-4, 1e-4]))


def test_minibatch_stddev_of_a_split_batch_is_that_of_the_whole():
    x = torch.randn(8, 3, 5, 4)
    halves = torch.cat([minibatch_stddev(x[:4], 4), minibatch_stddev(x[4:], 4)])
    assert torch.equal(minibatch_stddev(x, 4), halves)
    with pytest.raises(ValueError, match="does not divide"):
        minibatch_stddev(x[:6], 4)


def test_the_first_layer_starts_small_as_in_the_original():
    assert Generator(0, (4, 4), 512, 0, 8192, 512).dense.scale == pytest.approx(
        math.sqrt(2) / 4 / math.sqrt(512)
    )
