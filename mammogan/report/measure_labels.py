"""The report's measures in words, from ``measure_labels.toml``: what each is called and what it means."""

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
    ("bands", "band_power", "2-4px"),
    ("bands", "anisotropy", "2-4px"),
    ("bands", "background", ""),
    ("swd", "swd_image", "mean"),
    ("copies", "nearer_to_train", "thumbnail"),
    ("copies", "called_copies", "thumbnail"),
    ("views", "view_told_right", ""),
    ("network", "frechet", "network"),
)
"""The rows of the summary: group, name and what it is taken from."""


@dataclass(frozen=True)
class MeasureLabel:
    """A measure's name on the page, and what it means in a sentence."""

    name: str
    meaning: str = ""


@dataclass(frozen=True)
class ReportLabels:
    """All texts: image quantities by name, measures by group and name, and what groups show and don't."""

    quantities: dict[str, str]
    measures: dict[str, dict[str, MeasureLabel]]
    groups: dict[str, dict[str, str]]

    def of(self, measure: Mapping[str, Any]) -> MeasureLabel:
        """Return a measure's label; one without a label keeps its own name."""
        return self.measures.get(measure["group"], {}).get(measure["name"], MeasureLabel(measure["name"]))


def headlines(measures: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the measures of the summary, in its order, those of one row for each view."""
    for wanted in HEADLINES:
        yield from (m for m in measures if (m["group"], m["name"], m["of"]) == wanted)


def load_labels() -> ReportLabels:
    """Read ``measure_labels.toml``."""
    text = (resources.files("mammogan.report") / "measure_labels.toml").read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    measures = {
        group: {name: MeasureLabel(**label) for name, label in named.items()}
        for group, named in tree["measures"].items()
    }
    return ReportLabels(tree["quantities"], measures, tree["groups"])
