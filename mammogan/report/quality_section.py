"""The report's sections on quality: what was measured of a run, as tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.pages.figure_style import inlined
from mammogan.pages.html_helpers import Section, render_macro
from mammogan.pages.image_sheet import Image, png, sheet
from mammogan.report.interval_plot import format_number, interval_plot, verdict
from mammogan.report.measure_labels import MOMENTS, ReportLabels, headlines, load_labels
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
        return tuple(dict.fromkeys(measure["view"] for measure in self.tree["measures"]))


def summary(quality: Quality) -> Iterator[Section]:
    """Yield the rows that a reader looks at first, view by view, and what could not be measured."""
    labels, short = load_labels(), list(headlines(quality.tree["measures"]))
    tables = [(view, [row(m, labels) for m in short if m["view"] == view]) for view in quality.views]
    yield _section("summary", "short", "In short", "In short", tree=quality.tree, headlines=tables)


def moments(quality: Quality) -> Iterator[Section]:
    """Yield the moments plots of each view and region."""
    plots = [
        (view, title, inlined(_moments(quality, view, domain)))
        for view in quality.views
        for domain, title in DOMAINS.items()
    ]
    yield _section("moments", "moments", "Moments", "Moments", tree=quality.tree, plots=plots)


def distributions(quality: Quality) -> Iterator[Section]:
    """Yield a table for each view: image quantities down, comparisons of distributions across."""
    labels = load_labels()
    tables = [(view, list(_distributions(quality, view, labels))) for view in quality.views]
    shown = labels.measures["distribution"]
    yield _section(
        "distributions", "distributions", "One quantity at a time", "Quantities", labels=shown, tables=tables
    )


def tissue(quality: Quality) -> Iterator[Section]:
    """Yield histograms of breast area, density and clipping."""
    labels = load_labels()
    figures = [(view, _tissue(quality, view, labels)) for view in quality.views]
    yield _section("tissue", "tissue", "Breast and tissue", "Tissue", figures=figures)


def power_spectra(quality: Quality) -> Iterator[Section]:
    """Yield the power spectrum of each view."""
    figures = [(view, spectra(curves)) for view, curves in quality.tree["spectra"].items()]
    title = "Power spectrum of tissue"
    yield _section("spectra", "spectra", title, "Spectrum", tree=quality.tree, figures=figures)


def groups(quality: Quality) -> Iterator[Section]:
    """Yield a table for each group of measures; one without a text is called by its name."""
    labels = load_labels()
    known = [*labels.groups, *(measure["group"] for measure in quality.tree["measures"])]
    for key in dict.fromkeys(known):
        rows = [row(measure, labels) for view in quality.views for measure in _found(quality, key, view)]
        if rows and key != "distribution":
            texts = labels.groups.get(key)
            meanings = {each["name"]: each["meaning"] for each in rows if each["meaning"]}
            title = texts["title"] if texts else key
            section = _section("group", key, title, title, measures=rows, meanings=meanings, texts=texts)
            gallery = _galleries(quality) if key == "copies" else ""
            yield replace(section, html=section.html + gallery)


def row(measure: Mapping[str, Any], labels: ReportLabels, digits: int = 3) -> dict[str, Any]:
    """Return a measure as texts for a row of a table; what has no label keeps its own name."""
    null, label = measure["null"], labels.of(measure)
    return {
        "name": label.name,
        "meaning": label.meaning,
        "of": labels.quantities.get(measure["of"], measure["of"]),
        "view": measure["view"],
        "value": format_number(measure["value"], digits),
        "interval": _range(measure["ci"], digits),
        "null": _range(null, digits) or _known(null["mean"] if null else None, digits),
        **{name: _known(measure[name], digits) for name in ("matched", "real", "train")},
        "plot": interval_plot(measure),
        "verdict": verdict(measure),
        "note": measure["note"],
    }


def _section(macro: str, anchor: str, title: str, link: str, **values: Any) -> Section:
    return Section(anchor, title, render_macro("report_sections.html", macro, **values), link)


def _galleries(quality: Quality) -> str:
    pairs_of = {"closest": quality.closest, "duplicates": quality.duplicates}
    shown = {name: [_shown(*each) for each in pairs] for name, pairs in pairs_of.items()}
    return render_macro("report_sections.html", "galleries", **shown)


def _distributions(
    quality: Quality, view: str, labels: ReportLabels
) -> Iterator[tuple[str, list[dict[str, Any] | None]]]:
    """Yield a line for each image quantity, with a cell for each comparison; None where it was not made."""
    found = {(m["of"], m["name"]): row(m, labels, digits=2) for m in _found(quality, "distribution", view)}
    for of in dict.fromkeys(of for of, _ in found):
        yield (
            labels.quantities.get(of, of),
            [found.get((of, name)) for name in labels.measures["distribution"]],
        )


def _found(quality: Quality, group: str, view: str) -> list[Mapping[str, Any]]:
    return [m for m in quality.tree["measures"] if (m["group"], m["view"]) == (group, view)]


def _moments(quality: Quality, view: str, domain: str) -> bytes:
    columns = [f"{domain}_{moment}" for moment in MOMENTS]
    real, synthetic = (quality.images[source, view] for source in SOURCES)
    real_NM, synthetic_NM = (np.column_stack([each[name] for name in columns]) for each in (real, synthetic))
    return pairs(real_NM, synthetic_NM, MOMENTS)


def _tissue(quality: Quality, view: str, labels: ReportLabels) -> str:
    real, synthetic = (quality.images[source, view] for source in SOURCES)
    return histograms([(labels.quantities[name], real[name], synthetic[name]) for name in TISSUE])


def _shown(pair: Mapping[str, Any], synthetic_HW: Image, other_HW: Image) -> dict[str, Any]:
    other_HW = other_HW[:, ::-1] if pair["flipped"] else other_HW
    step = max(1, synthetic_HW.shape[1] // GALLERY_PX)
    enlarge = max(1, GALLERY_PX // synthetic_HW.shape[1])
    both = [image_HW[::step, ::step] for image_HW in (synthetic_HW, other_HW)]
    return {**pair, "picture": inlined(png(sheet(both, 2, enlarge)))}


def _range(interval: Mapping[str, Any] | None, digits: int) -> str:
    if not interval or interval["low"] is None or interval["high"] is None:
        return ""
    return f"{format_number(interval['low'], digits)} to {format_number(interval['high'], digits)}"


def _known(number: float | None, digits: int) -> str:
    return "" if number is None else format_number(number, digits)
