"""New mammograms scored by how far they are from what a run has learned, file by file."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.config.label_fields import VIEWS
from mammogan.errors import DataError
from mammogan.files import replacing_folder, write
from mammogan.steps.anomaly_score import Score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mammogan.config.dataset import Dataset
    from mammogan.data.shards.single_file import Fresh
    from mammogan.steps.anomaly_score import Gauge

TABLE, FACTS = "outliers.csv", "outliers.json"


@dataclass(frozen=True)
class Row:
    """What became of the file at `position`: a score, or the `reason` why it has none.

    `refused` is the rule by which the recipe would leave the image out of a shard set; it has a score all the
    same.
    """

    position: int
    view: str
    reason: str
    refused: str
    score: Score | None


def files_of(source: Path) -> list[tuple[str, str]]:
    """List a file, or all files below a folder, in the order of their paths; with why one can't be read.

    Raises
    ------
    DataError
        If there is nothing, or the folder can't be listed.
    """
    from mammogan.data.shards.file_listing import walk

    if not source.exists():
        raise DataError(f"There is no file or folder '{source}' to be scored.")
    found = sorted(walk(source))
    if not found:
        raise DataError(f"The folder '{source}' holds no file to be scored.")
    return found


def score_files(
    gauge: Gauge,
    recipe: Dataset,
    files: Sequence[tuple[str, str]],
    out: Path,
    *,
    view: str = "",
    laterality: str = "",
    workers: int | None = 1,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Score files and write ``outliers.csv`` and ``outliers.json`` into `out`, a line a file, none left out.

    Files are named there by their position only; which path that is stands in `files.jsonl` of the folder
    ``<out>.private``, for its owner's eyes.

    Parameters
    ----------
    files
        Paths, each with why it can't be read, or an empty text; see `files_of`.
    view, laterality
        Taken where a file does not say its own.
    workers
        Processes that read, each with limits of time and memory; 0 reads in this one.
    """
    from mammogan.data.process_pool import ordered
    from mammogan.data.shards.single_file import Fresh, Wanted, fetch, lost
    from mammogan.data.store import private_folder

    wanted = (Wanted(path, recipe, gauge.model.size_px, view, laterality) for path, _ in files)
    rows: list[Row] = []
    with replacing_folder(out) as folder:
        for (_, reason), fresh in zip(files, ordered(fetch, wanted, workers, lost), strict=True):
            rows.append(_row(gauge, len(rows), Fresh(reason=reason) if reason else fresh))
            on_progress()
        secret = private_folder.create(out)
        lines = ({"position": row.position, "path": path} for row, (path, _) in zip(rows, files, strict=True))
        private_folder.write_lines(secret / "files.jsonl", lines)
        write(folder / TABLE, _table(rows))
        write(folder / FACTS, json.dumps({**gauge.facts, **_counts(rows)}, indent=1))
    return rows


def _row(gauge: Gauge, position: int, fresh: Fresh) -> Row:
    if fresh.image_HW is None:
        return Row(position, fresh.view, fresh.reason, fresh.refused, None)
    if not gauge.count(VIEWS.index(fresh.view)):
        return Row(position, fresh.view, "no-held-out-reals", fresh.refused, None)
    score = gauge.score(fresh.image_HW, VIEWS.index(fresh.view))
    return Row(position, fresh.view, "", fresh.refused, score)


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    reasons = Counter(row.reason for row in rows if row.score is None)
    return {
        "files": len(rows),
        "scored": len(rows) - reasons.total(),
        "not_scored": dict(sorted(reasons.items())),
    }


def _table(rows: Sequence[Row]) -> str:
    names = [field.name for field in fields(Score)]
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(["position", "view", "outcome", "reason", "refused", *names])
    for row in rows:
        values = asdict(row.score) if row.score else {}
        cells = [row.position, row.view, "scored" if row.score else "not-scored", row.reason, row.refused]
        lines.writerow([*cells, *(f"{values[name]:.6g}" if values else "" for name in names)])
    return stream.getvalue()
