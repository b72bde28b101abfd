"""When a stage's training counts as gone wrong, and what is done then."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mammogan.config.settings import Natural, Settings

Bound = Annotated[float, Field(gt=0)]


class Rule(Settings):
    """An alarm goes off when `bound` was broken in `patience` ticks in a row; 0 turns it off."""

    bound: Bound
    patience: Natural


class Reals(Rule):
    """Least deviation between two reals of a label; pixels reach from -1 to 1."""

    bound: Bound = 0.005
    patience: Natural = 1


class Skipped(Rule):
    """Largest share of a tick's updates that may be skipped, as their gradients were not finite."""

    bound: Bound = 0.1
    patience: Natural = 2


class Penalty(Rule):
    """Largest mean of ``critic/penalty``; at a weight of 10, 10 is a critic that is flat everywhere."""

    bound: Bound = 5.0
    patience: Natural = 1


class Gradients(Rule):
    """Largest factor between a gradient's norm and its running median in the stage, either way."""

    bound: Bound = 6.0
    patience: Natural = 1


class Drift(Rule):
    """Largest mean score of the reals, in distances between a real and a fake."""

    bound: Bound = 5.0
    patience: Natural = 2


class Growth(Rule):
    """Largest factor between the mean score of the reals and its running median in the stage."""

    bound: Bound = 6.0
    patience: Natural = 1


class Collapse(Rule):
    """Least diversity of the fakes of a label, as a part of the reals'."""

    bound: Bound = 0.15
    patience: Natural = 2


class Labels(Rule):
    """Largest entropy of the reals' labels to a critic, as a part of what the labels' shares leave open."""

    bound: Bound = 0.98
    patience: Natural = 4


class Alarms(Settings):
    """What is watched at every tick of a stage, and what an alarm does.

    ``log`` tells of it, ``stop`` ends the stage as failed, and ``roll-back`` goes back to the last tick
    before the trouble, at most `rollbacks` times a stage, and from there on with the learning rate times
    `rollback_rate`. `images` is the size of the sheets of reals and fakes whose diversity is compared.
    """

    action: Literal["log", "stop", "roll-back"] = "log"
    rollbacks: Natural = 2
    rollback_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    images: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    reals: Reals = Reals()
    skipped: Skipped = Skipped()
    penalty: Penalty = Penalty()
    gradients: Gradients = Gradients()
    drift: Drift = Drift()
    growth: Growth = Growth()
    collapse: Collapse = Collapse()
    labels: Labels = Labels()
