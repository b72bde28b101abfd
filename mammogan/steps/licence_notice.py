"""The terms of the images that a run learns from, to go with whatever it makes of them."""

from __future__ import annotations

from mammogan.config.run_config import Run

TERMS = "TERMS.txt"


def terms(run: Run) -> str:
    """Say on what terms the images came that all this was learned from; it goes with pool and model."""
    return "".join(f"{recipe.dataset.terms}\n" for recipe in run.recipes)
