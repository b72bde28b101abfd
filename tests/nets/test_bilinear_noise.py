"""The generator that doubles bilinearly and is fed noise, against values worked out by hand."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from mammogan.config.method import load_method
from mammogan.errors import ConfigError
from mammogan.nets import layers
from mammogan.nets.bilinear_noise import BilinearNoiseGenerator
from mammogan.nets.critic import Critic
from mammogan.nets.layers import upsample_bilinear
from mammogan.nets.noise import noise_maps

BASE, WIDTHS = (5, 4), (8, 8, 4)
NUMBERS = torch.tensor([0, 1, 2**56 - 1, 123_456_789_012])


def generator(stage=2, **options):
    torch.manual_seed(0)
    net = BilinearNoiseGenerator(stage, BASE, 6, 2, WIDTHS[: stage + 1], **options)
    with torch.no_grad():
        for block in net.blocks:
            block.noise.fill_(0.5)
    return net


def inputs(count=4):
    torch.manual_seed(1)
    return torch.randn(count, 6), torch.eye(2)[[0, 1] * (count // 2)]


def test_doubling_is_torchs_own_bilinear():
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    wanted = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample_bilinear(x), wanted)
    weights = torch.randn_like(wanted)
    (mine,) = torch.autograd.grad((upsample_bilinear(x) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((wanted * weights).sum(), x)
    torch.testing.assert_close(mine, theirs)


def test_doubling_of_two_pixels_by_hand():
    row = upsample_bilinear(torch.tensor([[[[0.0, 4.0]]]]))
    assert row[0, 0].tolist() == [[0.0, 1.0, 3.0, 4.0]] * 2


def test_noise_is_standard_normal_and_white():
    maps = noise_maps(torch.arange(64), 1, 64, 64).numpy()[:, 0]
    assert stats.kstest(maps.ravel(), "norm").pvalue > 0.001
    assert maps.mean() == pytest.approx(0, abs=0.01) and maps.std() == pytest.approx(1, abs=0.01)
    for shift in ((0, 1), (1, 0), (1, 1), (32, 0)):  # the two halves of a map come from the same hashes
        assert np.corrcoef(maps.ravel(), np.roll(maps, shift, (1, 2)).ravel())[0, 1] == pytest.approx(
            0, abs=0.01
        )
    assert np.corrcoef(maps.reshape(64, -1))[np.triu_indices(64, 1)].std() == pytest.approx(1 / 64, rel=0.1)


def test_numbers_that_differ_in_one_bit_have_noise_that_has_nothing_in_common():
    first = noise_maps(torch.zeros(56, dtype=torch.int64), 1, 32, 32).flatten(1)
    others = noise_maps(2 ** torch.arange(56), 1, 32, 32).flatten(1)
    assert (first * others).mean(dim=1).abs().max() < 0.15  # deviation 1/32


def test_noise_is_a_function_of_its_number_block_and_size_whatever_stands_beside_it():
    maps = noise_maps(NUMBERS, 3, 10, 7)
    assert maps.shape == (4, 1, 10, 7) and torch.isfinite(maps).all()
    assert torch.equal(maps[2:3], noise_maps(NUMBERS[2:3], 3, 10, 7))
    assert not torch.equal(maps, noise_maps(NUMBERS, 4, 10, 7))
    assert len({tuple(row) for row in maps.flatten(1).tolist()}) == 4


def test_noise_needs_a_block_that_it_can_tell_from_others():
    with pytest.raises(ValueError, match="block 64 is not among the 64"):
        noise_maps(NUMBERS, 64, 2, 2)


def test_an_image_is_a_function_of_latent_label_and_number():
    net, (z, y) = generator(), inputs()
    images = net(z, y, 1.0, NUMBERS)
    assert torch.equal(images, net(z, y, 1.0, NUMBERS))
    assert not torch.equal(images, net(z, y, 1.0, NUMBERS.flip(0)))
    torch.testing.assert_close(net(z[:2], y[:2], 1.0, NUMBERS[:2]), images[:2])


def test_without_a_number_or_with_weights_of_0_there_is_no_noise():
    net, (z, y) = generator(), inputs()
    plain = net(z, y)
    for block in net.blocks:
        torch.nn.init.zeros_(block.noise)
    assert torch.equal(net(z, y, 1.0, NUMBERS), plain)


def test_weights_of_noise_begin_at_0():
    assert not any(block.noise.any() for block in BilinearNoiseGenerator(2, BASE, 6, 2, WIDTHS).blocks)


def test_a_block_by_hand():
    """Convolve at the small size, double, add weight times noise, leaky ReLU, pixel norm, convolve again."""
    net = generator(1)
    block, x = net.blocks[0], torch.randn(3, 8, 5, 4)

    def convolve(layer, x):
        weight = layer.weight * (2 / (layer.weight.shape[1] * 9)) ** 0.5
        return functional.conv2d(x, weight, layer.bias, padding=1)

    def normal(x):
        x = functional.leaky_relu(x, 0.2)
        return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()

    y = functional.interpolate(
        convolve(block.narrow, x), scale_factor=2, mode="bilinear", align_corners=False
    )
    y = y + 0.5 * noise_maps(NUMBERS[:3], 1, 10, 8)
    torch.testing.assert_close(block(x, NUMBERS[:3]), normal(convolve(block.wide, normal(y))))


@pytest.mark.parametrize("skip", [False, True])
def test_a_fade_of_0_is_the_stage_before_doubled_and_half_is_half_way(skip):
    big, small = generator(2, skip=skip), generator(1, skip=skip)
    small.load_state_dict({k: v for k, v in big.state_dict().items() if k in small.state_dict()})
    z, y = inputs()
    before, after = (big(z, y, fade, NUMBERS) for fade in (0.0, 1.0))
    torch.testing.assert_close(before, upsample_bilinear(small(z, y, 1.0, NUMBERS)))
    torch.testing.assert_close(big(z, y, 0.5, NUMBERS), (before + after) / 2)


@pytest.mark.parametrize("skip", [False, True])
def test_recomputing_changes_no_bit(skip):
    z, y = inputs()
    results = []
    for recompute in (False, True):
        net = generator(skip=skip, recompute=recompute)
        net(z, y, 0.5, NUMBERS).square().sum().backward()
        results.append([p.grad for p in net.parameters() if p.grad is not None])
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_skip_outputs_of_pggan_are_refused():
    with pytest.raises(ConfigError, match="skip_outputs is for other kinds than pggan"):
        load_method("pggan", ("network.skip_outputs=true",))


def test_channels_can_be_listed_and_the_last_entry_serves_all_later_stages():
    net = load_method("tour", ("network.channels=[24, 12]",)).network
    assert net.widths(3) == (24, 12, 12, 12)


def test_an_early_mean_convolves_at_the_small_size():
    torch.manual_seed(0)
    late, early = (Critic(1, BASE, 0, (8, 8), 4, early_mean=early) for early in (False, True))
    early.load_state_dict(late.state_dict())
    x = torch.randn(4, 8, 10, 8)
    first, second = early.blocks[0]

    def layer(convolution, x):
        weight = convolution.weight * (2 / (8 * 9)) ** 0.5
        return functional.leaky_relu(functional.conv2d(x, weight, convolution.bias, padding=1), 0.2)

    by_hand = layer(second, functional.avg_pool2d(layer(first, x), 2))
    torch.testing.assert_close(early._block(early.blocks[0], x), by_hand)
    assert not torch.allclose(late._block(late.blocks[0], x), by_hand)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 1), (1, 2, 3, 8)])
def test_doubling_by_shifted_copies_as_on_a_gpu_is_doubling_by_convolution(shape):
    x = torch.randn(shape, requires_grad=True)
    both = layers._doubled(layers._doubled(x, 2), 3), upsample_bilinear(x)
    torch.testing.assert_close(*both)
    weights = torch.randn_like(both[0])
    torch.testing.assert_close(*(torch.autograd.grad((one * weights).sum(), x)[0] for one in both))
    last = layers._doubled(x.detach().contiguous(memory_format=torch.channels_last), 2)
    torch.testing.assert_close(last, layers._doubled(x.detach(), 2), rtol=0, atol=0)
