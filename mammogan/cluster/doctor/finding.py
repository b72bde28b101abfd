"""What a check found: one claim, how it stands, and what to do if it is not true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem", "unchecked"]


@dataclass(frozen=True)
class Finding:
    """One claim of a profile, or of an installation, held against the place itself.

    Attributes
    ----------
    level : str
        ``ok``; ``warning``: runs, but not as meant; ``problem``: jobs fail; ``unchecked``: `found` says why.
    claim : str
        What the profile says or needs.
    found : str
        What there is.
    key : str
        The profile's key that claims it, as ``resources.login.partition``; empty where none does.
    remedy : str
        What to do.
    """

    level: Level
    claim: str
    found: str
    key: str = ""
    remedy: str = ""


def ok(claim: str, found: str, key: str = "") -> Finding:
    """Give a claim that is true."""
    return Finding("ok", claim, found, key)


def warning(claim: str, found: str, key: str, remedy: str) -> Finding:
    """Give a claim that jobs survive, though not as meant."""
    return Finding("warning", claim, found, key, remedy)


def problem(claim: str, found: str, key: str, remedy: str) -> Finding:
    """Give a claim that is not true, so that jobs would fail."""
    return Finding("problem", claim, found, key, remedy)


def unchecked(claim: str, why: str, key: str = "") -> Finding:
    """Give a claim that could not be looked into."""
    return Finding("unchecked", claim, f"not checked: {why}", key)
