"""The command line: one file a group of verbs, and the only room that prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mammogan import __version__, interruption
from mammogan.cli import loading_notice
from mammogan.cli.command_groups import CommandGroups
from mammogan.errors import MammoganError

app = typer.Typer(
    cls=CommandGroups,
    help="Learns to synthesise full-field digital mammograms on an HPC cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a failure that the user can mend is one message on stderr and an exit code."""
    loading_notice.install(sys.stderr)
    try:
        with interruption.quietly():
            app()
    except MammoganError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "mammogan"):
            raise
        _fail(
            f"This needs the package '{package}', which is not installed here. A command that reads images "
            "needs pip install 'mammogan[data]', one that draws or scores 'mammogan[train]', one that serves "
            "pages 'mammogan[study]', and one that launches a run 'mammogan[launch,train]'.",
            MammoganError.exit_code,
        )
    except OSError as error:
        if error.filename is None:
            raise
        what = f"'{error.filename}': {error.strerror}."
        _fail(f"{what} Check the path, and who may read and write there.", MammoganError.exit_code)


def _fail(message: str, exit_code: int) -> None:
    typer.secho("Error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)
    sys.exit(exit_code)
