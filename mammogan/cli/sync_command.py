"""`mammogan sync`: tell the tracking server what a run has noted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.errors import ConfigError, RunFailedError


def sync(run: Annotated[Path, typer.Argument(help="The run's folder.")]) -> None:
    """Bring MLflow up to date with a run; nothing is added twice.

    The steps of a run do this themselves as they end; do it by hand after the server was away.
    """
    from mammogan import tracking
    from mammogan.config.run_config import Run
    from mammogan.steps.tracking_sync import story

    settings = Run.load(run)
    if settings.site.tracking.uri == "off":
        raise ConfigError(
            f"The site '{settings.site.site.name}' of this run has tracking.uri 'off'. Launch the run again "
            "with --set tracking.uri=<URI of the server>, and what it has noted is told."
        )
    uri = settings.site.tracking.uri or tracking.default_uri(run)
    try:
        tracking.sync(run, uri, story(run, settings))
    except Exception as error:
        raise RunFailedError(
            f"The tracking server '{uri}' could not be told ({error}). The run's journals keep everything; "
            "give the same command again once the server answers."
        ) from error
    typer.echo(f"Told {uri}")
