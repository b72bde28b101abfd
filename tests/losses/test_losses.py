"""The objectives against values worked out by hand."""

import math
from typing import get_args

import pytest
import torch

from mammogan.config import loss_settings
from mammogan.config.loss_settings import Loss
from mammogan.losses import OBJECTIVES, PENALTIES, SUPERVISIONS
from mammogan.losses.critic_gradients import norms_between, squared_norms

REAL, FAKE = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0])
WEIGHTS = torch.tensor([[3.0, 0.0], [0.0, 4.0]])


def linear_critic(weights):
    return lambda images: ((images * weights).sum(dim=(1, 2, 3)), images.new_zeros(len(images), 2))


def quadratic_critic(images):  # whose gradient is the image itself
    return images.square().sum(dim=(1, 2, 3)) / 2, images


def images(*values):
    return torch.tensor(values).view(-1, 1, 1, 1)


def test_gradient_norm_of_a_linear_critic_is_that_of_its_weights():
    norms = norms_between(
        linear_critic(WEIGHTS), torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2), torch.rand(5)
    )
    torch.testing.assert_close(norms, torch.full((5,), 5.0))


def test_the_gradient_is_taken_between_real_and_fake_by_the_mix():
    norms = norms_between(quadratic_critic, images(0.0, 0.0), images(2.0, 2.0), torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(norms, torch.tensor([0.5, 2.0]))


def test_the_norm_that_is_squared_has_a_gradient_where_it_is_zero():
    weights = torch.zeros(2, 2, requires_grad=True)
    squared_norms(linear_critic(weights), torch.randn(3, 1, 2, 2)).mean().backward()
    assert torch.equal(weights.grad, torch.zeros(2, 2))


def test_wasserstein_terms():
    objective = OBJECTIVES["wgan-gp"](Loss())
    terms = objective.real(REAL)
    assert terms["adversarial"].item() == pytest.approx(-2.0)
    assert objective.fake(FAKE)["adversarial"].item() == pytest.approx(-1.0)
    assert terms["drift"].item() == pytest.approx(0.001 * (1 + 9) / 2)
    assert objective.generator(FAKE)["adversarial"].item() == pytest.approx(1.0)


# Of the quadratic critic, whose gradient is the image: 1 and 3 at the reals, 4 and 2 at the fakes, and the
# mean of both where the mix is a half.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("two-sided", 10 / 4 * ((2.5 - 2) ** 2 + (2.5 - 2) ** 2) / 2),
        ("zero-centred", 10 / 2 * (2.5**2 + 2.5**2) / 2),
        ("r1", 10 / 2 * (1 + 9) / 2),
        ("r2", 10 / 2 * (16 + 4) / 2),
    ],
)
def test_a_penalty_is_taken_where_its_name_says(name, expected):
    settings = Loss(penalty=name, penalty_target=2.0)
    inputs = images(1.0, 3.0), images(4.0, 2.0), torch.full((2,), 0.5)
    assert PENALTIES[name](settings, quadratic_critic, *inputs).item() == pytest.approx(expected)


def test_a_method_that_names_no_penalty_has_the_one_that_it_always_had():
    assert Loss().penalty == Loss(objective="wgan-gp").penalty == "two-sided"
    assert Loss(objective="hinge").penalty == Loss(objective="non-saturating").penalty == "r1"
    assert Loss(objective="hinge", penalty="two-sided").penalty == "two-sided"


def test_the_settings_know_the_tables():
    """The names stand in config too, which loads no torch."""
    assert set(OBJECTIVES) == {*loss_settings.OBJECTIVES}
    assert set(PENALTIES) == {*get_args(Loss.model_fields["penalty"].annotation)}


def test_non_saturating_terms():
    objective = OBJECTIVES["non-saturating"](Loss())
    softplus = [math.log1p(math.exp(x)) for x in (0, -2, -1, -3)]
    assert objective.fake(FAKE)["adversarial"].item() == pytest.approx(sum(softplus[:2]) / 2)
    assert objective.real(REAL)["adversarial"].item() == pytest.approx(sum(softplus[2:]) / 2)
    wanted = (math.log(2) + math.log1p(math.exp(2))) / 2
    assert objective.generator(FAKE)["adversarial"].item() == pytest.approx(wanted)


def test_hinge_terms():
    hinge = OBJECTIVES["hinge"](Loss())
    assert hinge.real(torch.tensor([0.5, 3.0]))["adversarial"].item() == pytest.approx(0.5 / 2)
    assert hinge.fake(torch.tensor([0.0, -2.0]))["adversarial"].item() == pytest.approx(1 / 2)
    assert hinge.generator(FAKE)["adversarial"].item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_reaches_the_critics_weights(name):
    weights = WEIGHTS.clone().requires_grad_(True)
    real, fake = torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2)
    PENALTIES[name](Loss(penalty=name), linear_critic(weights), real, fake, torch.rand(2)).backward()
    # |w| = 5: the derivative of 10 (|w| - 1)^2, and of 5 |w|^2.
    scale = {"two-sided": 10 * 2 * 4 / 5, "r1-r2": 2 * 10}.get(name, 10)
    torch.testing.assert_close(weights.grad, scale * WEIGHTS)


def test_supervision_is_cross_entropy_of_every_field_or_nothing():
    logits, labels = torch.zeros(2, 6), torch.tensor([[1, 3], [0, 2]])
    auxiliary = SUPERVISIONS["auxiliary"]
    assert auxiliary(logits, labels, (2, 4)).item() == pytest.approx(math.log(2) + math.log(4))
    assert SUPERVISIONS["none"](logits, labels, (2, 4)).item() == 0
    sure = torch.tensor([[9.0, -9, 0, 0, 0, 0]])
    assert auxiliary(sure, torch.tensor([[0, -1]]), (2, 4)).item() == pytest.approx(0, abs=1e-6)


def test_an_unknown_label_adds_nothing_and_the_mean_is_over_all_images():
    logits = torch.zeros(4, 2, requires_grad=True)
    loss = SUPERVISIONS["auxiliary"](logits, torch.tensor([[0], [-1], [-1], [1]]), (2,))
    assert loss.item() == pytest.approx(math.log(2) / 2)
    loss.backward()
    assert logits.grad[1:3].abs().max() == 0 and logits.grad[0].abs().min() > 0
    unknown = SUPERVISIONS["auxiliary"](logits, torch.full((4, 1), -1), (2,))
    assert unknown.item() == 0


def test_a_relativistic_loss_goes_by_the_difference_of_scores():
    objective = OBJECTIVES["relativistic"](Loss(objective="relativistic"))
    wanted = (math.log1p(math.exp(0 - 1)) + math.log1p(math.exp(-2 - 3))) / 2
    assert objective.pairs(REAL, FAKE)["adversarial"].item() == pytest.approx(wanted)
    wanted = (math.log1p(math.exp(1 - 0)) + math.log1p(math.exp(3 + 2))) / 2
    assert objective.generator_pairs(REAL, FAKE)["adversarial"].item() == pytest.approx(wanted)


def test_r1_r2_is_the_sum_of_both():
    inputs = quadratic_critic, images(1.0, 3.0), images(4.0, 2.0), torch.rand(2)
    both = [PENALTIES[name](Loss(penalty=name), *inputs).item() for name in ("r1", "r2", "r1-r2")]
    assert both[0] + both[1] == pytest.approx(both[2])
