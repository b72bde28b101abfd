"""The report of a run: one HTML page that needs nothing else, pictures and curves inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammogan.pages.figure_style import inlined
from mammogan.pages.html_helpers import Section, render, render_macro
from mammogan.pages.image_sheet import Image, png, sheet
from mammogan.report import quality_section
from mammogan.report.quality_section import Quality
from mammogan.report.training_curves import loss_curves, swd_curves
from mammogan.run_records import Choice, Score

SHEET_COLUMNS = 8
SHEET_WIDTH_PX = 1100


@dataclass(frozen=True)
class Findings:
    """What the report shows.

    Attributes
    ----------
    title, facts
        Of the run: a line, and pairs of name and value.
    views
        Names of the views, in the order of `real` and `synthetic`.
    real, synthetic
        For each view images, uint16 (H, W).
    losses
        (stage name, metrics of its ticks) for each stage.
    scores
        For each stage the scores of its checkpoints.
    choice
        The checkpoint that was chosen.
    conditions
        What the data's licences demand.
    quality
        What was measured of the pool, if it was.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    views: Sequence[str]
    real: Sequence[Sequence[Image]]
    synthetic: Sequence[Sequence[Image]]
    losses: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
    scores: Sequence[Sequence[Score]]
    choice: Choice
    conditions: Sequence[str] = ()
    quality: Quality | None = None


def sheets(findings: Findings) -> Iterator[Section]:
    """Yield real and synthetic images of each view beside each other."""
    shown = [
        (view, _sheets(real, synthetic))
        for view, real, synthetic in zip(findings.views, findings.real, findings.synthetic, strict=True)
    ]
    html = render_macro("report_sections.html", "sheets", sheets=shown)
    yield Section("sheets", "Real and synthetic, side by side", html, "Images")


def pool(findings: Findings) -> Iterator[Section]:
    """Yield the first images of the pool, view by view."""
    pools = [
        (view, len(images), inlined(contact(images, 2 * SHEET_COLUMNS)))
        for view, images in zip(findings.views, findings.synthetic, strict=True)
        if images
    ]
    yield Section("pool", "The pool", render_macro("report_sections.html", "pool", pools=pools))


def checkpoints(findings: Findings) -> Iterator[Section]:
    """Yield the scores of all checkpoints, stage by stage, and which was chosen."""
    stages = [(scores[0], swd_curves(scores), scores) for scores in findings.scores if scores]
    html = render_macro("report_sections.html", "checkpoints", choice=findings.choice, stages=stages)
    yield Section("checkpoints", "Sliced Wasserstein distance of each checkpoint", html, link="Checkpoints")


def training(findings: Findings) -> Iterator[Section]:
    """Yield the curves of training."""
    html = render_macro("report_sections.html", "training", curves=loss_curves(findings.losses))
    yield Section("training", "Training", html, "Training")


def _measured(section: Callable[[Quality], Iterator[Section]]) -> Callable[[Findings], Iterator[Section]]:
    """Leave a section out of the report of a run of which nothing was measured."""
    return lambda findings: section(findings.quality) if findings.quality else iter(())


REPORT_SECTIONS: dict[str, Callable[[Findings], Iterable[Section]]] = {
    "summary": _measured(quality_section.summary),
    "sheets": sheets,
    "pool": pool,
    "moments": _measured(quality_section.moments),
    "distributions": _measured(quality_section.distributions),
    "tissue": _measured(quality_section.tissue),
    "spectra": _measured(quality_section.power_spectra),
    "groups": _measured(quality_section.groups),
    "checkpoints": checkpoints,
    "training": training,
}
"""The sections of the report in their order; each function yields one, several, or none."""


def page(findings: Findings) -> str:
    """Return the report as HTML."""
    sections = [section for make in REPORT_SECTIONS.values() for section in make(findings)]
    return render("report.html", printed=False, findings=findings, sections=sections)


def contact(images: Sequence[Image], columns: int = SHEET_COLUMNS) -> bytes:
    """Lay images out for the page, enlarged by a whole factor where they are small."""
    enlarge = max(1, SHEET_WIDTH_PX // (columns * images[0].shape[1]))
    return png(sheet(images, columns, enlarge))


def side_by_side(
    real: Sequence[Image], synthetic: Sequence[Image]
) -> tuple[Sequence[Image], Sequence[Image]]:
    """Take as many of both, in whole rows, so that their sheets can be compared at a glance."""
    count = min(len(real), len(synthetic)) or max(len(real), len(synthetic))
    count = count // SHEET_COLUMNS * SHEET_COLUMNS or count
    return real[:count], synthetic[:count]


def _sheets(real: Sequence[Image], synthetic: Sequence[Image]) -> dict[str, str]:
    kinds = dict(zip(("real", "synthetic"), side_by_side(real, synthetic), strict=True))
    return {kind: inlined(contact(images)) if images else "" for kind, images in kinds.items()}
