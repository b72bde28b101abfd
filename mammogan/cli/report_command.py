"""`mammogan report`: measure and compare a finished run's images again, and write its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammogan.cli.model_options import progress
from mammogan.errors import ConfigError
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.table import Table


def report(
    run: Annotated[Path, typer.Argument(help="A run whose pool is drawn.")],
    weights: Annotated[
        Path | None,
        typer.Option(help="A TorchScript module: Frechet and kernel distance by its features are added."),
    ] = None,
    tasks: Annotated[int, typer.Option(min=1, help="Processes that measure, on any machines.")] = 1,
    task: Annotated[
        int | None, typer.Option(min=0, help="Measure only this one's share, counted from 0; no page.")
    ] = None,
) -> None:
    """Measure a run's synthetics and reals, compare them, and write report/index.html anew.

    Images that were measured are not measured again. With --tasks and --task, several processes share
    them; the command without both then does the rest.
    """
    from rich.console import Console

    from mammogan.config.run_config import Run
    from mammogan.metrics.comparison.metrics_table import METRICS
    from mammogan.steps import STEPS, Task, graph, markers
    from mammogan.steps.assess_images import assess
    from mammogan.steps.compare_sets import compare
    from mammogan.steps.comparison_sets import Subjects
    from mammogan.steps.report_measures import JSON, TABLE, read

    if (tasks > 1) != (task is not None):
        raise ConfigError("--tasks and --task go together: how many processes there are, and which this is.")
    if task is not None and task >= tasks:
        raise ConfigError(f"--task '{task}' is not below --tasks '{tasks}': tasks are counted from 0.")
    settings = Run.load(run)
    subjects = Subjects(run, settings, weights)
    mine = subjects.share(task or 0, tasks)
    with progress("images", sum(len(part.numbers) for part in mine)) as advance:
        assess(subjects, task or 0, tasks, lambda now, total: advance())
    if task is not None:
        typer.echo(f"{len(mine)} of {len(subjects.parts)} parts are measured by this task")
        return
    with progress("families of measures", 2 * len(METRICS) + 1) as advance:
        files = compare(subjects, lambda now, total: advance())
    markers.mark(run, "compare", 0, files)
    node = next(node for node in graph(settings) if node.name == "report")
    markers.mark(run, node.name, 0, STEPS[node.step](Task(run, node, 0), settings))
    folder = RunFolder(run).report
    Console().print(_summary(read(folder)["measures"]))
    typer.echo(
        f"{folder / 'index.html'} shows all of it; {folder / JSON} and {folder / TABLE} hold the numbers"
    )


def _summary(measures: list[dict[str, Any]]) -> Table:
    """Give the page's summary, in its words."""
    from rich.table import Table

    from mammogan.report.measure_labels import headlines, load_labels
    from mammogan.report.quality_section import row

    labels = load_labels()
    table = Table("measure", "view", "value", "95 %", "as few", "real beside real")
    for measure in headlines(measures):
        cells = row(measure, labels)
        name = f"{cells['name']} ({cells['of']})" if cells["of"] else cells["name"]
        table.add_row(name, *(cells[key] for key in ("view", "value", "interval", "matched", "null")))
    return table
