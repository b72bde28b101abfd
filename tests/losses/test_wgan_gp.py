"""The objective against values worked out by hand."""

import pytest
import torch

from mammogan.losses import SUPERVISIONS, WganGp
from mammogan.losses.wgan_gp import gradient_norms


def linear_critic(weights):
    return lambda images: ((images * weights).sum(dim=(1, 2, 3)), images.new_zeros(len(images), 2))


def test_gradient_norm_of_a_linear_critic_is_that_of_its_weights():
    weights = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    norms = gradient_norms(
        linear_critic(weights), torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2), torch.rand(5)
    )
    torch.testing.assert_close(norms, torch.full((5,), 5.0))


def test_the_penalty_is_taken_between_real_and_fake_by_the_mix():
    real, fake = torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1) * 2
    quadratic = lambda x: (x.square().sum(dim=(1, 2, 3)) / 2, x)  # noqa: E731 - gradient is x itself
    norms = gradient_norms(quadratic, real, fake, torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(norms, torch.tensor([0.5, 2.0]))


def test_terms_of_the_critic():
    terms = WganGp(10, 2.0, 0.001).critic(
        torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0]), torch.tensor([2.0, 4.0])
    )
    assert terms["wasserstein"].item() == pytest.approx(0.5 - 2.0)
    assert terms["penalty"].item() == pytest.approx(10 / 4 * (0 + 4) / 2)
    assert terms["drift"].item() == pytest.approx(0.001 * (1 + 9) / 2)


def test_the_penalty_reaches_the_critics_weights():
    weights = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    norms = gradient_norms(
        linear_critic(weights), torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2), torch.rand(2)
    )
    (norms - 1).square().mean().backward()
    torch.testing.assert_close(weights.grad, 2 * 4 / 5 * weights.detach())


def test_supervision_is_cross_entropy_or_nothing():
    logits, labels = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    assert SUPERVISIONS["auxiliary"](logits, labels).item() == pytest.approx(0.693147, abs=1e-6)
    assert SUPERVISIONS["none"](logits, labels).item() == 0
