"""`mammogan screen`: which images of a pool lie outside what the reals are like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.cli.model_options import progress
from mammogan.errors import ConfigError


def screen(
    run: Annotated[Path, typer.Argument(help="The run that the pool is of, with its shards and critic.")],
    pool: Annotated[Path, typer.Argument(help="A whole pool with shards.")],
    tail: Annotated[
        float, typer.Option(help="Share of the training reals left out at each end of a measure's range.")
    ] = 0.001,
) -> None:
    """Report a pool's images outside the reals' range of moments, power by octaves, and critic's score.

    Nothing is taken away: screening.json in the pool names each image, and the share of held-out reals that
    are flagged by the same rule.
    """
    from rich.console import Console
    from rich.table import Table

    from mammogan.data.synthetic.synthetic_pool import load_manifest
    from mammogan.steps.screen_pool import FILE_NAME, screen_pool

    if not 0 <= tail < 0.5:
        raise ConfigError(f"--tail '{tail:g}' is not from 0 to below 0.5.")
    with progress("images", load_manifest(pool).pool.images) as advance:
        found = screen_pool(run, pool, tail, advance)
    table = Table("view", "images", "flagged", "held-out reals flagged", "by measure")
    for view in found:
        counts = ", ".join(f"{name} {count}" for name, count in view.by_measure.items() if count) or "none"
        share = f"{view.flagged} ({view.flagged / view.images:.1%})"
        table.add_row(view.view, str(view.images), share, f"{view.null:.1%}", counts)
    Console().print(table)
    typer.echo(f"{pool / FILE_NAME} names them; nothing was taken away")
