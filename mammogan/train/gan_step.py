"""Generator and critic against each other: one update of both, and of the generator's average.

The critic's loss is back-propagated part by part (reals, fakes, penalty), so that one part's activations are
held at a time. The gradient penalty differentiates the critic inside the module that its engine holds:
through the output of a DeepSpeed engine ``autograd.grad(create_graph=True)`` fails.

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields, L classes.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.errors import RunFailedError
from mammogan.losses import OBJECTIVES, SUPERVISIONS, Objective
from mammogan.nets import Critic, Generator
from mammogan.schedule import Stage
from mammogan.train import adam, augment, device
from mammogan.train.dataloader import Batch
from mammogan.train.distributed import Ranks
from mammogan.train.engines import start_engine
from mammogan.train.label_encoding import one_hot

REAL_TERMS = ("drift", "label_real", "score_real", "adversarial")
FAKE_TERMS = ("adversarial", "label_fake", "score_fake")
GENERATOR_TERMS = ("adversarial", "label")
STATE_TERMS = ("gradient_norm", "skipped")
TERMS = (
    *(f"critic/{name}" for name in (*REAL_TERMS, *FAKE_TERMS[1:], "penalty", *STATE_TERMS)),
    *(f"generator/{name}" for name in (*GENERATOR_TERMS, *STATE_TERMS)),
)
"""What is summed up between ticks; the two parts of the critic's adversarial loss share a place."""
REAL, FAKE, PENALTY, CRITIC_STATE = slice(0, 4), slice(3, 6), slice(6, 7), slice(7, 9)
GENERATOR, GENERATOR_STATE = slice(9, 11), slice(11, 13)


class CriticParts(nn.Module):
    """The critic with the parts of its loss; `forward` computes the part that it is asked for."""

    def __init__(self, critic: Critic, method: Method) -> None:
        super().__init__()
        self.critic = critic
        self.objective = objective(method)
        self.supervise = SUPERVISIONS[method.supervision.kind]
        self.settings, self.loss = method.supervision, method.loss

    def forward(self, part: str, *inputs: object) -> tuple[Tensor, Tensor]:
        """Give the loss of `part` and, detached, its terms."""
        loss, terms = getattr(self, part)(*inputs)
        return loss, torch.stack(terms).detach()

    def real(self, real_NCHW: Tensor, labels_NF: Tensor, fade: float) -> tuple[Tensor, list[Tensor]]:
        """Terms of the reals' scores and logits: `REAL_TERMS`."""
        scores_N, logits_NL = self.critic(real_NCHW, fade, self.told(labels_NF))
        terms = self.objective.real(scores_N)
        drift = terms.get("drift", scores_N.new_zeros(()))
        label = self.labels(logits_NL, labels_NF)
        return drift + label + terms["adversarial"], [drift, label, scores_N.mean(), terms["adversarial"]]

    def fake(self, fake_NCHW: Tensor, labels_NF: Tensor, fade: float) -> tuple[Tensor, list[Tensor]]:
        """Terms of the fakes' scores and logits: `FAKE_TERMS`. Fakes carry their reals' labels."""
        scores_N, logits_NL = self.critic(fake_NCHW, fade, self.told(labels_NF))
        adversarial, label = self.objective.fake(scores_N)["adversarial"], self.labels(logits_NL, labels_NF)
        return adversarial + label, [adversarial, label, scores_N.mean()]

    def penalty(
        self, real_NCHW: Tensor, fake_NCHW: Tensor, labels_NF: Tensor, mix_N: Tensor, fade: float
    ) -> tuple[Tensor, list[Tensor]]:
        """Penalty on the critic's gradients, heavier the more rarely it is taken."""
        held = self.loss.penalty_holds_stddev
        critic = partial(self.critic, fade=fade, labels_NL=self.told(labels_NF), hold_stddev=held)
        penalty = self.loss.penalty_every * self.objective.penalty(critic, real_NCHW, fake_NCHW, mix_N)
        # Biases have no part in it, and ZeRO 2 stumbles over what a pass back meets and leaves out.
        biases = [p.sum() for p in self.critic.parameters() if p.ndim == 1]
        return penalty + 0 * torch.stack(biases).sum(), [penalty]

    def labels(self, logits_NL: Tensor, labels_NF: Tensor) -> Tensor:
        """Judge the logits by the labels, with the supervision's weight."""
        settings = self.settings
        return settings.weight * self.supervise(logits_NL, labels_NF, settings.classes)

    def told(self, labels_NF: Tensor) -> Tensor | None:
        """Give the labels as a critic takes them that is told of them."""
        return one_hot(labels_NF, self.settings.classes) if self.settings.kind == "projection" else None


