"""The result as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mammogan.files import write
from tests.bench.quality.contenders import ROOT

PAGE = ROOT / "docs" / "quality.md"
BEGIN, END = "<!-- measured by make quality -->\n", "<!-- end of quality -->\n"
SINGLES = {
    "swd_above_floor": ("SWD above the floor", 1),
    "mmd_net": ("MMD, net", 2),
    "finest_power": ("finest band", 2),
    "background": ("background", 2),
}
PAIRS = {"precision": 2, "recall": 2, "density": 2, "coverage": 2}
STRIPES = ("stripes_1", "stripes_2", "stripes_3")


@dataclass(frozen=True)
class Judged:
    """A row: who, with which seed, what its training was, and what the judge found."""

    name: str
    seed: int
    training: dict[str, Any]
    measures: dict[str, float]


def table(rows: Sequence[Judged]) -> Iterator[str]:
    """Write a row for each contender and seed below one of training reals; ± is the sd over the draws."""
    heads = ["contender", "seed", "CPU s", "kimg at the top"]
    heads += [SINGLES["swd_above_floor"][0], *(f"{name}, PCA / net" for name in PAIRS), SINGLES["mmd_net"][0]]
    heads += ["stripes, 3 finest bands", SINGLES["finest_power"][0], SINGLES["background"][0]]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    if not rows:
        return
    yield _line(["training reals", "", "", ""], rows[0].measures, "_floor")
    for row in rows:
        kimg = row.training.get("kimg")
        facts = [
            row.name,
            str(row.seed),
            f"{row.training['cpu_s']:.0f}",
            "" if kimg is None else f"{kimg:.1f}",
        ]
        yield _line(facts, row.measures, "")


def _line(facts: list[str], measures: dict[str, float], kind: str) -> str:
    def cell(name: str, digits: int, sd: bool = True) -> str:
        value = measures.get(f"{name}{kind}", 0.0)  # only the floor's distance above the floor is not there
        shaken = measures.get(f"{name}{kind}_sd", measures.get("swd_floor_sd", 0.0))
        if math.isnan(value):
            return "-"
        if abs(value) >= 1000:  # so far off that digits say nothing
            return f"{value:.1e}"
        return f"{value:.{digits}f} ± {shaken:.{digits}f}" if sd else f"{value:.{digits}f}"

    cells = [cell("swd_above_floor", 1)]
    cells += [
        f"{cell(f'{name}_pca', digits)} / {cell(f'{name}_net', digits)}" for name, digits in PAIRS.items()
    ]
    cells += [cell("mmd_net", 2), " ".join(cell(name, 1, sd=False) for name in STRIPES)]
    cells += [cell("finest_power", 2), cell("background", 2)]
    return f"| {' | '.join([*facts, *cells])} |"


def paces(rows: Sequence[Judged]) -> Iterator[str]:
    """Write the measured CPU seconds a kimg of those that have them, fade and stable, at every resolution."""
    known = {row.name: row.training["stages"] for row in rows if "stable_s_per_kimg" in _first(row)}
    if not known:
        return
    sizes = [f"{stage['height_px']}x{stage['width_px']}" for stage in next(iter(known.values()))]
    yield f"| CPU s a kimg, fade / stable | {' | '.join(sizes)} |"
    yield "|" + "---|" * (len(sizes) + 1)
    for name, stages in known.items():
        cells = [f"{stage['fade_s_per_kimg']:.3g} / {stage['stable_s_per_kimg']:.3g}" for stage in stages]
        yield f"| {name} | {' | '.join(cells)} |"


def _first(row: Judged) -> dict[str, Any]:
    stages = row.training.get("stages") or [{}]
    found: dict[str, Any] = stages[0]
    return found


def write_page(lines: Sequence[str]) -> None:
    """Put the result between the markers of docs/quality.md."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    write(PAGE, before + BEGIN + "\n".join(lines) + "\n" + END + after)
