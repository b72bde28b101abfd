"""What both networks minimise, and the labels that steady them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mammogan.config.label_fields import CLASSES
from mammogan.config.references import is_reference
from mammogan.config.settings import GrownSettings, NonNegative, Positive, Settings, nearest

OBJECTIVES = ("wgan-gp", "non-saturating", "hinge", "relativistic")
"""Names of the product's own; `mammogan.losses.objectives` has a class for each."""


def _known(name: str) -> str:
    if name not in OBJECTIVES and not is_reference(name):
        raise ValueError(
            f"there is no objective '{name}'.{nearest(name, OBJECTIVES)} Or package.module:Class"
        )
    return name


class Loss(GrownSettings):
    """The adversarial objective, the penalty on the critic's gradients, and their weights.

    PGGAN's are a penalty of 10 towards norm 1 and a drift of 0.001. Any penalty goes with any objective:
    ``two-sided`` penalises gradients between reals and fakes whose norm is not `penalty_target`,
    ``zero-centred`` any gradients there, ``r1`` those at the reals, ``r2`` those at the fakes and ``r1-r2``
    both. ``relativistic`` goes by the difference between a real's score and its fake's. A method
    that names none gets ``two-sided`` with ``wgan-gp`` and ``r1`` with the others. `drift_weight` belongs to
    ``wgan-gp``. With `penalty_every` k the penalty is taken at every k-th step, k times as heavy: less work
    for nearly the same training.

    Two more keys save work as well, and change what is learned a little. With `penalty_holds_stddev`
    minibatch standard deviation is a constant inside the penalty, which then needs no pass back through the
    critic: 2 of a step's 18 forward passes' worth of work; the penalty's gradient changes by less than 1 %.
    With `shared_fakes` the generator is updated on the very images that the critic was updated on: 1 more, at
    the cost of holding the generator's activations meanwhile where a rank takes its whole share at once.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"penalty"})

    objective: Annotated[str, AfterValidator(_known)] = Field(
        default="wgan-gp",
        description="The adversarial loss of critic and generator: wgan-gp, non-saturating, hinge, "
        "relativistic, or your own as package.module:Class.",
    )
    penalty: Literal["two-sided", "zero-centred", "r1", "r2", "r1-r2"] = Field(
        default="two-sided",
        description="The penalty on the critic's gradients; a method that names none gets r1 with an "
        "objective other than wgan-gp.",
    )
    penalty_every: Positive = Field(
        default=1,
        description="The gradient penalty is computed at every k-th step, k times as heavy; 1 is every step.",
    )
    penalty_weight: NonNegative = Field(default=10.0, description="Weight of the gradient penalty.")
    penalty_target: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Gradient norm that the two-sided penalty pulls towards."
    )
    drift_weight: NonNegative = Field(
        default=0.001,
        description="Weight of the drift term of wgan-gp, which keeps the critic's scores near 0.",
    )
    penalty_holds_stddev: bool = Field(
        default=False,
        description="Treat minibatch standard deviation as a constant in the penalty: saves 2 of 18 units of "
        "work.",
    )
    shared_fakes: bool = Field(
        default=False,
        description="Update the generator on the images that the critic just saw: saves 1 of 18 units.",
    )

    def customary(self, name: str) -> object:
        """Return the penalty that has always gone with the objective."""
        return "two-sided" if self.objective == "wgan-gp" else "r1"

    @model_validator(mode="before")
    @classmethod
    def _customary_penalty(cls, tree: object) -> object:
        """Name the penalty that the objective has always had here, where the method names none."""
        if isinstance(tree, dict) and "penalty" not in tree and tree.get("objective", "wgan-gp") != "wgan-gp":
            return tree | {"penalty": "r1"}
        return tree


class Supervision(Settings):
    """The labels that generator and critic are told of, and how.

    ``auxiliary``: the critic tells the classes too, and is judged by them with `weight` (AC-GAN, as in
    PGGAN). ``projection``: the critic is told the classes (Miyato and Koyama 2018). `fields` are those that
    the shards know of each image; of an image whose class is unknown nothing is told and nothing asked.
    """

    kind: Literal["auxiliary", "projection", "none"] = Field(
        default="auxiliary",
        description="auxiliary: the critic also predicts the labels (AC-GAN); projection: it is given them; "
        "none: no labels.",
    )
    fields: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("view",), description=f"The labels that both networks know: {', '.join(CLASSES)}."
    )
    weight: NonNegative = Field(default=1.0, description="Weight of the label loss of kind auxiliary.")

    @property
    def classes(self) -> tuple[int, ...]:
        """Count the classes of each field that the networks know; none without supervision."""
        return () if self.kind == "none" else tuple(len(CLASSES[field]) for field in self.fields)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if unknown := [name for name in self.fields if name not in CLASSES]:
            raise ValueError(f"fields: there is no label '{unknown[0]}'.{nearest(unknown[0], CLASSES)}")
        if len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields names one label twice: {', '.join(self.fields)}")
        return self
