"""The measures of a run's report, as files: ``report/measures.json``, the same flat as CSV, images as CSV.

``measures.json`` holds

- `format`, `run`, `checkpoint` (SHA-256), `size_px` (height, width);
- `held_out`: the split that ``real`` means, ``test`` or, in a set without one, ``validation``; `patients`:
  ``known`` if reals are resampled by patient, ``unknown`` if by image (the set's private folder is not here);
- `spacing_mm`: median size of a real's pixel, null if the set does not know it;
- `settings`: those of the method's table ``assessment`` and the constants that decide about numbers;
- `sets`: ``sets[view][source]`` with `images`, `patients` and `flat` (images without shape, left out of
  moments); sources are ``synthetic``, ``real`` (held out) and ``train``;
- `measures`: a list of `mammogan.metrics.comparison.measure.Measure`, each as an object of its fields;
- `spectra`: ``spectra[view]``, see `mammogan.metrics.comparison.spectrum_measures`: lists by radial
  frequency; with `octaves` and `anisotropy`, see `mammogan.metrics.comparison.band_measures`;
- `quartiles`: ``quartiles[view][of][source]``, the five numbers minimum to maximum of each image quantity;
- `gallery`: `closest`, the synthetics that lie closest to a training image, and `duplicates`, pairs within
  the synthetic set; images are told by their number, see `mammogan.metrics.comparison.measure.Pair`;
- `skipped`: what could not be measured, and why, as texts.

Numbers that are not finite are null. Nothing in here names a patient, a file or a sample of the shard set.

``images.csv`` has a line an image: `source`, `view`, `number` (of a synthetic, its number in the pool; of a
real, its place among those looked at), and a column for each image quantity.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.errors import DataError
from mammogan.files import write

if TYPE_CHECKING:
    import numpy as np

    from mammogan.metrics.comparison.measure import Measure, Pair

FORMAT = 1
JSON, TABLE, IMAGES = "measures.json", "measures.csv", "images.csv"


@dataclass
class Report:
    """All that is written; see above."""

    about: dict[str, Any]
    measures: list[Measure] = field(default_factory=list)
    spectra: dict[str, Any] = field(default_factory=dict)
    quartiles: dict[str, Any] = field(default_factory=dict)
    gallery: dict[str, list[Pair]] = field(default_factory=lambda: {"closest": [], "duplicates": []})
    skipped: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> list[Path]:
        """Write ``measures.json`` and ``measures.csv`` into `folder`."""
        tree = {
            "format": FORMAT,
            **self.about,
            "measures": [asdict(measure) for measure in self.measures],
            "spectra": self.spectra,
            "quartiles": self.quartiles,
            "gallery": {name: [asdict(pair) for pair in pairs] for name, pairs in self.gallery.items()},
            "skipped": self.skipped,
        }
        paths = [folder / JSON, folder / TABLE]
        write(paths[0], json.dumps(_finite(tree), indent=1) + "\n")
        write(paths[1], table(self.measures))
        return paths


def read(folder: Path) -> dict[str, Any]:
    """Read what `Report.write` has left.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    path = folder / JSON
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"'{path}' is missing: the step 'compare' writes it, and `mammogan report` does it again."
        ) from None
    except ValueError as error:
        raise DataError(f"'{path}' is damaged: {error}. `mammogan report` writes it again.") from None
    if tree.get("format") != FORMAT:
        raise DataError(
            f"'{path}' has format '{tree.get('format')}', and this MammoGAN reads {FORMAT}: "
            "`mammogan report` writes it again."
        )
    return tree


def read_images(folder: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Read ``images.csv``: by source and view, of each quantity a number an image, NaN where there is none.

    Raises
    ------
    DataError
        If it is missing.
    """
    import numpy as np

    path = folder / IMAGES
    if not path.exists():
        raise DataError(f"'{path}' is missing: `mammogan report` writes it again.")
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            columns = found.setdefault((line.pop("source"), line.pop("view")), {})
            for name, cell in line.items():
                columns.setdefault(name, []).append(float(cell or "nan"))
    return {key: {name: np.array(v) for name, v in columns.items()} for key, columns in found.items()}


def table(measures: Iterable[Measure]) -> str:
    """List measures as CSV, a line each; intervals have columns of their own, and None is empty."""
    from mammogan.metrics.comparison.measure import Interval, Measure

    names = [name for each in fields(Measure) for name in _columns(each.name, fields(Interval))]
    rows = []
    for measure in measures:
        row: dict[str, Any] = {}
        for name, value in asdict(measure).items():
            parts = value or {} if name in ("ci", "null") else None
            row |= {name: value} if parts is None else {f"{name}_{key}": part for key, part in parts.items()}
        rows.append(row)
    return spelled(names, rows)


def spelled(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Spell rows as CSV, numbers with six digits; what is None or not finite is empty."""
    stream = io.StringIO()
    lines, columns = csv.writer(stream, lineterminator="\n"), list(names)
    lines.writerow(columns)
    for row in rows:
        lines.writerow([_cell(row.get(name)) for name in columns])
    return stream.getvalue()


def _columns(name: str, parts: Iterable[Field[Any]]) -> list[str]:
    return [f"{name}_{each.name}" for each in parts] if name in ("ci", "null") else [name]


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _finite(tree: Any) -> Any:
    """Give the tree with null for what is not finite, which JSON has no number for."""
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
