"""Generator and critic against values worked out by hand."""

import math

import pytest
import torch
from torch.nn import functional

from mammogan.config.method import Network
from mammogan.nets import Critic, Generator
from mammogan.nets.double_backward import downsample
from mammogan.nets.layers import EqualConv, EqualLinear, minibatch_stddev, pixel_norm, upsample

BASE = (5, 4)


def widths(stage, base, most):
    return Network(channels_base=base, channels_max=most).widths(stage)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_channels_follow_the_published_table():
    assert widths(8, 8192, 512) == (512, 512, 512, 512, 256, 128, 64, 32, 16)


def test_parameter_counts_are_those_of_the_published_networks():
    with torch.device("meta"):
        assert parameters(Generator(8, BASE, 512, 2, widths(8, 8192, 512))) == 24_143_065
        assert parameters(Critic(8, BASE, 2, widths(8, 8192, 512), 4)) == 24_131_763


def test_parameter_counts_of_the_original_follow_from_ours():
    """It has three colours where we have one: two more in every layer to and from images."""
    maps = widths(8, 8192, 512)
    with torch.device("meta"):
        generator, critic = (
            Generator(8, (4, 4), 512, 0, widths(8, 8192, 512)),
            Critic(8, (4, 4), 0, widths(8, 8192, 512), 4),
        )
    assert parameters(generator) + 2 * sum(width + 1 for width in maps) == 23_079_115
    assert parameters(critic) + 2 * sum(maps) == 23_087_249


@pytest.mark.parametrize("base", [(5, 4), (4, 4), (3, 7)])
@pytest.mark.parametrize("stage", [0, 1, 3])
def test_any_base_is_doubled_at_every_stage(base, stage):
    generator, critic = (
        Generator(stage, base, 8, 2, widths(stage, 64, 8)),
        Critic(stage, base, 2, widths(stage, 64, 8), 4),
    )
    images = generator(torch.randn(4, 8), torch.eye(2)[[0, 1, 0, 1]], 0.5)
    assert images.shape == (4, 1, base[0] << stage, base[1] << stage)
    scores, logits = critic(images, 0.5)
    assert scores.shape == (4,) and logits.shape == (4, 2)


def test_a_network_without_labels_needs_none():
    assert Generator(0, BASE, 8, 0, widths(0, 64, 8))(torch.randn(2, 8), torch.empty(2, 0)).shape == (
        2,
        1,
        5,
        4,
    )


def test_fade_zero_is_the_smaller_network_seen_through_its_own_layers():
    torch.manual_seed(0)
    big = Generator(2, BASE, 8, 2, widths(2, 64, 8))
    small = Generator(1, BASE, 8, 2, widths(1, 64, 8))
    small.load_state_dict({k: v for k, v in big.state_dict().items() if k in small.state_dict()})
    z, labels = torch.randn(4, 8), torch.eye(2)[[0, 1, 1, 0]]
    torch.testing.assert_close(big(z, labels, 0.0), upsample(small(z, labels)))
    half = big(z, labels, 0.5)
    torch.testing.assert_close(half, (big(z, labels, 0.0) + big(z, labels, 1.0)) / 2)

    critic_big, critic_small = (
        Critic(2, BASE, 2, widths(2, 64, 8), 4),
        Critic(1, BASE, 2, widths(1, 64, 8), 4),
    )
    critic_small.load_state_dict(
        {k: v for k, v in critic_big.state_dict().items() if k in critic_small.state_dict()}
    )
    images = torch.randn(4, 1, 20, 16)
    torch.testing.assert_close(critic_big(images, 0.0)[0], critic_small(downsample(images))[0])


def test_equalised_weights_give_unit_variance_before_the_gain():
    torch.manual_seed(0)
    x = torch.randn(8, 64, 20, 16)
    y = EqualConv(64, 256, 3, gain=1.0)(x)[:, :, 1:-1, 1:-1]
    assert y.std().item() == pytest.approx(1.0, abs=0.05)


