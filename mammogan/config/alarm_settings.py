"""When a stage's training counts as gone wrong, and what is done then."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mammogan.config.settings import GrownSettings, Natural, Settings

Bound = Annotated[float, Field(gt=0)]
Patience = Annotated[
    int, Field(ge=0, description="Ticks in a row that must break the bound; 0 turns the alarm off.")
]


class Rule(Settings):
    """An alarm goes off when `bound` was broken in `patience` ticks in a row; 0 turns it off."""

    bound: Bound = Field(description="The bound of the number that the alarm watches.")
    patience: Patience


class Reals(Rule):
    """The data are all the same image."""

    bound: Bound = Field(
        default=0.005,
        description="Least standard deviation between two real images of one label, pixels from -1 to 1.",
    )
    patience: Patience = 1


class Skipped(Rule):
    """Updates are skipped because gradients are not finite."""

    bound: Bound = Field(
        default=0.1, description="Largest fraction of a network's updates with gradients that are not finite."
    )
    patience: Patience = 2


class Penalty(Rule):
    """The critic diverges; with weight 10, a penalty of 10 is a critic that is flat everywhere."""

    bound: Bound = Field(default=5.0, description="Largest mean gradient penalty.")
    patience: Patience = 1


class Gradients(Rule):
    """Gradients explode or vanish."""

    bound: Bound = Field(
        default=6.0, description="Largest factor between a gradient norm and its running median, either way."
    )
    patience: Patience = 1


class Drift(Rule):
    """The critic's scores drift away."""

    bound: Bound = Field(
        default=5.0,
        description="Largest mean score of real images, in distances between a real and a synthetic image.",
    )
    patience: Patience = 2


class Growth(Rule):
    """The critic's scores jump."""

    bound: Bound = Field(
        default=6.0,
        description="Largest factor between the mean score of real images and its running median.",
    )
    patience: Patience = 1


class Collapse(Rule):
    """Mode collapse: the generator draws one image per label."""

    bound: Bound = Field(
        default=0.15,
        description="Least diversity of synthetic images of one label, as a fraction of the reals'.",
    )
    patience: Patience = 2


class Labels(Rule):
    """The labels are wrong, or cannot be recognised in the images."""

    bound: Bound = Field(
        default=0.98,
        description="Largest entropy of real labels to the critic, as a fraction of the entropy of their "
        "frequencies.",
    )
    patience: Patience = 4


class Background(Rule):
    """The background is not black: judged after the fade, in the last third of a stage, as all below."""

    bound: Bound = Field(
        default=3.0,
        description="Largest mean grey, of 255, of the darkest tenth of synthetic images above the reals'.",
    )
    patience: Patience = 2


class Veil(Rule):
    """Images are washed out, as those of an average that lags behind."""

    bound: Bound = Field(
        default=0.5,
        description="Least contrast of synthetic images, and least deviation between two of one label, as a "
        "fraction of the reals'.",
    )
    patience: Patience = 2


class Stripes(Rule):
    """The generator draws stripes along rows or columns."""

    bound: Bound = Field(
        default=4.0,
        description="Largest anisotropy inside the breast, power near the axes by power near the diagonals, "
        "in the two finest octaves, as a multiple of the reals'.",
    )
    patience: Patience = 2


class Grain(Rule):
    """The generator draws noise."""

    bound: Bound = Field(
        default=3.0,
        description="Largest power of the finest octave near the diagonals, as a multiple of the reals'.",
    )
    patience: Patience = 2


class Blur(Rule):
    """The generator leaves out detail."""

    bound: Bound = Field(
        default=0.25,
        description="Least part that the finest octave has of all power inside the breast, as a fraction of "
        "the reals'.",
    )
    patience: Patience = 2


class Alarms(GrownSettings):
    """What is checked at every tick of a stage, and what an alarm does.

    ``log`` tells of it, ``stop`` ends the stage as failed, and ``roll-back`` goes back to the last tick
    before the trouble, at most `rollbacks` times a stage, and from there on with the learning rate times
    `rollback_rate`. `images` is the size of the sheets of reals and fakes whose diversity is compared.
    `background`, `veil`, `stripes`, `grain` and `blur` are told of alone, whatever the action is.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"background", "veil", "stripes", "grain", "blur"})

    action: Literal["log", "stop", "roll-back"] = Field(
        default="log",
        description="What an alarm does: log it, stop the stage, or roll back to the last tick before the "
        "trouble.",
    )
    rollbacks: Natural = Field(default=2, description="Most rollbacks of a stage.")
    rollback_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Factor of the learning rate after each rollback."
    )
    images: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        default=64, description="Real and synthetic images whose diversity is compared at each tick."
    )
    reals: Reals = Reals()
    skipped: Skipped = Skipped()
    penalty: Penalty = Penalty()
    gradients: Gradients = Gradients()
    drift: Drift = Drift()
    growth: Growth = Growth()
    collapse: Collapse = Collapse()
    labels: Labels = Labels()
    background: Background = Background()
    veil: Veil = Veil()
    stripes: Stripes = Stripes()
    grain: Grain = Grain()
    blur: Blur = Blur()
