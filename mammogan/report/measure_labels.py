"""The report's measures in words, from ``measure_labels.toml``: what each is called and what it tells."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

MOMENTS = ("mean", "sd", "skewness", "kurtosis", "hyperskewness")
HEADLINES = (
    ("joint", "c2st_auc", "breast_moments"),
    ("joint", "c2st_auc", "features"),
    ("distribution", "ovl", "breast_mean"),
    ("distribution", "ovl", "breast_area"),
    ("features", "precision", "random-network"),
    ("features", "coverage", "random-network"),
    ("diversity", "ms_ssim_difference", ""),
    ("spectrum", "beta", ""),
    ("swd", "swd_image", "mean"),
    ("copies", "nearer_to_train", "thumbnail"),
    ("copies", "called_copies", "thumbnail"),
    ("views", "view_told_right", ""),
    ("network", "frechet", "network"),
)
"""The rows of the summary: group, name and what it is taken from."""


@dataclass(frozen=True)
class Words:
    """A measure's name on the page, and what it tells in a sentence."""

    name: str
    tells: str


@dataclass(frozen=True)
class Lexicon:
    """All that the page says: image quantities by name, measures by group and name, texts of groups."""

    quantities: dict[str, str]
    measures: dict[str, dict[str, Words]]
    groups: dict[str, dict[str, str]]


def headlines(measures: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give the measures of the summary, in its order, those of one row for each view."""
    for wanted in HEADLINES:
        yield from (m for m in measures if (m["group"], m["name"], m["of"]) == wanted)


def lexicon() -> Lexicon:
    """Read ``measure_labels.toml``."""
    text = (resources.files("mammogan.report") / "measure_labels.toml").read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    measures = {
        group: {name: Words(**words) for name, words in named.items()}
        for group, named in tree["measures"].items()
    }
    return Lexicon(tree["quantities"], measures, tree["groups"])
