"""Whether the terms of the images let a model be passed on, and whose permission says so if they don't."""

from __future__ import annotations

from mammogan.config.dataset import NO_RELEASE
from mammogan.errors import ConfigError


def forbidding(terms: str) -> list[str]:
    """List the lines of a model's terms that forbid to pass it on, a line a data set."""
    return [line for line in terms.splitlines() if NO_RELEASE in line]


def check_release(terms: str, permission: str, what: str) -> None:
    """Refuse to pass on `what` if its terms forbid that, unless somebody's `permission` is named.

    Raises
    ------
    ConfigError
        With the term.
    """
    if (lines := forbidding(terms)) and not permission.strip():
        raise ConfigError(
            f"'{what}' must not be passed on, by the terms of the images that it learned from: "
            + " ".join(f"'{line}'" for line in lines)
            + " If their owner has permitted it to you in writing, say so: --i-have-permission 'WHO, WHEN'; "
            "the card will show it. `release_models` of your own copy of the recipe is what the next run "
            "goes by."
        )
