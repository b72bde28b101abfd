"""One training step: an update of the critic, of the generator, and of the generator's moving average.

The critic's loss is back-propagated part by part (reals, fakes, penalty), so that one part's activations are
in memory at a time. The gradient penalty differentiates the critic inside the module that its engine holds:
through the output of a DeepSpeed engine ``autograd.grad(create_graph=True)`` fails.

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields, L classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.errors import RunFailedError
from mammogan.losses import PENALTIES, SUPERVISIONS, objective_of
from mammogan.schedule import Stage
from mammogan.train import accelerator, adam, augment
from mammogan.train.build_networks import Networks
from mammogan.train.dataloader import Batch
from mammogan.train.distributed import ProcessGroup
from mammogan.train.engines import begin_last_pass, start_engine
from mammogan.train.label_encoding import one_hot
from mammogan.train.term_sums import TermSums

Terms = dict[str, Tensor]
LOGGED_ONLY = "score_"
"""What the names of terms begin with that are logged and are no part of the loss."""


class CriticLoss(nn.Module):
    """The critic with the parts of its loss; `forward` computes the part that it is asked for.

    Attributes
    ----------
    names : dict
        Part to the names of the terms that it came to, in the order of the values that `forward` returns.
    """

    def __init__(self, critic: nn.Module, method: Method) -> None:
        super().__init__()
        self.critic = critic
        self.objective: Any = objective_of(method.loss)  # of either protocol
        self.penalise = PENALTIES[method.loss.penalty]
        self.supervise = SUPERVISIONS[method.supervision.kind]
        self.supervision, self.loss = method.supervision, method.loss
        self.names: dict[str, tuple[str, ...]] = {}

    def forward(self, part: str, *inputs: object) -> tuple[Tensor, Tensor]:
        """Return the loss of `part` (``real``, ``fake``, ``pairs``, ``penalty``), and its terms, detached."""
        terms: Terms = getattr(self, part)(*inputs)
        self.names[part] = tuple(terms)
        loss = total(terms)
        if part == "penalty":
            # Biases have no part in it, and ZeRO 2 stumbles over what a pass back meets and leaves out.
            biases = [p.sum() for p in self.critic.parameters() if p.ndim == 1]
            loss = loss + 0 * torch.stack(biases).sum()
        return loss, torch.stack(list(terms.values())).detach()

    def real(self, real_NCHW: Tensor, labels_NF: Tensor, fade: float) -> Terms:
        """Compute the terms of the reals' scores and logits."""
        scores_N, logits_NL = self.critic(real_NCHW, fade, self.condition(labels_NF))
        label = self.labels(logits_NL, labels_NF)
        return {**self.objective.real(scores_N), "label_real": label, "score_real": scores_N.mean()}

    def fake(self, fake_NCHW: Tensor, labels_NF: Tensor, fade: float) -> Terms:
        """Compute the terms of the fakes' scores and logits. Fakes carry their reals' labels."""
        scores_N, logits_NL = self.critic(fake_NCHW, fade, self.condition(labels_NF))
        label = self.labels(logits_NL, labels_NF)
        return {**self.objective.fake(scores_N), "label_fake": label, "score_fake": scores_N.mean()}

    @property
    def paired(self) -> bool:
        """Whether the objective wants the scores of reals and fakes together."""
        return hasattr(self.objective, "pairs")

    def pairs(self, real_NCHW: Tensor, fake_NCHW: Tensor, labels_NF: Tensor, fade: float) -> Terms:
        """Compute the terms of reals and fakes in one pass, for an objective of their difference."""
        labels_2NF = torch.cat([labels_NF, labels_NF])
        images_2NCHW = torch.cat([real_NCHW, fake_NCHW])
        scores_2N, logits_2NL = self.critic(images_2NCHW, fade, self.condition(labels_2NF))
        real_N, fake_N = scores_2N.chunk(2)
        named = zip(("label_real", "label_fake"), logits_2NL.chunk(2), strict=True)
        labels = {name: self.labels(logits_NL, labels_NF) for name, logits_NL in named}
        scores = {"score_real": real_N.mean(), "score_fake": fake_N.mean()}
        return {**self.objective.pairs(real_N, fake_N), **labels, **scores}

    def penalty(
        self, real_NCHW: Tensor, fake_NCHW: Tensor, labels_NF: Tensor, mix_N: Tensor, fade: float
    ) -> Terms:
        """Compute the penalty on the critic's gradients, heavier the more rarely it is taken."""
        critic = partial(
            self.critic,
            fade=fade,
            labels_NL=self.condition(labels_NF),
            detach_stddev=self.loss.penalty_holds_stddev,
        )
        penalty = self.penalise(self.loss, critic, real_NCHW, fake_NCHW, mix_N)
        return {"penalty": self.loss.penalty_every * penalty}

    def labels(self, logits_NL: Tensor, labels_NF: Tensor) -> Tensor:
        """Compute the supervision's loss of the logits, with its weight."""
        settings = self.supervision
        return settings.weight * self.supervise(logits_NL, labels_NF, settings.classes)

    def condition(self, labels_NF: Tensor) -> Tensor | None:
        """Return the labels as a conditional critic takes them; None where the critic is not conditional."""
        settings = self.supervision
        return one_hot(labels_NF, settings.classes) if settings.kind == "projection" else None


