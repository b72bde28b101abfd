"""`mammogan publish`: an exported model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def publish(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `mammogan export` wrote.")],
    repository: Annotated[
        str, typer.Argument(metavar="ORGANISATION/NAME", help="The hub's name for it; made if it is new.")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody see a new repository; else it is private.")
    ] = False,
) -> None:
    """Push an exported model to the Hugging Face Hub, with your token.

    What the terms of the images forbid to pass on is refused. Without network the folder stays as it is.
    """
    from mammogan.export.publish_folder import publish as push

    typer.echo(f"{folder} is now at {push(folder, repository, public)}")
