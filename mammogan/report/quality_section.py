"""The report's part on quality: what was measured of a run, in the words and pictures of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.pages.figure_style import inlined
from mammogan.pages.image_sheet import Image, png, sheet
from mammogan.report.interval_plot import spelled, strip, verdict
from mammogan.report.measure_labels import MOMENTS, Lexicon, Words, headlines, lexicon
from mammogan.report.moments_plots import histograms, pairs
from mammogan.report.spectrum_plots import spectra

Values = NDArray[np.float64]
DOMAINS = {"all": "whole image", "breast": "breast alone"}
SOURCES = ("real", "synthetic")
TISSUE = ("breast_area", "dense_area", "clipped", "beta")
GALLERY_PX = 150


@dataclass(frozen=True)
class Quality:
    """What was measured.

    Attributes
    ----------
    tree
        As ``measures.json`` holds it (`mammogan.steps.report_measures`).
    images
        ``images[source, view][quantity]``: of each image, (N,).
    closest, duplicates
        Of the tree's gallery with their pictures, uint16 (H, W): (pair, synthetic, the other).
    """

    tree: Mapping[str, Any]
    images: Mapping[tuple[str, str], Mapping[str, Values]]
    closest: Sequence[tuple[Mapping[str, Any], Image, Image]] = ()
    duplicates: Sequence[tuple[Mapping[str, Any], Image, Image]] = ()

    @property
    def views(self) -> tuple[str, ...]:
        """Views that something was measured of."""
        told = [measure["view"] for measure in self.tree["measures"]]
        return tuple(dict.fromkeys(told))


def sections(quality: Quality) -> dict[str, Any]:
    """Give all that the page's template asks for: texts, tables with strips, and figures."""
    words, short = lexicon(), list(headlines(quality.tree["measures"]))
    return {
        "tree": quality.tree,
        "headlines": [(view, [row(m, words) for m in short if m["view"] == view]) for view in quality.views],
        "moments": [
            (view, title, inlined(_moments(quality, view, domain)))
            for view in quality.views
            for domain, title in DOMAINS.items()
        ],
        "comparisons": words.measures["distribution"],
        "distributions": [(view, list(_distributions(quality, view, words))) for view in quality.views],
        "tissue": [(view, _tissue(quality, view, words)) for view in quality.views],
        "spectra": [(view, spectra(curves)) for view, curves in quality.tree["spectra"].items()],
        "groups": [group for key in words.groups if (group := _group(quality, key, words))["rows"]],
        "closest": [_shown(*each) for each in quality.closest],
        "duplicates": [_shown(*each) for each in quality.duplicates],
        "skipped": quality.tree["skipped"],
    }


def row(measure: Mapping[str, Any], words: Lexicon, digits: int = 3) -> dict[str, Any]:
    """Spell a measure out as a row of a table; what the lexicon doesn't know keeps its own name."""
    null = measure["null"]
    said = words.measures.get(measure["group"], {}).get(measure["name"], Words(measure["name"], ""))
    return {
        "name": said.name,
        "tells": said.tells,
        "of": words.quantities.get(measure["of"], measure["of"]),
        "view": measure["view"],
        "value": spelled(measure["value"], digits),
        "interval": _range(measure["ci"], digits),
        "null": _range(null, digits) or _spelled(null["mean"] if null else None, digits),
        **{name: _spelled(measure[name], digits) for name in ("matched", "real", "train")},
        "strip": strip(measure),
        "verdict": verdict(measure),
        "note": measure["note"],
    }


def _group(quality: Quality, key: str, words: Lexicon) -> dict[str, Any]:
    rows = [row(measure, words) for view in quality.views for measure in _found(quality, key, view)]
    told = {each["name"]: each["tells"] for each in rows if each["tells"]}
    return {**words.groups[key], "key": key, "rows": rows, "told": told}


def _distributions(
    quality: Quality, view: str, words: Lexicon
) -> Iterator[tuple[str, list[dict[str, Any] | None]]]:
    """Give a line for each image quantity, with a cell for each comparison; None where it was not made."""
    found = {(m["of"], m["name"]): row(m, words, digits=2) for m in _found(quality, "distribution", view)}
    for of in dict.fromkeys(of for of, _ in found):
        yield words.quantities.get(of, of), [found.get((of, name)) for name in words.measures["distribution"]]


def _found(quality: Quality, group: str, view: str) -> list[Mapping[str, Any]]:
    return [m for m in quality.tree["measures"] if (m["group"], m["view"]) == (group, view)]


def _moments(quality: Quality, view: str, domain: str) -> bytes:
    columns = [f"{domain}_{moment}" for moment in MOMENTS]
    real, synthetic = (quality.images[source, view] for source in SOURCES)
    real_NM, synthetic_NM = (np.column_stack([each[name] for name in columns]) for each in (real, synthetic))
    return pairs(real_NM, synthetic_NM, MOMENTS)


def _tissue(quality: Quality, view: str, words: Lexicon) -> str:
    real, synthetic = (quality.images[source, view] for source in SOURCES)
    return histograms([(words.quantities[name], real[name], synthetic[name]) for name in TISSUE])


def _shown(pair: Mapping[str, Any], synthetic_HW: Image, other_HW: Image) -> dict[str, Any]:
    other_HW = other_HW[:, ::-1] if pair["flipped"] else other_HW
    step = max(1, synthetic_HW.shape[1] // GALLERY_PX)
    enlarge = max(1, GALLERY_PX // synthetic_HW.shape[1])
    both = [image_HW[::step, ::step] for image_HW in (synthetic_HW, other_HW)]
    return {**pair, "picture": inlined(png(sheet(both, 2, enlarge)))}


def _range(interval: Mapping[str, Any] | None, digits: int) -> str:
    if not interval or interval["low"] is None or interval["high"] is None:
        return ""
    return f"{spelled(interval['low'], digits)} to {spelled(interval['high'], digits)}"


def _spelled(number: float | None, digits: int) -> str:
    return "" if number is None else spelled(number, digits)
