"""The analysis as files: JSON, tables, codebook, a page to look at and one to print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mammogan.pages import html_helpers
from mammogan.study.analysis import analysis_figures, plain_language, reading_habits
from mammogan.study.analysis.codebook import TABLES, codebook
from mammogan.study.analysis.reader_tests import least_right
from mammogan.study.analysis.study_statistics import Analysis, as_json

JSON, PAGE, PRINT, CODEBOOK = "analysis.json", "index.html", "print.html", "codebook.md"


def write_folder(found: Analysis, out: Path) -> list[Path]:
    """Write every file of the analysis into `out`, whole or not at all; an older analysis there is replaced.

    Raises
    ------
    ConfigError
        If `out` holds something else.
    """
    rows = {
        "readers.csv": _readers(found),
        "histogram.csv": _histogram(found),
        "groups.csv": _groups(found),
        "differences.csv": _differences(found),
    }
    contents = {
        JSON: as_json(found),
        PAGE: page(found),
        PRINT: page(found, printed=True),
        CODEBOOK: codebook(),
    }
    contents |= {name: html_helpers.table(columns, rows[name]) for name, columns in TABLES.items()}
    return html_helpers.publish(out, JSON, contents)


def page(found: Analysis, printed: bool = False) -> str:
    """Write the results as one HTML page that needs nothing else; `printed` lays it out for A4."""
    drawn = (
        analysis_figures.histogram,
        analysis_figures.shares,
        analysis_figures.differences,
        analysis_figures.readers,
        analysis_figures.roc,
        analysis_figures.times,
    )
    return html_helpers.render(
        "analysis.html",
        printed=printed,
        a=found,
        headline=plain_language.headline(found),
        readings=plain_language.readings(found),
        figures={draw.__name__: draw(found) for draw in drawn},
        cells=_cells(found),
        best=_best(found),
        least_right=least_right(found.design.pairs),
        quantiles=reading_habits.QUANTILES,
    )


def _best(found: Analysis) -> list[dict[str, Any]]:
    """List the readers who beat a coin, best first."""
    rows = [row for row in _readers(found) if row["p_above"] <= 0.05]
    return sorted(rows, key=lambda row: (row["p_above"], row["participant"]))


def _cells(found: Analysis) -> list[tuple[str, int, float]]:
    """Name the chi-square's cells, with what was counted and expected."""
    pooled = found.histogram.pooled
    if pooled is None:
        return []
    names = [f"{a}" if a == b else f"{a}–{b}" for a, b in pooled.cells]
    return list(zip(names, pooled.observed_C, pooled.expected_C, strict=True))


def _readers(found: Analysis) -> Iterator[dict[str, Any]]:
    trials, tests = found.trials, found.readers
    for r, code in enumerate(trials.readers):
        answered, right = int(trials.answered[r]), int(trials.right[r])
        yield {
            "participant": code,
            "role": trials.roles[r],
            "answered": answered,
            "right": right,
            "rate": right / answered,
            "low": float(tests.low_R[r]),
            "high": float(tests.high_R[r]),
            "p_above": float(tests.p_above_R[r]),
            "p_two_sided": float(tests.p_two_sided_R[r]),
            "p_bh": float(tests.p_bh_R[r]),
            "p_holm": float(tests.p_holm_R[r]),
            "complete": int(found.complete_R[r]),
        }


def _histogram(found: Analysis) -> Iterator[dict[str, Any]]:
    shown = found.histogram
    cells = shown.pooled.cells if shown.pooled else ()
    for right, count in enumerate(shown.counts_B.tolist()):
        merged = [number for number, (first, last) in enumerate(cells) if first <= right <= last]
        yield {
            "right": right,
            "rate": right / found.design.pairs,
            "readers": count,
            "expected": float(shown.expected_B[right]),
            "low": int(shown.low_B[right]),
            "high": int(shown.high_B[right]),
            "pooled_cell": merged[0] if merged else "",
        }


def _groups(found: Analysis) -> Iterator[dict[str, Any]]:
    for group in found.groups:
        low, high = group.share.interval() if group.share else ("", "")
        yield {
            "group": group.name,
            "readers": group.readers,
            "trials": group.trials,
            "rate": group.share.value if group.share else "",
            "low": low,
            "high": high,
        }


def _differences(found: Analysis) -> Iterator[dict[str, Any]]:
    for each in found.comparisons:
        known = each.difference
        yield {
            "comparison": each.name,
            "difference": known.value if known else "",
            "low": known.low if known else "",
            "high": known.high if known else "",
            "readers": each.readers,
            "trials": each.trials,
            "note": each.note,
        }
