"""Layers whose gradients are differentiated once more: exactly torch's, without work for nothing."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mammogan.nets import Critic, Generator, critic, layers
from mammogan.nets.double_backward import activate, convolve, downsample
from tests.nets.test_nets import widths

BASE = (5, 4)
TORCHS = {
    activate: lambda x: functional.leaky_relu(x, 0.2),
    downsample: lambda x: functional.avg_pool2d(x, 2),
    convolve: lambda x, w, b: functional.conv2d(x, w, b, padding=w.shape[-1] // 2),
}


class Work(TorchDispatchMode):
    """Count multiplications and additions as torch's own counter does, in every pass."""

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        count = flop_registry.get(function._overloadpacket)
        if count:
            self.flops += count(*arguments, **(options or {}), out_val=result)
        return result


def work(function):
    with Work() as counted:
        function()
    return counted.flops


def penalty(net, images, fade=1.0, **options):
    at = images.detach().requires_grad_(True)
    scores, _ = net(at, fade, **options)
    (gradient,) = torch.autograd.grad(scores.sum(), at, create_graph=True)
    return (gradient.square().sum((1, 2, 3)).sqrt() - 1).square().mean()


def gradients(net, loss):
    found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(net.parameters(), found, strict=True)]


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


@pytest.fixture
def torchs_own(monkeypatch):
    """Put torch's own layers in the place of ours, when called."""

    def replace():
        monkeypatch.setattr(layers, "convolve", TORCHS[convolve])
        monkeypatch.setattr(critic, "activate", TORCHS[activate])
        monkeypatch.setattr(critic, "downsample", TORCHS[downsample])

    return replace


