"""The command line: one file a group of verbs, and the only room that prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mammogan import __version__, interruption
from mammogan.cli import loading_notice, review_command, shards_command, study_command
from mammogan.cli.cost_command import cost
from mammogan.cli.doctor_command import doctor
from mammogan.cli.draw_command import draw, film, video
from mammogan.cli.graph_command import graph
from mammogan.cli.launch_command import launch
from mammogan.cli.outlier_command import outlier
from mammogan.cli.phantom_command import phantom
from mammogan.cli.project_command import project
from mammogan.cli.quickstart_command import quickstart
from mammogan.cli.report_command import report
from mammogan.cli.retry_command import retry
from mammogan.cli.run_commands import cancel, logs, step
from mammogan.cli.sample_command import sample
from mammogan.cli.screen_command import screen
from mammogan.cli.status_command import status
from mammogan.cli.sync_command import sync
from mammogan.cli.ui_command import ui
from mammogan.errors import MammoganError

app = typer.Typer(
    help="Learns to synthesise full-field digital mammograms on an HPC cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(quickstart)
app.command()(phantom)
app.add_typer(shards_command.app, name="shards")
app.add_typer(study_command.app, name="study")
app.add_typer(review_command.app, name="review")
RUNS = (doctor, launch, status, logs, cancel, retry, graph, cost, step, report, sync, ui)
MODELS = (draw, video, sample, screen, project, outlier)
for command in (*RUNS, *MODELS):
    app.command()(command)
app.command("film", hidden=True)(film)


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
            "pages 'mammogan[study]'.",
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
