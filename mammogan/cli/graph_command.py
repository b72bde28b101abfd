"""`mammogan graph`: the job graph of a run, or of what a launch would run, as a tree or a diagram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.tree import Tree

    from mammogan.cli.graph_drawing import Box


def graph(
    run: Annotated[Path | None, typer.Argument(help="The run's folder, whose states are drawn too.")] = None,
    method: Annotated[
        str | None, typer.Option(help="Without a run: a method's name, or a TOML file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Without a run: the shard set, planned or built.")] = None,
    site: Annotated[str, typer.Option(help="Without a run: a site's name, or a TOML file.")] = "local",
    form: Annotated[str, typer.Option("--format", help="text, mermaid, dot or svg.")] = "text",
) -> None:
    """Draw the job graph: a tree in the terminal, or a diagram's text to redirect into a file."""
    from rich.console import Console

    from mammogan.cli.graph_drawing import DIAGRAMS

    if form != "text" and form not in DIAGRAMS:
        raise ConfigError(f"--format '{form}' is none of: text, {', '.join(DIAGRAMS)}.")
    boxes = _boxes(run, method, data, site)
    if form == "text":
        Console().print(_tree(boxes))
    else:
        typer.echo(DIAGRAMS[form](boxes), nl=False)


def _boxes(run: Path | None, method: str | None, data: Path | None, site: str) -> list[Box]:
    from mammogan.cli.graph_drawing import Box
    from mammogan.cli.launch_command import merged
    from mammogan.cluster.run_state import Watcher
    from mammogan.steps.job_graph import graph as graph_of

    if (run is None) == (method is None and data is None):
        raise ConfigError("Give either a run's folder, or --method and --data of a run to come.")
    if run is not None:
        states = Watcher(run.resolve()).read()
        return [
            Box(s.node.name, s.node.tasks, s.node.resource, s.node.needs, s.state, s.done) for s in states
        ]
    nodes = graph_of(merged(Path(), method, data, site, ()))
    return [Box(node.name, node.tasks, node.resource, node.needs) for node in nodes]


def _tree(boxes: Sequence[Box]) -> Tree:
    """Hang each node below the last that it waits for."""
    from rich.tree import Tree

    from mammogan.cli.run_tables import COLOURS

    root = Tree("jobs", hide_root=True)
    hung: dict[str, Tree] = {}
    for box in boxes:
        parent = hung[box.needs[-1]] if box.needs else root
        hung[box.name] = parent.add(_line(box, COLOURS))
    return root


def _line(box: Box, colours: Mapping[str, str]) -> str:
    several = f" x {box.tasks}" if box.tasks > 1 else ""
    state = f"  [{colours[box.state]}]{box.description}[/]" if box.state else ""
    others = f", and {box.needs[0]} ... {box.needs[-2]}" if len(box.needs) > 2 else ""
    others = f", and {box.needs[0]}" if len(box.needs) == 2 else others
    return f"{box.name}{several} [dim]{box.resource}{others}[/]{state}"
