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
    """Changes that keep anatomy, made to the images that the critic sees; none by default.

    ``fixed`` makes each with `probability`; ``adaptive`` begins at 0 and lets the probability rise or fall,
    by 1 within `adjust_kimg`, so that the critic's overfitting (seen on the validation split) stays at
    `target`.

    The others are the strengths: shifts as parts of height and width; `scale`, `tone` and `contrast` as
    factors between 1 / (1 + x) and 1 + x; 0 turns one off. `flip_cc` exchanges the lateral and the medial
    side of CC views, and of no others.
    """

    kind: Literal["none", "fixed", "adaptive"] = Field(
        default="none",
        description="none; fixed: always with the same probability; adaptive: as much as overfitting asks "
        "for.",
    )
    probability: Annotated[float, Field(gt=0, le=HIGHEST_PROBABILITY)] = Field(
        default=0.2, description="Probability of each change, for kind fixed."
    )
    target: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="Overfitting measure that kind adaptive steers to."
    )
    adjust_kimg: Annotated[float, Field(gt=0)] = Field(
        default=500.0, description="Images within which the adaptive probability may rise by 1."
    )
    flip_cc: bool = Field(default=False, description="Exchange top and bottom of CC views.")
    shift_rows: Part = Field(
        default=0.05, description="Largest shift up or down, as a fraction of the height; 0 turns it off."
    )
    shift_columns: Part = Field(
        default=0.03,
        description="Largest shift to the chest wall, as a fraction of the width; 0 turns it off.",
    )
    scale: Part = Field(
        default=0.05, description="Largest change of size: factors from 1 / (1 + x) to 1 + x; 0 turns it off."
    )
    rotation_deg: Annotated[float, Field(ge=0, le=10)] = Field(
        default=3.0, description="Largest rotation about the chest wall; 0 turns it off."
    )
    tone: Factor = Field(default=0.2, description="Largest bend of the greys, as by a gamma; 0 turns it off.")
    contrast: Factor = Field(
        default=0.1,
        description="Largest change of contrast: factors from 1 / (1 + x) to 1 + x; 0 turns it off.",
    )

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
