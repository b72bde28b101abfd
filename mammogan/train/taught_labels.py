"""The views and labels that a model can be asked for, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mammogan.config.label_fields import CLASSES, UNKNOWN, VIEWS
from mammogan.config.settings import nearest
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mammogan.train.draw_images import Model


def view_number(model: Model, name: str) -> int:
    """Give a view's place in ``VIEWS``.

    Raises
    ------
    ConfigError
        If there is no such view, or the model was not taught it.
    """
    taught = model.taught.get("view", ())
    upper = name.upper()
    if upper not in VIEWS:
        raise ConfigError(f"view '{name}': there is no such view.{nearest(upper, VIEWS)}")
    if upper not in taught:
        known = f"It knows: {', '.join(taught)}." if taught else "It knows no views: leave the view out."
        raise ConfigError(f"view '{name}': this model was not taught the view {upper}. {known}")
    return VIEWS.index(upper)


def class_numbers(model: Model, wanted: Mapping[str, str]) -> dict[str, int]:
    """Give the number of each label's class; the view is no such label.

    Raises
    ------
    ConfigError
        If the model was not taught such a label or class.
    """
    taught = {name: classes for name, classes in model.taught.items() if name != "view"}
    numbers = {}
    for name, value in wanted.items():
        if name == "view":
            raise ConfigError(f"label 'view': the view, '{value}', is given by itself.")
        if name not in taught:
            known = nearest(name, taught) if taught else " It was taught none but the view."
            raise ConfigError(f"label '{name}={value}': this model was not taught the label '{name}'.{known}")
        if value not in taught[name]:
            known = nearest(value, taught[name])
            raise ConfigError(
                f"label '{name}={value}': this model was not taught the {name} '{value}'.{known}"
            )
        numbers[name] = CLASSES[name].index(value)
    return numbers


def class_names(model: Model, labels_F: NDArray[np.int64]) -> dict[str, str]:
    """Name the classes of an image's label numbers (F,), of each field; what is unknown is empty."""
    pairs = zip(model.method.supervision.fields, labels_F.tolist(), strict=True)
    return {name: "" if number == UNKNOWN else CLASSES[name][number] for name, number in pairs}


def check_truncation(truncation: float, name: str = "truncation") -> None:
    """Refuse a truncation outside 0 to 1; `name` is what the user calls it.

    Raises
    ------
    ConfigError
        With what the ends mean.
    """
    if not 0 <= truncation <= 1:
        raise ConfigError(f"{name} '{truncation:g}' is not from 0, the mean image, to 1, all variety.")
