"""`mammogan sync`: give trackers what a run has logged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.errors import ConfigError, MammoganError, RunFailedError


def sync(run: Annotated[Path, typer.Argument(help="The run's folder.")]) -> None:
    """Bring the site's trackers (MLflow) up to date with a run; nothing is added twice.

    The steps of a run do this themselves as they end; do it by hand after a server was away.
    """
    from rich.console import Console

    from mammogan import tracking
    from mammogan.config.run_config import Run
    from mammogan.steps.tracking_sync import note, summarize

    settings = Run.load(run)
    site = settings.site.tracking
    if site.uri == "off":
        raise ConfigError(
            f"The site '{settings.site.site.name}' of this run has tracking.uri 'off'. Launch the run again "
            "with --set tracking.uri=<URI of the server>, and what it has logged is sent there."
        )
    trackers = {name: tracking.tracker(name)(run, site.uri) for name in site.trackers}
    failed = []
    for name, tracker in trackers.items():
        try:
            with Console(stderr=True).status(f"bringing {name} up to date"):
                tracker.sync(summarize(run, settings))
            note(run, name, notices=(notices := getattr(tracker, "notices", ())))
            for notice in notices:
                typer.echo(f"{name}: {notice}")
            typer.echo(f"{name}: {tracker.destination} is up to date")
        except MammoganError as error:
            failed.append(f"The tracker '{name}': {error}")
            note(run, name, failure=str(error))
        except Exception as error:  # noqa: BLE001 - the other trackers come first; all failures are raised below
            failed.append(f"The tracker '{name}' at '{tracker.destination}' could not be reached ({error}).")
            note(run, name, failure=str(error))
    if failed:
        raise RunFailedError(
            f"{' '.join(failed)} The run's journals keep everything; give the same command again once that "
            "is mended."
        )
    if not trackers:
        typer.echo("The site of this run names no tracker (tracking.trackers): there is nothing to do.")