def test_pixel_norm_leaves_unit_root_mean_square():
    x = pixel_norm(torch.randn(2, 16, 3, 3) * 7)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(2, 3, 3))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pixel_norm_goes_back_as_torch_would(layout):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 3, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_(True)
    plain = x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    upstream = torch.randn_like(plain)
    (mine,), (theirs,) = (torch.autograd.grad(y, x, upstream) for y in (pixel_norm(x), plain))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)  # means are taken in float32


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
    assert Generator(0, (4, 4), 512, 0, widths(0, 8192, 512)).dense.scale == pytest.approx(
        math.sqrt(2) / 4 / math.sqrt(512)
    )


def scaled(layer, x, gain, fan_in):
    """Apply a layer's weights as PGGAN 4.1 says: N(0, 1) numbers times gain / sqrt(fan_in), then the bias."""
    weight, bias = layer.weight * (gain / math.sqrt(fan_in)), layer.bias
    if weight.ndim == 2:
        return x @ weight.T + (0 if bias is None else bias)
    return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def normed(x):
    return x / (x.square().sum(dim=1, keepdim=True) / x.shape[1] + 1e-8).sqrt()


def with_biases(net):
    """Give every bias, 0 at first, a value."""
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1 or p.shape[1:] == (1, 1):
                p.normal_()
    return net


def blended(new, old, fade):
    return fade * new + (1 - fade) * old


