"""What the commands that draw share: opening a model, and the views and labels that it can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.train.draw_images import Model

Shown = list[tuple[str, int | None]]
"""Views by name and number; None is a model that was taught no views."""

View = Annotated[
    str | None,
    typer.Option(metavar="CC|MLO|both", help="The view; without it both, if the model knows them."),
]
Seed = Annotated[
    int | None, typer.Option(help="Decides about every image; without it the run's, as in its pool.")
]
First = Annotated[int, typer.Option(min=0, help="Number of the first image.")]
Truncation = Annotated[
    float, typer.Option(help="From 1, all the model's variety, to 0, the mean image of each view.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="FIELD=CLASS", help="A further label, as density=b; repeatable."),
]


def open_model(source: Path) -> tuple[Model, str, dict[str, Any]]:
    """Load a model onto this machine's device; give it with its terms, and what identifies it."""
    from mammogan.files import sha256
    from mammogan.steps.model_folder import model_folder, read_terms
    from mammogan.train import accelerator
    from mammogan.train.export_model import WEIGHTS, load, weights_of

    folder = model_folder(source)
    accelerator.prepare(device := accelerator.local_device())
    model = load(folder)
    model.generator.to(device)
    terms = read_terms(folder)
    return model, terms, {"method": model.method.method.name, WEIGHTS: sha256(weights_of(folder))}


def check_new(out: Path) -> None:
    """Refuse a folder that holds anything."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"'{out}' is no empty folder: give another, so that no two results are mixed up.")


def asked_views(model: Model, asked: str | None) -> Shown:
    """Give the views that are asked for, of those that the model was taught.

    Raises
    ------
    ConfigError
        If there is no such view, or the model does not know it.
    """
    from mammogan.config.label_fields import VIEWS
    from mammogan.config.settings import nearest

    taught = model.taught.get("view", ())
    if asked is None:
        return [(name, VIEWS.index(name)) for name in taught] or [("any", None)]
    valid = {**{name.lower(): (name,) for name in VIEWS}, "both": VIEWS}
    if asked.lower() not in valid:
        raise ConfigError(f"--view '{asked}': there is no such view.{nearest(asked, (*VIEWS, 'both'))}")
    names = valid[asked.lower()]
    if missing := [name for name in names if name not in taught]:
        known = f"It knows: {', '.join(taught)}." if taught else "It knows no views: leave out --view."
        raise ConfigError(f"--view '{asked}': this model was not taught the view {missing[0]}. {known}")
    return [(name, VIEWS.index(name)) for name in names]


def asked_labels(model: Model, texts: Sequence[str]) -> dict[str, int]:
    """Read ``field=class`` options as class numbers.

    Raises
    ------
    ConfigError
        If the model was not taught such a label.
    """
    from mammogan.train.taught_labels import class_numbers

    wanted = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--label '{text}' is not of the form FIELD=CLASS, as in density=b.")
        if name == "view":
            raise ConfigError(f"--label '{text}': the view has an option of its own, --view.")
        wanted[name] = value
    return class_numbers(model, wanted)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal while the block runs; what is given advances it by one."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        update(done, total)

    with progress_of(what) as update:
        update(0, total)
        yield advance


def check_truncation(truncation: float) -> None:
    """Refuse a truncation outside 0 to 1."""
    from mammogan.train import taught_labels

    taught_labels.check_truncation(truncation, "--truncation")


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal while the block runs; what is given sets what is done, and of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
