"""Simulated readers, to rehearse an analysis before a study and to know what it can see.

The reader compares two images by signal detection: with evidence ``e ~ N(±x, 1)``, positive for the left one,
``x`` the sum of the study's ease and of normal effects of reader, real and synthetic image, and calls the
left one synthetic if ``e + bias > 0``. Confidence is the fifth that ``|e|`` falls into by chance.

Shape suffixes: N trials, R readers, K pairs a reader, I images of a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mammogan.study.analysis.trials import Trials
from mammogan.study.questions import QUESTIONS, RADIOLOGIST, ROLE, Question

VIEWS = ("CC", "MLO")
FIFTHS = (0.2533, 0.5244, 0.8416, 1.2816)
"""Quintiles of the absolute value of a normal variable."""


@dataclass(frozen=True)
class Plan:
    """A study to simulate.

    `rate` is the share of right answers over all readers and images, `reader_sd`, `real_sd` and `synth_sd`
    the effects' sd, in units of the evidence's. `experts` readers answer at `expert_rate` whatever they see.
    """

    radiologists: int = 55
    others: int = 62
    pairs: int = 10
    images_per_view: int = 100
    rate: float = 0.5
    reader_sd: float = 0.0
    real_sd: float = 0.0
    synth_sd: float = 0.0
    experts: int = 0
    expert_rate: float = 0.95
    left_bias: float = 0.0

    @property
    def readers(self) -> int:
        """All of them."""
        return self.radiologists + self.others


def simulate(plan: Plan, seed: int) -> Trials:
    """Draw the answers of one study."""
    from scipy.special import ndtri

    rng = np.random.default_rng(seed)
    readers, count = plan.readers, plan.readers * plan.pairs
    reader_N = np.repeat(np.arange(readers), plan.pairs)
    view_N = np.tile(np.arange(plan.pairs) % len(VIEWS), readers)
    real_N, synth_N = (_images(plan, rng) for _ in range(2))
    images = len(VIEWS) * plan.images_per_view
    sds = plan.reader_sd, plan.real_sd, plan.synth_sd
    effects = [rng.normal(0, sd, size) for sd, size in zip(sds, (readers, images, images), strict=True)]
    # Divided by the whole spread, normal effects around this give `rate` exactly in the mean.
    ease = ndtri(plan.rate) * np.sqrt(1 + sum(sd * sd for sd in sds))
    x_N = ease + effects[0][reader_N] + effects[1][real_N] + effects[2][synth_N]
    x_N[reader_N < plan.experts] = ndtri(plan.expert_rate)
    synth_left_N = rng.integers(0, 2, count).astype(bool)
    evidence_N = rng.normal(np.where(synth_left_N, x_N, -x_N), 1)
    return Trials(
        study_id="simulated",
        study_version="1",
        readers=tuple(f"P{number:03d}" for number in range(1, readers + 1)),
        answers={name: _answers(plan, question, seed) for name, question in QUESTIONS.items()},
        reader_N=reader_N,
        real_N=real_N,
        synth_N=synth_N,
        trial_N=np.tile(np.arange(1, plan.pairs + 1), readers),
        view_N=np.array(VIEWS)[view_N],
        synth_left_N=synth_left_N,
        answer_left_N=evidence_N + plan.left_bias > 0,
        confidence_N=1.0 + np.searchsorted(FIFTHS, np.abs(evidence_N)),
        rt_ms_N=rng.lognormal(np.log(14_000), 0.6, count).round(),
        zoom_N=1 + rng.gamma(1.5, 0.8, count).round(2),
        wl_changes_N=rng.poisson(1.2, count).astype(np.float64),
        hidden_ms_N=np.zeros(count),
    )


def _answers(plan: Plan, question: Question, seed: int) -> tuple[str, ...]:
    """Draw what readers answer about themselves; of others than radiologists only their role is known.

    Each question has a generator of its own: a further one changes no other's answers.
    """
    if question.name == ROLE:
        return (RADIOLOGIST,) * plan.radiologists + ("other",) * plan.others
    rng = np.random.default_rng([seed, crc32(question.name.encode())])
    asked = plan.readers if any(way.all_readers for way in question.analysis) else plan.radiologists
    if question.options:
        shares = [question.shares.get(value, 0 if question.shares else 1) for value in question.options]
        drawn = rng.choice(list(question.options), asked, p=np.divide(shares, sum(shares))).tolist()
    else:
        drawn_R = rng.uniform(question.low, question.high, asked)
        if question.mean is not None:
            drawn_R = rng.gamma(2, question.mean / 2, asked)
        drawn = [f"{value:.0f}" for value in np.clip(drawn_R, question.low, question.high)]
    return (*drawn, *[""] * (plan.readers - asked))


def _images(plan: Plan, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal images to trials: none twice to a reader, and those least shown first."""
    shown_VI = np.zeros((len(VIEWS), plan.images_per_view))
    dealt_RK = np.empty((plan.readers, plan.pairs), dtype=np.int64)
    for reader in range(plan.readers):
        for view in range(len(VIEWS)):
            slots = slice(view, None, len(VIEWS))
            wanted = len(range(plan.pairs)[slots])
            order_I = np.argsort(shown_VI[view] + rng.random(plan.images_per_view))[:wanted]
            shown_VI[view, order_I] += 1
            dealt_RK[reader, slots] = view * plan.images_per_view + order_I
    return dealt_RK.ravel()