class Adversaries:
    """Both networks of a stage with their engines, and the generator's average.

    Parameters
    ----------
    nets : (Generator, Generator, Critic)
        Generator, its average, critic.
    ranks : Ranks
        Those that share each batch.

    Raises
    ------
    RunFailedError
        If the ranks can't share the stage's batch in whole groups of minibatch standard deviation.
    """

    def __init__(
        self,
        method: Method,
        stage: Stage,
        nets: tuple[Generator, Generator, Critic],
        ranks: Ranks,
        here: torch.device,
    ) -> None:
        self.method, self.here = method, here
        self.generator, self.average, self.critic = nets
        for net in nets:
            net.to(here)
        self.average.requires_grad_(False)
        self.micro, self.accumulation = _shared(method, stage, ranks)
        self.parts = CriticParts(self.critic, method)
        start = partial(start_engine, method=method, stage=stage, micro_batch=self.micro, ranks=ranks.count)
        self.critic_engine, self.generator_engine = start(self.parts), start(self.generator)
        device.compile_generator(self.generator, method.engine.compile)
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._learned: list[Tensor] = list(self.generator.parameters())
        self.forget_sums()

    def forget_sums(self) -> None:
        """Begin to sum up anew."""
        self.sums = torch.zeros(len(TERMS), device=self.here)

    def step(self, batch: Batch, fade: float, number: int) -> None:
        """Update the critic, then the generator, then its average; `number` counts the steps of the stage."""
        fakes = self._update_critic(batch, fade, number)
        self._update_generator(batch, fade, fakes)
        with torch.no_grad():  # or the average would keep a graph of all steps
            torch._foreach_lerp_(self._averaged, self._learned, 1 - self.method.ema.decay)

    def _update_critic(self, batch: Batch, fade: float, number: int) -> list[Tensor]:
        loss, held = self.method.loss, []
        keep = loss.shared_fakes and self.accumulation == 1
        for part in batch.split(self.micro):
            with torch.set_grad_enabled(keep):
                fake_NCHW = self._draw(part.critic_latents_NZ, part.labels_NF, fade)
            held += [fake_NCHW] if keep else []
            real_NCHW = changed(part.real_NCHW, part.changes_NRP[:, 0])
            seen_NCHW = changed(fake_NCHW.detach(), part.changes_NRP[:, 1])
            self._go_back(REAL, "real", real_NCHW, part.labels_NF, fade)
            self._go_back(FAKE, "fake", seen_NCHW, part.labels_NF, fade)
            if number % loss.penalty_every == 0:
                inputs = real_NCHW, seen_NCHW, part.labels_NF, part.mix_N, fade
                self._go_back(PENALTY, "penalty", *inputs)
        self.sums[CRITIC_STATE] += torch.stack(adam.take_step(self.critic_engine))
        return held

    def _go_back(self, place: slice, part: str, *inputs: object) -> None:
        with device.compute_in(self.method.engine.precision, self.here):
            loss, terms = self.critic_engine(part, *inputs)
        scale = adam.steady(self.critic_engine).scale / self.accumulation
        self.critic_engine.backward(loss * scale)
        self.sums[place] += finite(terms) / self.accumulation

    def _update_generator(self, batch: Batch, fade: float, fakes: list[Tensor]) -> None:
        """Update the generator against a critic that takes no gradients."""
        self.critic.requires_grad_(False)
        shared = self.method.loss.shared_fakes
        for number, part in enumerate(batch.split(self.micro)):
            labels_NF = part.labels_NF if shared else part.generator_labels_NF
            latents_NZ = part.critic_latents_NZ if shared else part.generator_latents_NZ
            fake_NCHW = fakes[number] if fakes else self._draw(latents_NZ, labels_NF, fade)
            fake_NCHW = changed(fake_NCHW, part.changes_NRP[:, 2])
            with device.compute_in(self.method.engine.precision, self.here):
                scores_N, logits_NL = self.critic(fake_NCHW, fade, self.parts.told(labels_NF))
            adversarial = self.parts.objective.generator(scores_N)["adversarial"]
            label = self.parts.labels(logits_NL, labels_NF)
            scale = adam.steady(self.generator_engine).scale / self.accumulation
            self.generator_engine.backward((adversarial + label) * scale)
            terms = torch.stack([adversarial, label]).detach()
            self.sums[GENERATOR] += finite(terms) / self.accumulation
        self.sums[GENERATOR_STATE] += torch.stack(adam.take_step(self.generator_engine))
        self.critic.requires_grad_(True)

    def _draw(self, latents_NZ: Tensor, labels_NF: Tensor, fade: float) -> Tensor:
        labels_NL = one_hot(labels_NF, self.method.supervision.classes)
        # Each fade is another number, for which a compiled generator would be compiled anew.
        fading = self.method.engine.compile != "off" and fade < 1
        with device.compute_in(self.method.engine.precision, self.here), device.uncompiled(fading):
            fake_NCHW: Tensor = self.generator_engine(latents_NZ, labels_NL, fade)
        return fake_NCHW.float()


def finite(terms: Tensor) -> Tensor:
    """Put 0 for what is not finite: the update is skipped and counted, and spoils no mean."""
    return torch.nan_to_num(terms, nan=0.0, posinf=0.0, neginf=0.0)


def changed(images_NCHW: Tensor, changes_NP: Tensor) -> Tensor:
    """Augment images as `changes_NP` says; the very same without any."""
    return augment.apply(images_NCHW, changes_NP) if changes_NP.shape[1] else images_NCHW


def objective(method: Method) -> Objective:
    """Make the objective that `method` names."""
    loss = method.loss
    return OBJECTIVES[loss.objective](loss.penalty_weight, loss.penalty_target, loss.drift_weight)


def _shared(method: Method, stage: Stage, ranks: Ranks) -> tuple[int, int]:
    try:
        return schedule.split_batch(stage.batch, stage.micro_batch, ranks.count, method.network.stddev_group)
    except ValueError as error:
        raise RunFailedError(
            f"Stage {stage.index}: {error}. Change resources.gpu_nodes at the site, or schedule.batch."
        ) from None
