"""`mammogan ui`: open MLflow's page on a run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from mammogan import interruption
from mammogan.errors import ConfigError


def ui(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    browser: Annotated[bool, typer.Option(help="Open it in a browser, if there is a screen.")] = True,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Of a database file's page on this machine; 0 is a free one."),
    ] = 0,
) -> None:
    """Open MLflow's table of training runs at the run's experiment, and print where it is.

    Without a tracking server it is served here, for this machine alone, until Ctrl-C.
    """
    from mammogan.config.run_config import Run
    from mammogan.tracking.mlflow_page import page

    site = Run.load(run).site
    tracking = site.tracking
    if tracking.uri == "off" or "mlflow" not in tracking.trackers:
        key = "tracking.uri 'off'" if tracking.uri == "off" else "no 'mlflow' in tracking.trackers"
        raise ConfigError(
            f"The site '{site.site.name}' of this run has {key}, so that there is no page. Launch the run "
            f"again with another, or look at '{run / 'report'}' and `mammogan status {run}`."
        )
    served = not tracking.uri.startswith("http")
    if served:
        typer.echo("Starting MLflow's page, which takes some seconds.", err=True)
    interruption.explain("MLflow's page is closed; what was logged stays.")
    with page(run, tracking.uri, tracking.experiment, port) as url:
        typer.echo(url)
        if browser:
            _open(url)
        if served:
            typer.echo("Ctrl-C ends it.", err=True)
            signal.pause()


def _open(url: str) -> None:
    """Open a browser where there is a screen; one for a terminal would take it from this command."""
    import webbrowser

    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