@pytest.mark.parametrize("fade", [0.25, 1.0])
def test_the_generator_is_the_papers_written_out(fade):
    """Table 2 of Karras et al. 2018 with a base of 5x4: widths 16 and 8."""
    torch.manual_seed(0)
    net = with_biases(Generator(1, BASE, 6, 2, widths(1, 32, 16)))
    z, labels = torch.randn(3, 6), torch.eye(2)[[0, 1, 1]]
    root2 = math.sqrt(2)
    x = scaled(net.dense, normed(torch.cat([z, labels], dim=1)), math.sqrt(2 / 20), 8)
    low = normed(leaky(x.view(3, 16, 5, 4) + net.bias))
    low = normed(leaky(scaled(net.first, low, root2, 16 * 9)))
    high = low.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    high = normed(leaky(scaled(net.blocks[0][0], high, root2, 16 * 9)))
    high = normed(leaky(scaled(net.blocks[0][1], high, root2, 8 * 9)))
    old = scaled(net.to_image[0], low, 1, 16).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = blended(scaled(net.to_image[1], high, 1, 8), old, fade)
    torch.testing.assert_close(net(z, labels, fade), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fade", [0.25, 1.0])
def test_the_critic_is_the_papers_written_out_and_blends_features(fade):
    torch.manual_seed(0)
    net = with_biases(Critic(1, BASE, 2, widths(1, 32, 16), 4))
    images, root2 = torch.randn(4, 1, 10, 8), math.sqrt(2)

    def halved(x):
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    new = leaky(scaled(net.from_image[1], images, root2, 1))
    new = leaky(scaled(net.blocks[0][0], new, root2, 8 * 9))
    new = halved(leaky(scaled(net.blocks[0][1], new, root2, 8 * 9)))
    x = blended(new, leaky(scaled(net.from_image[0], halved(images), root2, 1)), fade)
    deviation = ((x - x.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(4, 1, 5, 4)], dim=1)
    x = leaky(scaled(net.last, x, root2, 17 * 9)).flatten(1)
    told = scaled(net.head, leaky(scaled(net.dense, x, root2, 16 * 20)), 1, 16)
    scores, logits = net(images, fade)
    torch.testing.assert_close(scores, told[:, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, told[:, 1:], rtol=1e-5, atol=1e-5)


def test_weights_begin_as_unit_normal_numbers_and_biases_at_0():
    torch.manual_seed(0)
    for net in (
        Generator(2, BASE, 64, 2, widths(2, 256, 64)),
        Critic(2, BASE, 2, widths(2, 256, 64), 4, projected=2),
    ):
        for module in net.modules():
            if isinstance(module, EqualConv | EqualLinear):
                assert module.bias is None or not module.bias.any()
        weights = torch.cat([p.flatten() for p in net.parameters() if p.ndim in (2, 4)])
        assert weights.mean().item() == pytest.approx(0, abs=0.01)
        assert weights.std().item() == pytest.approx(1, abs=0.01)


def test_pixel_norm_by_hand_and_the_label_is_rescaled_with_the_latent():
    x = pixel_norm(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(x, torch.tensor([[3.0, 4.0]]) / math.sqrt(12.5))
    net = Generator(0, BASE, 1, 1, widths(0, 32, 16))
    seed = net.seed(torch.tensor([[3.0]]), torch.tensor([[4.0]]))
    weight = net.dense.weight * math.sqrt(2 / 20) / math.sqrt(2)
    by_hand = (weight[:, 0] * 3 + weight[:, 1] * 4) / math.sqrt(12.5)
    torch.testing.assert_close(seed.flatten(), by_hand)


def test_pixel_norm_of_16_bit_features_is_taken_in_32():
    x = torch.full((1, 4, 1, 1), 300.0, dtype=torch.float16)  # whose square fp16 can't hold
    assert torch.equal(pixel_norm(x), torch.ones(1, 4, 1, 1, dtype=torch.float16))


def test_minibatch_stddev_is_a_mean_over_channels_and_pixels():
    x = torch.zeros(2, 2, 1, 2)
    x[1, 0, 0, 0], x[1, 1, 0, 1] = 4.0, 8.0  # deviations 2 and 4 in two of four places
    torch.testing.assert_close(minibatch_stddev(x, 4)[:, 2], torch.full((2, 1, 2), (2 + 4 + 2e-4) / 4))


def test_held_minibatch_stddev_is_the_same_number_without_a_gradient():
    x = torch.randn(4, 3, 2, 2, requires_grad=True)
    held, free = minibatch_stddev(x, 4, detach=True), minibatch_stddev(x, 4)
    assert torch.equal(held, free)
    (nothing,) = torch.autograd.grad(held[:, 3].sum(), x, allow_unused=True)
    (something,) = torch.autograd.grad(free[:, 3].sum(), x)
    assert (nothing is None or not nothing.any()) and something.any()


def test_a_told_critics_score_is_that_without_a_label_plus_the_labels_projection():
    torch.manual_seed(0)
    critic = Critic(1, BASE, 0, widths(1, 64, 8), 4, projected=6)
    images = torch.randn(4, 1, 10, 8)
    kept = []
    critic.dense.register_forward_hook(lambda *told: kept.append(leaky(told[2])))
    without, logits = critic(images)
    assert logits.shape == (4, 0)
    embeddings = critic.projection.weight / math.sqrt(8)
    for label in range(6):
        scores, _ = critic(images, 1.0, torch.eye(6)[[label] * 4])
        torch.testing.assert_close(scores, without + kept[0] @ embeddings[label])
        assert not torch.equal(scores, without)
    # Two fields: the embeddings add up; and of an unknown class nothing is told.
    scores, _ = critic(images, 1.0, torch.eye(6)[[0] * 4] + torch.eye(6)[[4] * 4])
    torch.testing.assert_close(scores, without + kept[0] @ (embeddings[0] + embeddings[4]))
    assert torch.equal(critic(images, 1.0, torch.zeros(4, 6))[0], without)


@pytest.mark.parametrize(("size_px", "fused"), [((3, 2), False), ((10, 8), True)])
def test_a_doubling_convolution_is_one_of_the_upscaled_image_in_value_and_gradients(size_px, fused):
    torch.manual_seed(0)
    layer = EqualConv(6, 5, 3, upsample_first=True).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 6, *size_px, dtype=torch.float64, requires_grad=True)
    assert (x[0].numel() > layer.weight.numel()) == fused
    mine = layer(x)
    theirs = functional.conv2d(upsample(x), layer.weight * layer.scale, layer.bias, padding=1)
    torch.testing.assert_close(mine, theirs)
    upstream = torch.randn_like(theirs)
    wanted = (x, layer.weight, layer.bias)
    torch.testing.assert_close(
        torch.autograd.grad(mine, wanted, upstream), torch.autograd.grad(theirs, wanted, upstream)
    )
