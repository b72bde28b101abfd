"""The two DeepSpeed engines; each one's module computes its whole loss in `forward`.

The gradient penalty differentiates the critic inside the module: through the output of a DeepSpeed engine
``autograd.grad(create_graph=True)`` fails.

Shape suffixes: N images, C channels, H x W pixels, Z latent, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammogan.config.dataset import VIEWS
from mammogan.config.method import Method
from mammogan.losses import OBJECTIVES, SUPERVISIONS
from mammogan.nets import Critic, Generator
from mammogan.schedule import Stage
from mammogan.train.device import compute_in

CRITIC_TERMS = (
    "adversarial", "penalty", "drift", "label_real", "label_fake", "wasserstein", "score_real", "score_fake",
)  # fmt: skip
GENERATOR_TERMS = ("adversarial", "label")
Net = TypeVar("Net", bound=nn.Module)


def label_count(method: Method) -> int:
    """Count the label's classes as the networks see them."""
    return len(VIEWS) if method.supervision.kind == "auxiliary" else 0


def build_generator(method: Method, stage: int) -> Generator:
    """Build the generator of `stage`, with fresh weights."""
    net, ladder = method.network, method.ladder
    return Generator(
        stage, ladder.base_px, net.latent_size, label_count(method), net.channels_base, net.channels_max
    )


def build_critic(method: Method, stage: int) -> Critic:
    """Build the critic of `stage`, with fresh weights."""
    net, ladder = method.network, method.ladder
    return Critic(
        stage, ladder.base_px, label_count(method), net.channels_base, net.channels_max, net.stddev_group
    )


def one_hot(labels_N: Tensor, method: Method) -> Tensor:
    """Encode labels for the generator: (N, L) float32, L = 0 without supervision."""
    count = label_count(method)
    return (
        functional.one_hot(labels_N, count).float() if count else labels_N.new_empty(len(labels_N), 0).float()
    )


class CriticLoss(nn.Module):
    """The critic with its loss: objective, gradient penalty, drift and supervision."""

    def __init__(self, critic: Critic, method: Method) -> None:
        super().__init__()
        self.critic = critic
        self.objective = OBJECTIVES[method.loss.objective](
            method.loss.penalty_weight, method.loss.penalty_target, method.loss.drift_weight
        )
        self.supervise = SUPERVISIONS[method.supervision.kind]
        self.weight = method.supervision.weight
        self.every = method.loss.penalty_every
        self.precision = method.engine.precision

    def forward(
        self, real_NCHW: Tensor, fake_NCHW: Tensor, labels_N: Tensor, mix_N: Tensor, fade: float, step: int
    ) -> tuple[Tensor, Tensor]:
        """Give the loss and, detached, the terms named by `CRITIC_TERMS`; fakes carry the reals' labels.

        `step` counts the steps of the stage; it says if the penalty is due.
        """
        critic = partial(self.critic, fade=fade)
        with compute_in(self.precision, real_NCHW.device):
            real_N, real_logits = critic(real_NCHW)
            fake_N, fake_logits = critic(fake_NCHW)
            penalty = real_N.new_zeros(())
            if step % self.every == 0:
                penalty = self.every * self.objective.penalty(critic, real_NCHW, fake_NCHW, mix_N)
        terms = {"penalty": penalty, "drift": real_N.new_zeros(())}
        terms |= self.objective.critic(real_N, fake_N)
        terms["label_real"] = self.weight * self.supervise(real_logits, labels_N)
        terms["label_fake"] = self.weight * self.supervise(fake_logits, labels_N)
        loss = torch.stack(list(terms.values())).sum()
        terms |= {"score_real": real_N.mean(), "score_fake": fake_N.mean()}
        terms["wasserstein"] = terms["score_fake"] - terms["score_real"]
        return loss, torch.stack([terms[name].detach() for name in CRITIC_TERMS])


class GeneratorLoss(nn.Module):
    """The generator with its loss; the critic is passed in: its parameters belong to the other engine."""

    def __init__(self, generator: Generator, method: Method) -> None:
        super().__init__()
        self.generator = generator
        self.method = method
        self.objective = OBJECTIVES[method.loss.objective](
            method.loss.penalty_weight, method.loss.penalty_target, method.loss.drift_weight
        )
        self.supervise = SUPERVISIONS[method.supervision.kind]

    def forward(
        self, latents_NZ: Tensor, labels_N: Tensor, fade: float, critic: Callable[..., tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Give the loss and, detached, the terms named by `GENERATOR_TERMS`."""
        with compute_in(self.method.engine.precision, latents_NZ.device):
            fake_NCHW = self.generator(latents_NZ, one_hot(labels_N, self.method), fade)
            scores_N, logits_NL = critic(fake_NCHW, fade)
        terms = self.objective.generator(scores_N)
        terms["label"] = self.method.supervision.weight * self.supervise(logits_NL, labels_N)
        return torch.stack(list(terms.values())).sum(), torch.stack(
            [terms[name].detach() for name in GENERATOR_TERMS]
        )


def start_engine(
    module: nn.Module, method: Method, stage: Stage, micro_batch: int, accumulation: int, ranks: int
) -> Any:
    """Hand `module` to DeepSpeed with Adam; the one place that writes DeepSpeed's configuration."""
    import deepspeed

    settings = method.optimiser
    adam = torch.optim.Adam(
        module.parameters(),
        lr=stage.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,
    )
    config = {
        "train_batch_size": micro_batch * accumulation * ranks,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "zero_optimization": {"stage": method.engine.zero_stage},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 2**62,
    }
    engine, *_ = deepspeed.initialize(model=module, optimizer=adam, config=config, dist_init_required=False)
    return engine


def gradient_norm(engine: Any) -> Tensor:
    """Norm of all gradients of the step at hand; call it between backward and step."""
    gradients = [p.grad for p in engine.module.parameters() if p.grad is not None]
    if not gradients:  # ZeRO 1 and 2 keep them in partitions, and know the norm after the step
        norm = engine.get_global_grad_norm()
        return torch.as_tensor(0.0 if norm is None else norm)
    return torch.stack(torch._foreach_norm(gradients)).norm()  # type: ignore[no-any-return]
