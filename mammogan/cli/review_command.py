"""`mammogan review`: the artefact review, from its pictures to the list of accepted ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.study_run_command import (
    Host,
    Port,
    Real,
    RootPath,
    Run,
    Synthetic,
    asked_sources,
    tell_links,
)
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from mammogan.study.review.review_results import Results

app = typer.Typer(
    help="Look for artefacts, blinded, on real and synthetic images.",
    no_args_is_help=True,
    add_completion=False,
)
Folder = Annotated[Path, typer.Argument(metavar="REVIEW", help="Folder of the review.")]
Early = Annotated[
    bool, typer.Option("--early", help="Before all have ended; who sees it should review no more.")
]
RuleName = Annotated[
    str,
    typer.Option(
        metavar="unanimous|majority", help="Take images on which nobody, or less than half, saw an artefact."
    ),
]


@app.command(epilog="Example: mammogan review new artefacts runs/first")
def new(
    review: Annotated[Path, typer.Argument(metavar="REVIEW", help="Folder to make.")],
    run: Run = None,
    real: Real = None,
    synthetic: Synthetic = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file: reviewers, numbers, kinds of artefacts; docs/review.md.")
    ] = None,
) -> None:
    """Fix a review: its pictures, reviewers and kinds of artefacts, before anybody looks."""
    from mammogan.cli.model_options import check_new, progress_of
    from mammogan.config.settings import load
    from mammogan.steps.review_images import new_review
    from mammogan.steps.study_images import open_sources
    from mammogan.study.review.review_settings import ReviewFile

    check_new(review)
    sources = open_sources(*asked_sources(run, real, synthetic))
    file = load(ReviewFile, settings) if settings else ReviewFile()
    with progress_of("pictures") as on_progress:
        made = new_review(review, file, sources, on_progress)
    typer.echo(f"{review}: {made.review_id}, {len(made.reviewers)} reviewers, {len(made.artefacts)} kinds")
    typer.echo(f"Next: mammogan review serve {review}")


@app.command(epilog="Example: mammogan review serve artefacts --host 0.0.0.0")
def serve(review: Folder, host: Host = "127.0.0.1", port: Port = 8502, root_path: RootPath = "") -> None:
    """Serve a review until Ctrl-C; killed at any moment, it goes on where it was when served again."""
    from mammogan.study.review.review_service import ReviewService
    from mammogan.study.review.review_site import ADMIN, make
    from mammogan.study.web.web_server import listening, run

    with listening(host, port) as (listener, address):
        service = ReviewService(review)
        try:
            links = {
                f"Reviewer {number} ({service.review.reviewers[number - 1]})": (f"as-{number}", token)
                for number, token in enumerate(service.secret.reviewers, 1)
            }
            tell_links(address, {**links, "Yourself": (ADMIN, service.secret.admin)}, root_path)
            run(make(service, root_path), listener)
        finally:
            service.store.close()


@app.command(epilog="Example: mammogan review status artefacts")
def status(review: Folder) -> None:
    """Tell how far reviewers are, also while it is served; never what they found."""
    from rich.console import Console
    from rich.table import Table

    found = _results(review)
    table = Table("reviewer", "", "looked at", "of", "taken back", "session")
    for number, one in enumerate(found.reviewers, 1):
        counts = (one.seen, one.total, one.undone)
        table.add_row(str(number), one.description, *map(str, counts), "ended" if one.is_finished else "open")
    typer.echo(f"{found.review.title} ({found.review.review_id})")
    Console().print(table)


@app.command(epilog="Example: mammogan review report artefacts artefacts-report")
def report(
    review: Folder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for pages, table and JSON.")],
    early: Early = False,
) -> None:
    """Tell what was found: rates by source and view, the excess over reals, kinds, and agreement."""
    from rich.console import Console

    from mammogan.study.review.review_page import PAGE, PRINT, write_folder
    from mammogan.study.web.image_store import ImageStore

    found = unblinded(review, early)
    write_folder(found, ImageStore(review), out)
    Console().print(_summary(found))
    typer.echo(f"{out / PAGE} shows everything, {out / PRINT} is to print.")


@app.command(epilog="Example: mammogan review accepted artefacts accepted.json")
def accepted(
    review: Folder,
    out: Annotated[Path, typer.Argument(metavar="OUT.json", help="File for the list.")],
    rule: RuleName = "unanimous",
    early: Early = False,
) -> None:
    """List the synthetic images that were looked at and found clean, for `study new --accepted`."""
    from mammogan.files import write

    names, looked_at, _ = _accepted(review, rule, early)
    write(out, json.dumps(names, indent=1) + "\n")
    typer.echo(f"{out}: {len(names)} of {looked_at} synthetic images. Results with them hold for such only.")


@app.command(epilog="Example: mammogan review export artefacts pool accepted")
def export(
    review: Folder,
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="The pool that was reviewed.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the images, new or empty.")],
    rule: RuleName = "unanimous",
    early: Early = False,
) -> None:
    """Copy the accepted images of a pool, as PNG, and as DICOM if the pool has those."""
    from mammogan.cli.model_options import check_new, progress
    from mammogan.steps.review_images import export_accepted

    check_new(out)
    names, looked_at, model_id = _accepted(review, rule, early)
    with progress("images", len(names)) as advance:
        pngs, dicoms = export_accepted(names, model_id, pool, out, advance)
    typer.echo(f"{out}: {pngs} PNG and {dicoms} DICOM files, of {looked_at} synthetic images looked at")


def _results(review: Path) -> Results:
    from mammogan.study.review.review_folder import load_review
    from mammogan.study.review.review_results import results
    from mammogan.study.review.verdicts import TABLES
    from mammogan.study.web.answer_store import peek
    from mammogan.study.web.image_store import load_index

    fixed, index = load_review(review), load_index(review)
    return results(fixed, index, fixed.plan(index), peek(review, TABLES))


def unblinded(review: Path, early: bool) -> Results:
    """Give what was found, if everybody has ended or it is asked for nevertheless."""
    found = _results(review)
    if not found.is_complete and not early:
        open_ones = [str(number) for number, one in enumerate(found.reviewers, 1) if not one.is_finished]
        raise ConfigError(
            f"Reviewer {', '.join(open_ones)} of '{review}' has not ended the session, and nobody who still "
            "looks should know what was found. --early shows it nevertheless."
        )
    return found


def _accepted(review: Path, rule: str, early: bool) -> tuple[list[str], int, str]:
    """Give the names of accepted images, how many synthetic ones were looked at, and the model's identity."""
    from mammogan.config.settings import nearest
    from mammogan.study.review.review_results import RULES
    from mammogan.study.review.review_results import accepted as accept
    from mammogan.study.review.verdicts import TABLES
    from mammogan.study.web.answer_store import peek
    from mammogan.study.web.image_store import load_index

    chosen = next((known for known in RULES if known == rule), None)
    if chosen is None:
        raise ConfigError(f"--rule '{rule}': there is no such rule.{nearest(rule, RULES)}")
    found, index = unblinded(review, early), load_index(review)
    names = accept(index, found.review.plan(index), peek(review, TABLES), chosen)
    return names, found.views[0].synthetic.of, found.review.model_id


def _summary(found: Results) -> Table:
    from rich.table import Table

    from mammogan.pages.html_helpers import between, percent

    table = Table("view", "synthetic", "95 %", "real", "95 %", "excess, points")
    for row in found.views:
        more = row.excess
        cells = [
            (percent(rate.value), between(*rate.interval)) if rate.of else ("", "")
            for rate in (row.synthetic, row.real)
        ]
        excess = f"{100 * more.value:+.1f} ({100 * more.low:+.1f} to {100 * more.high:+.1f})" if more else ""
        table.add_row(row.name, *cells[0], *cells[1], excess)
    return table