def inputs_of(layer, kernel=3):
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    if layer is not convolve:
        return (x,)
    weight = torch.randn(5, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    return x, weight, torch.randn(5, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("layer", "kernel"), [(activate, 0), (downsample, 0), (convolve, 1), (convolve, 3), (convolve, 5)]
)
def test_each_layer_and_its_first_gradients_are_torchs(layer, kernel):
    torch.manual_seed(0)
    inputs = inputs_of(layer, kernel)
    mine, theirs = layer(*inputs), TORCHS[layer](*inputs)
    torch.testing.assert_close(mine, theirs)
    along = torch.randn_like(mine)
    for one, other in zip(
        torch.autograd.grad(mine, inputs, along), torch.autograd.grad(theirs, inputs, along), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(layer, inputs)


@pytest.mark.parametrize("layer", [activate, downsample])
def test_layers_without_weights_can_be_differentiated_twice(layer):
    torch.manual_seed(0)
    assert torch.autograd.gradgradcheck(layer, inputs_of(layer))


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_penaltys_gradient_is_the_difference_quotient_in_64_bit(kernel):
    """With respect to both convolutions' weights, through all three layers and twice through each."""
    torch.manual_seed(0)
    x = torch.randn(2, 2, 4, 6, dtype=torch.float64)
    first = torch.randn(3, 2, kernel, kernel, dtype=torch.float64, requires_grad=True)
    second = torch.randn(3, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(3, dtype=torch.float64)

    def penalised(one, other):
        at = x.clone().requires_grad_(True)
        scores = downsample(activate(convolve(activate(convolve(at, one, zeros)), other, zeros)))
        (gradient,) = torch.autograd.grad(scores.square().sum(), at, create_graph=True)
        return (gradient.square().sum((1, 2, 3)).sqrt() - 1).square()

    assert torch.autograd.gradcheck(penalised, (first, second))


def test_no_gradient_wanted_and_none_given():
    """Images alone, weights alone, and a frozen critic that the generator learns from."""
    x, weight, bias = inputs_of(convolve)
    for wanted in ((x,), (weight,), (bias,)):
        fixed = [t if t is wanted[0] else t.detach() for t in (x, weight, bias)]
        (mine,) = torch.autograd.grad(convolve(*fixed).square().sum(), wanted)
        (theirs,) = torch.autograd.grad(TORCHS[convolve](*fixed).square().sum(), wanted)
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("base", "most"), [(8192, 512), (256, 32)], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("held", [False, True])
def test_the_critics_penalty_is_that_of_torchs_own_layers(torchs_own, base, most, held):
    """For both layouts that convolutions run in, in mid-fade."""
    torch.manual_seed(0)
    net, images = Critic(2, BASE, 2, widths(2, base, most), 4), torch.randn(4, 1, 20, 16)
    mine = penalty(net, images, 0.5, detach_stddev=held)
    my_gradients = gradients(net, mine)
    torchs_own()
    theirs = penalty(net, images, 0.5, detach_stddev=held)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=0)
    for one, other in zip(my_gradients, gradients(net, theirs), strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


def test_the_critics_loss_is_that_of_torchs_own_layers(torchs_own):
    torch.manual_seed(0)
    net, images = Critic(2, BASE, 2, widths(2, 256, 32), 4), torch.randn(8, 1, 20, 16, requires_grad=True)

    def both():
        scores, logits = net(images, 0.5)
        loss = scores.square().mean() + logits.square().mean()
        return [loss, *torch.autograd.grad(loss, images, retain_graph=True), *gradients(net, loss)]

    mine = both()
    torchs_own()
    for one, other in zip(mine, both(), strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm() + 1e-8


@pytest.mark.parametrize(("capability", "wide"), [("AVX512", 256), ("AVX2", 32), ("DEFAULT", 256)])
def test_layouts_are_chosen_by_width_and_chip_and_keep_the_result(monkeypatch, capability, wide):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(layers, "wide", layers.wide.__wrapped__)  # without its memory
    torch.manual_seed(0)
    for width, layout in ((wide, torch.contiguous_format), (wide - 1, torch.channels_last)):
        conv = layers.EqualConv(4, width, 3, double_backward=True)
        x = torch.randn(2, 4, 6, 6)
        assert conv.layout(x) == layout
        other = x.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(conv(x), conv(other))
        expected = functional.conv2d(x.double(), conv.weight.double() * conv.scale, padding=1).float()
        torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-5)


def test_a_gpu_has_channels_last_whatever_the_width():
    conv, x = layers.EqualConv(512, 512, 3), torch.randn(1, 512, 4, 4)
    assert conv.layout(x) == torch.contiguous_format
    assert conv.layout(SimpleNamespace(device=torch.device("cuda"))) == torch.channels_last


def test_large_maps_have_channels_last_in_16_bits(monkeypatch):
    monkeypatch.setattr(layers, "wide", lambda: 4)
    conv, small, large = layers.EqualConv(4, 4, 3), torch.randn(1, 4, 16, 16), torch.randn(1, 4, 32, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv.layout(small) == torch.contiguous_format
        assert conv.layout(large) == torch.channels_last
        assert conv(large).is_contiguous(memory_format=torch.channels_last)
    assert conv.layout(large) == torch.contiguous_format


def test_no_zeros_are_pushed_back_through_the_penalty():
    """Units are the critic's forward pass: 4, and 2 more with free minibatch stddev."""
    torch.manual_seed(0)
    net, images = Critic(3, BASE, 2, widths(3, 512, 64), 4), torch.randn(4, 1, 40, 32)
    with torch.no_grad():
        unit = work(lambda: net(images))
    for held, units in ((True, 4), (False, 6)):
        assert work(lambda h=held: penalty(net, images, detach_stddev=h).backward()) / unit == pytest.approx(
            units, rel=0.03
        )


def test_torchs_own_layers_would_push_zeros_back(torchs_own):
    """The reason for ours: should torch learn it, they can go."""
    torch.manual_seed(0)
    net, images = Critic(3, BASE, 2, widths(3, 512, 64), 4), torch.randn(4, 1, 40, 32)
    with torch.no_grad():
        unit = work(lambda: net(images))
    torchs_own()
    assert work(lambda: penalty(net, images, detach_stddev=True).backward()) / unit > 5


def test_held_stddev_changes_the_penaltys_gradient_by_less_than_1_percent():
    torch.manual_seed(0)
    net = Critic(3, BASE, 2, widths(3, 8192, 64), 4)
    images = torch.randn(8, 1, 40, 32)
    free, held = (flat(gradients(net, penalty(net, images, detach_stddev=h))) for h in (False, True))
    cosine = torch.dot(free, held) / free.norm() / held.norm()
    assert cosine > 0.99 and not torch.equal(free, held)
    assert held.norm().item() == pytest.approx(free.norm().item(), rel=0.01)


def test_recomputing_is_bit_equal():
    torch.manual_seed(0)
    net, images = Critic(3, BASE, 2, widths(3, 256, 32), 4), torch.randn(4, 1, 40, 32)
    drawing = Generator(3, BASE, 8, 2, widths(3, 256, 32))
    z, labels = torch.randn(4, 8), torch.eye(2)[[0, 1, 0, 1]]
    found = []
    for recompute in (False, True):
        net.recompute = drawing.recompute = recompute
        scored = net(images, 0.5)[0].square().sum()
        drawn = drawing(z, labels, 0.5).square().sum()
        found.append(
            [
                *gradients(net, penalty(net, images, 0.5)),
                *gradients(net, scored),
                *gradients(drawing, drawn),
            ]
        )
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
