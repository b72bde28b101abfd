"""Names of other people's Python in settings, ``package.module:Name``, and what stands behind them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from mammogan.errors import ConfigError

REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Tell whether a setting names Python of somebody else, as ``package.module:Name``."""
    return REFERENCE.fullmatch(text) is not None


def resolve(reference: str, key: str) -> Any:
    """Import what a reference names; `key` is the setting that holds it.

    Raises
    ------
    ConfigError
        If the module can't be imported, or has nothing of that name.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except AttributeError:
        raise ConfigError(f"{key} '{reference}': the module '{module}' has no '{name}'.") from None
    except Exception as error:  # noqa: BLE001 - it is somebody else's code, which may do anything
        raise ConfigError(
            f"{key} '{reference}': the module '{module}' can't be imported: {type(error).__name__}: {error}. "
            "Install its package where jobs run and where you launch, or put its folder into PYTHONPATH in "
            "both, for jobs in [environment.variables] of the site's profile."
        ) from None
