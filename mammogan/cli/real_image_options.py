"""What the commands on real images share: how a file is to be read, and what to do if it can't be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.config.label_fields import VIEWS
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.config.dataset import Dataset

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.", show_default=False)]
View = Annotated[str, typer.Option(metavar="CC|MLO", help="The view of what does not say its own.")]
Side = Annotated[str, typer.Option(metavar="L|R", help="The side of what does not say its own.")]
Recipe = Annotated[
    str | None, typer.Option(help="Which of the run's recipes reads the files; needed if it has several.")
]
Starts = Annotated[int, typer.Option(min=1, help="Latents that the search begins from; the best one counts.")]
Start = Annotated[int, typer.Option(help="Decides about the starts.")]


def placed(view: str, laterality: str) -> tuple[str, str]:
    """Read --view and --laterality; an empty text is one that was not given.

    Raises
    ------
    ConfigError
        If there is no such view or side.
    """
    view, laterality = view.upper(), laterality.upper()
    if view not in ("", *VIEWS):
        raise ConfigError(f"--view '{view}' is neither {' nor '.join(VIEWS)}.")
    if laterality not in ("", "L", "R"):
        raise ConfigError(f"--laterality '{laterality}' is neither L nor R.")
    return view, laterality


def way_out(reason: str) -> str:
    """Say what to do about a file that gave no picture for `reason`, if an option helps."""
    option = {"view-unknown": "--view", "laterality-unknown": "--laterality"}.get(reason)
    return f" Say it by {option}." if option else ""


def recipe_of(run: Path, name: str | None) -> Dataset:
    """Give the recipe by which new files are read: the run's one, or of several that of `name`.

    Raises
    ------
    ConfigError
        If the run has none of that name, or several and no name is given.
    """
    from mammogan.config.run_config import Run as Settings
    from mammogan.config.settings import nearest

    recipes = Settings.load(run).recipes
    known = {recipe.dataset.name: recipe for recipe in recipes}
    if name is None and len(known) == 1:
        return recipes[0]
    if name is None:
        raise ConfigError(
            f"The run learned from several sources: say by --recipe which one the files are like. Valid: "
            f"{', '.join(sorted(known))}."
        )
    if name not in known:
        raise ConfigError(f"--recipe '{name}': the run learned from no such source.{nearest(name, known)}")
    return known[name]
