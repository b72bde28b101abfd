"""`mammogan outlier`: how unusual new files are for what a run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.model_options import check_new, open_model, progress
from mammogan.cli.real_image_options import Recipe, Run, Side, Start, Starts, View, placed, recipe_of, way_out
from mammogan.config.label_fields import VIEWS
from mammogan.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mammogan.steps.score_outliers import Row

UNUSUAL = 0.05
LISTED = 10


def outlier(
    run: Run,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file, or a folder of files.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the scores, new or empty.")],
    view: View = "",
    laterality: Side = "",
    recipe: Recipe = None,
    reals: Annotated[int, typer.Option(min=1, help="Held-out reals of a view to rank among.")] = 100,
    seed: Start = 0,
    starts: Starts = 4,
    steps: Annotated[int, typer.Option(min=1, help="Steps of Adam for each image.")] = 100,
) -> None:
    """Rank new files among held-out reals by the critic's score and by how well they are reconstructed.

    Every file has a line; which file that is stands in a private folder beside OUT.
    """
    from rich.console import Console

    from mammogan.steps.anomaly_score import Gauge
    from mammogan.steps.score_outliers import TABLE, files_of, score_files
    from mammogan.train.gan_inversion import Search

    view, laterality = placed(view, laterality)
    check_new(out)
    settings, files = recipe_of(run, recipe), files_of(source)
    model, _, _ = open_model(run)
    gauge = Gauge(run, model, Search(seed, starts, steps), reals)
    counts = [gauge.count(number) for number in range(len(VIEWS))]
    with progress("held-out reals", sum(counts)) as advance:
        for number, count in enumerate(counts):
            if count:
                gauge.reals(number, advance)
    with progress("files", len(files)) as advance:
        rows = score_files(gauge, settings, files, out, view=view, laterality=laterality, on_progress=advance)
    Console().print(_summary(rows, counts))
    for reason in sorted({row.reason for row in rows if row.reason}):
        count = sum(row.reason == reason for row in rows)
        typer.echo(f"not scored: {count} of {len(rows)}, '{reason}'.{way_out(reason)}")
    unusual = sorted((row.score.p, row.position) for row in rows if row.score and row.score.p <= UNUSUAL)
    if unusual:
        named = ", ".join(f"{position} ({p:.2g})" for p, position in unusual[:LISTED])
        typer.echo(f"most unusual by position (p): {named}")
    typer.echo(f"{out / TABLE} has every file by position; {out}.private/files.jsonl names them")
    if not any(row.score for row in rows):
        raise DataError(f"None of the {len(rows)} files of '{source}' could be scored, as told above.")


def _summary(rows: Sequence[Row], reals: Sequence[int]) -> Table:
    from rich.table import Table

    table = Table("view", "files scored", f"p at most {UNUSUAL:g}", "reals ranked among", "smallest p")
    for view, count in zip(VIEWS, reals, strict=True):
        p = [row.score.p for row in rows if row.score and row.view == view]
        flagged = sum(value <= UNUSUAL for value in p)
        table.add_row(view, str(len(p)), str(flagged), str(count), f"{1 / (count + 1):.2g}")
    return table
