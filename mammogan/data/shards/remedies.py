"""What to set so that images which a set has left out come in: for messages, as ``--set`` takes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from mammogan.config.dataset import Dataset, recipes
from mammogan.config.screening_settings import PixelFlag

NAMES = (
    "Pictures are expected to be named as P12_L_CC.png (patient, side, view; blanks, hyphens and underscores "
    "are alike), or these facts to stand in a table, a CSV (docs/quickstart.md). What other names, tables "
    "and pixels say, `mammogan quickstart FOLDER` works out."
)
NAMELESS = {
    "view-unknown": ("If all show one view", 'source.view=["is:MLO"]'),
    "laterality-unknown": ("If all are of one side", 'source.laterality=["is:L"]'),
    "patient-unknown": ("If each picture is of another woman", 'source.patient=["path:(.+)"]'),
}
"""By reason for which names of pictures, or a table of them, are to blame: when a setting helps, and it."""
SETTINGS = {
    "frame-size": "screening.smallest_px=[1,1]",
    "no-window": 'pixels.fallback="breast-range"',
    "colour": 'source.images.colour="luminance"',
    "bit-depth": "source.images.bits=16",
}
"""By reason that no flag takes the place of: what lets such images pass."""


def settings(reasons: Collection[str], recipe: Dataset) -> list[str]:
    """List settings by which images that were refused for `reasons` pass: rules that can, mark them only."""
    found = [SETTINGS[reason] for reason in reasons if reason in SETTINGS]
    if rules := [reason for reason in reasons if reason in get_args(PixelFlag)]:
        flags = sorted({*recipe.screening.only_flag, *rules})
        found.append(f"screening.only_flag={json.dumps(flags)}")
    return found


def naming(reasons: Collection[str], recipe: Dataset, command: str) -> Iterator[str]:
    """Say how pictures are to be named, where their names tell nothing; `command` plans anew."""
    unknown = [reason for reason in NAMELESS if reason in reasons]
    if recipe.source.kind != "images" or not unknown:
        return
    yield NAMES
    for reason in unknown:
        when, setting = NAMELESS[reason]
        yield f"{when}:\n  {command} {given([setting])}"


def again(shardset: Path) -> str:
    """Return the command that plans the sources of a set anew: in its place, or beside it if it is built."""
    shown = shlex.quote(str(shardset))
    built = any(shardset.glob("*/*.tar"))
    return (
        f"mammogan shards plan {shown}-2 --like {shown}" if built else f"mammogan shards plan {shown} --again"
    )


def anew(shardset: Path, recipe: Dataset, folder: Path) -> str:
    """Return the command that plans a set from one folder."""
    name = recipe.dataset.name if recipe.dataset.name in recipes() else "YOUR.toml"
    return f"mammogan shards plan {shlex.quote(str(shardset))} --from {name}={shlex.quote(str(folder))}"


def given(settings: Collection[str]) -> str:
    """Spell settings for a shell."""
    return " ".join(f"--set {shlex.quote(text)}" for text in settings)
