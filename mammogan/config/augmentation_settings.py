"""Which changes to images the critic may be shown, how strong they are and how often they come."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import Settings

HIGHEST_PROBABILITY = 0.8
"""Above it, augmentations begin to leak into what the generator draws (Karras et al. 2020, section 2.2)."""

Part = Annotated[float, Field(ge=0, le=0.25)]
Factor = Annotated[float, Field(ge=0, le=1)]
STRENGTHS = ("flip_cc", "shift_rows", "shift_columns", "scale", "rotation_deg", "tone", "contrast")


class Augmentation(Settings):
    """Changes that keep anatomy, made to the reals and fakes that the critic sees; none by default.

    ``fixed`` makes each with `probability`; ``adaptive`` begins at 0 and lets the probability rise or fall,
    by 1 within `adjust_kimg`, so that the critic's overfitting (seen on the validation split) stays at
    `target`.

    The others are the strengths: shifts as parts of height and width; `scale`, `tone` and `contrast` as
    factors between 1 / (1 + x) and 1 + x; 0 turns one off. `flip_cc` exchanges the lateral and the medial
    side of CC views, and of no others.
    """

    kind: Literal["none", "fixed", "adaptive"] = "none"
    probability: Annotated[float, Field(gt=0, le=HIGHEST_PROBABILITY)] = 0.2
    target: Annotated[float, Field(gt=0, lt=1)] = 0.5
    adjust_kimg: Annotated[float, Field(gt=0)] = 500.0
    flip_cc: bool = False
    shift_rows: Part = 0.05
    shift_columns: Part = 0.03
    scale: Part = 0.05
    rotation_deg: Annotated[float, Field(ge=0, le=10)] = 3.0
    tone: Factor = 0.2
    contrast: Factor = 0.1

    @property
    def first_probability(self) -> float:
        """Probability of each change before anything is known of the critic."""
        return self.probability if self.kind == "fixed" else 0.0

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.kind != "none" and not any(getattr(self, name) for name in STRENGTHS):
            raise ValueError(
                f"kind '{self.kind}' changes nothing, as every strength is 0; make one of "
                f"{', '.join(STRENGTHS)} larger, or set kind to 'none'"
            )
        return self