class GanStep:
    """Both networks of a stage with their engines, and the generator's moving average.

    Parameters
    ----------
    networks : Networks
        Generator, its average, critic.
    group : ProcessGroup
        The processes that share each batch.
    engine : callable
        What starts both engines, instead of DeepSpeed (`mammogan.train.engines`).

    Attributes
    ----------
    sums : TermSums
        What every term of both losses has come to since the last tick.

    Raises
    ------
    RunFailedError
        If the ranks can't share the stage's batch in whole groups of minibatch standard deviation.
    """

    def __init__(
        self,
        method: Method,
        stage: Stage,
        networks: Networks,
        group: ProcessGroup,
        device: torch.device,
        engine: Callable[..., Any] | None = None,
    ) -> None:
        self.method, self.stage, self.device = method, stage, device
        self.precision = accelerator.training_precision(method.engine.precision, device)
        if method.engine.precision == "auto":  # on unlike devices all follow the leading rank
            self.precision = "bf16" if group.broadcast(float(self.precision == "bf16")) else "fp32"
        self.generator, self.average, self.critic = networks
        for net in networks:
            net.to(device)
        self.average.requires_grad_(False)
        self.micro, self.accumulation = _split_batch(method, stage, group)
        self.critic_loss = CriticLoss(self.critic, method)
        start = partial(
            engine or start_engine,
            method=method,
            stage=stage,
            micro_batch=self.micro,
            world_size=group.world_size,
        )
        self.critic_engine, self.generator_engine = start(self.critic_loss), start(self.generator)
        accelerator.compile_generator(self.generator, method.engine.compile)
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._learned: list[Tensor] = list(self.generator.parameters())
        self.sums = TermSums(device)

    def step(self, batch: Batch, fade: float, number: int) -> None:
        """Update the critic, then the generator, then its average; `number` counts the steps of the stage."""
        size = self.stage.batch
        for engine in (self.critic_engine, self.generator_engine):
            adam.set_rate(engine, self.stage.rate(number * size))
        fakes = self._update_critic(batch, fade, number)
        self._update_generator(batch, fade, fakes)
        with torch.no_grad():  # or the average would keep a graph of all steps
            weight = self.method.ema.weight(size, (number + 1) * size)
            torch._foreach_lerp_(self._averaged, self._learned, weight)

    def _update_critic(self, batch: Batch, fade: float, number: int) -> list[Tensor]:
        loss, fakes = self.method.loss, []
        share = loss.shared_fakes and self.accumulation == 1
        for turn, part in enumerate(batch.split(self.micro), 1):
            with torch.set_grad_enabled(share):
                fake_NCHW = self._draw(part.critic_latents_NZ, part.labels_NF, part.critic_noise_N, fade)
            fakes += [fake_NCHW] if share else []
            real_NCHW = augmented(part.real_NCHW, part.changes_NRP[:, 0])
            seen_NCHW = augmented(fake_NCHW.detach(), part.changes_NRP[:, 1])
            passes: dict[str, tuple[object, ...]] = {
                "real": (real_NCHW, part.labels_NF, fade),
                "fake": (seen_NCHW, part.labels_NF, fade),
            }
            if self.critic_loss.paired:
                passes = {"pairs": (real_NCHW, seen_NCHW, part.labels_NF, fade)}
            if number % loss.penalty_every == 0:
                passes["penalty"] = (real_NCHW, seen_NCHW, part.labels_NF, part.mix_N, fade)
            for name, inputs in passes.items():
                if turn == self.accumulation and name == next(reversed(passes)):
                    begin_last_pass(self.critic_engine)
                self._backward(name, *inputs)
        self._take_step("critic", self.critic_engine)
        return fakes

    def _backward(self, part: str, *inputs: object) -> None:
        with accelerator.compute_in(self.precision, self.device):
            loss, terms = self.critic_engine(part, *inputs)
        scale = adam.optimiser_of(self.critic_engine).scale / self.accumulation
        self.critic_engine.backward(loss * scale)
        names = [f"critic/{name}" for name in self.critic_loss.names[part]]
        self.sums.add(part, names, finite(terms) / self.accumulation)

    def _update_generator(self, batch: Batch, fade: float, fakes: list[Tensor]) -> None:
        """Update the generator against a critic that takes no gradients."""
        self.critic.requires_grad_(False)
        shared = self.method.loss.shared_fakes
        for number, part in enumerate(batch.split(self.micro)):
            labels_NF = part.labels_NF if shared else part.generator_labels_NF
            latents_NZ = part.critic_latents_NZ if shared else part.generator_latents_NZ
            noise_N = part.critic_noise_N if shared else part.generator_noise_N
            fake_NCHW = fakes[number] if fakes else self._draw(latents_NZ, labels_NF, noise_N, fade)
            fake_NCHW = augmented(fake_NCHW, part.changes_NRP[:, 2])
            with accelerator.compute_in(self.precision, self.device):
                scores_N, logits_NL = self.critic(fake_NCHW, fade, self.critic_loss.condition(labels_NF))
            terms = self._play(part, scores_N, fade)
            terms = {**terms, "label": self.critic_loss.labels(logits_NL, labels_NF)}
            scale = adam.optimiser_of(self.generator_engine).scale / self.accumulation
            if number + 1 == self.accumulation:
                begin_last_pass(self.generator_engine)
            self.generator_engine.backward(total(terms) * scale)
            names = [f"generator/{name}" for name in terms]
            values = torch.stack(list(terms.values())).detach()
            self.sums.add("generator", names, finite(values) / self.accumulation)
        self._take_step("generator", self.generator_engine)
        self.critic.requires_grad_(True)

    def _play(self, part: Batch, scores_N: Tensor, fade: float) -> Terms:
        """Compute the adversarial terms of the generator; pairs are of its fakes and the critic's reals."""
        objective = self.critic_loss.objective
        if not self.critic_loss.paired:
            terms: Terms = objective.generator(scores_N)
            return terms
        real_NCHW = augmented(part.real_NCHW, part.changes_NRP[:, 0])
        with torch.no_grad(), accelerator.compute_in(self.precision, self.device):
            real_N, _ = self.critic(real_NCHW, fade, self.critic_loss.condition(part.labels_NF))
        terms = objective.generator_pairs(real_N, scores_N)
        return terms

    def _take_step(self, net: str, engine: object) -> None:
        state = torch.stack(adam.take_step(engine))
        self.sums.add(f"{net} update", [f"{net}/gradient_norm", f"{net}/skipped"], state)

    def _draw(self, latents_NZ: Tensor, labels_NF: Tensor, noise_N: Tensor, fade: float) -> Tensor:
        labels_NL = one_hot(labels_NF, self.method.supervision.classes)
        # Each fade is another number, for which a compiled generator would be compiled anew.
        fading = self.method.engine.compile != "off" and fade < 1
        with (
            accelerator.compute_in(self.precision, self.device),
            accelerator.uncompiled(fading),
        ):
            fake_NCHW: Tensor = self.generator_engine(latents_NZ, labels_NL, fade, noise_N)
        return accelerator.kept(fake_NCHW.float(), self.method.engine.compile)


def finite(terms: Tensor) -> Tensor:
    """Put 0 for what is not finite: the update is skipped and counted, and spoils no mean."""
    return torch.nan_to_num(terms, nan=0.0, posinf=0.0, neginf=0.0)


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Add up all terms of a loss; scores are there to be logged."""
    first, *others = (value for name, value in terms.items() if not name.startswith(LOGGED_ONLY))
    return sum(others, start=first)


def augmented(images_NCHW: Tensor, changes_NP: Tensor) -> Tensor:
    """Augment images as `changes_NP` says; the very same without any."""
    return augment.apply(images_NCHW, changes_NP) if changes_NP.shape[1] else images_NCHW


def _split_batch(method: Method, stage: Stage, group: ProcessGroup) -> tuple[int, int]:
    try:
        return schedule.split_batch(
            stage.batch, stage.micro_batch, group.world_size, method.network.stddev_group
        )
    except ValueError as error:
        raise RunFailedError(
            f"Stage {stage.index}: {error}. Change resources.gpu_nodes at the site, or schedule.batch."
        ) from None
