"""The report of a review: a page to look at, one to print, tables and JSON.

Pictures on it are synthetic ones only: patients' images stay in the review.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mammogan.pages import html_helpers
from mammogan.pages.figure_style import INK, LINE, MUTED, REAL, SYNTHETIC, inlined, style_axes, svg
from mammogan.pages.html_helpers import Reading
from mammogan.pages.image_sheet import png, sheet
from mammogan.study.review.review_results import Results, Row, as_json
from mammogan.study.web.image_store import ImageStore

JSON, PAGE, PRINT, RATES = "review.json", "index.html", "print.html", "rates.csv"
SHOWN = 6
"""Examples of each kind of artefact."""
EXAMPLE_PX = 320
COLUMNS = {
    "table": "views, kinds or reviewers.",
    "name": "View, kind or reviewer.",
    "source": "synthetic or real.",
    "artefacts": "Images with an artefact, or with one of the kind.",
    "images": "Images that were looked at.",
    "rate": "artefacts / images.",
    "low": "Lower end of Wilson's 95 % interval.",
    "high": "Upper end.",
}


def write_folder(found: Results, image_store: ImageStore, out: Path) -> list[Path]:
    """Write every file of the report into `out`, whole or not at all; an older report there is replaced.

    Raises
    ------
    ConfigError
        If `out` holds something else.
    """
    contents = {
        JSON: as_json(found),
        RATES: html_helpers.table(COLUMNS, _rows(found)),
        PAGE: page(found, image_store),
        PRINT: page(found, image_store, printed=True),
    }
    return html_helpers.publish(out, RATES, contents)


def page(found: Results, image_store: ImageStore, printed: bool = False) -> str:
    """Write the report as one HTML page that needs nothing else; `printed` lays it out for A4."""
    kinds = [row for row in found.kinds if row.synthetic.hits or row.real.hits]
    return html_helpers.render(
        "review_report.html",
        printed=printed,
        r=found,
        kinds=sorted(kinds, key=lambda row: -row.synthetic.hits - row.real.hits),
        figure=forest(found.views),
        examples=_examples(found, image_store),
        readings=_readings(found),
    )


def forest(rows: tuple[Row, ...]) -> str:
    """Draw the rates of both sources with their intervals, row by row."""
    figure = Figure(figsize=(9.2, 0.9 + 0.55 * len(rows)), layout="constrained")
    axes, most = figure.subplots(), 0.0
    for place, row in enumerate(rows):
        for shift, rate, colour, label in (
            (-0.14, row.synthetic, SYNTHETIC, "synthetic"),
            (0.14, row.real, REAL, "real"),
        ):
            if rate.of:
                low, high = rate.interval
                most = max(most, high)
                axes.hlines(place + shift, low, high, color=colour, linewidth=1.8)
                axes.plot(
                    rate.value, place + shift, "s", color=colour, markersize=5.5, label="" if place else label
                )
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8.5, color=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(0.02, most * 1.06))
    style_axes(axes, x="share of images with an artefact, 95 % interval")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=LINE, linewidth=0.5, alpha=0.6)
    if most:
        axes.legend(frameon=False, fontsize=8, labelcolor=MUTED, loc="lower right")
    return svg(figure)


def _examples(found: Results, image_store: ImageStore) -> list[tuple[str, int, str]]:
    """Show some synthetic images of each kind of artefact that any has: label, how many, picture."""
    index, shown = image_store.index, []
    records = {picture.key: number for number, picture in enumerate(image_store.pictures)}
    for kind in found.review.artefacts:
        keys = [
            picture.key
            for picture in index.pictures
            if picture.source == "synthetic" and kind.name in found.judged.get(picture.key, ())
        ]
        if keys:
            step = max(1, -(-index.height_px // EXAMPLE_PX))
            images = []
            for key in keys[:SHOWN]:
                grey = np.frombuffer(image_store.read(records[key]), np.uint8)
                image_HW = grey.reshape(index.height_px, index.width_px)[::step, ::step]
                images.append((image_HW.astype(np.uint16) << 8).astype(np.uint16))
            shown.append((kind.label, len(keys), inlined(png(sheet(images, len(images))))))
    return shown


def _rows(found: Results) -> Iterator[dict[str, Any]]:
    tables = {
        "views": found.views,
        "kinds": found.kinds,
        "reviewers": tuple(reviewer.rates for reviewer in found.reviewers),
    }
    for name, rows in tables.items():
        for row in rows:
            for source, rate in (("synthetic", row.synthetic), ("real", row.real)):
                low, high = rate.interval
                yield {
                    "table": name,
                    "name": row.name,
                    "source": source,
                    "artefacts": rate.hits,
                    "images": rate.of,
                    "rate": rate.value if rate.of else "",
                    "low": low,
                    "high": high,
                }


def _readings(found: Results) -> dict[str, Reading]:
    overall = found.views[0]
    more = overall.excess
    if more is None:
        shows = "Nothing yet: images of one source were not looked at."
    elif more.low > 0:
        shows = (
            f"Synthetic images have artefacts more often than real ones, by {100 * more.low:.1f} to "
            f"{100 * more.high:.1f} points."
        )
    else:
        shows = (
            "No excess over real images is shown; one of up to "
            f"{100 * more.high:.1f} points remains possible."
        )
    return {
        "rates": Reading(
            shows,
            "Reviewers call something an artefact on real images, too: only the excess is the generator's. "
            "A rate depends on who looks and how closely, so rates of other studies are no yardstick.",
        ),
        "kinds": Reading(
            "Which kinds were named, and so where the generator is weak; an image may have several.",
            "Kinds are what reviewers called them; with few images of a kind its interval is wide.",
        ),
        "agreement": Reading(
            "How far two reviewers, not knowing of each other, say the same of the same images.",
            "Two who agree can both be wrong. Kappa is low where artefacts are rare, whatever reviewers do; "
            "the agreement on artefacts stands beside it.",
        ),
    }
