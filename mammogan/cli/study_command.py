"""`mammogan study`: the reader study and its statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammogan.cli import study_run_command

app = typer.Typer(
    help="Ask readers which images are synthetic, and analyse what they say.",
    no_args_is_help=True,
    add_completion=False,
)
for command, example in study_run_command.COMMANDS:
    app.command(epilog=f"Example: {example}")(command)


@app.command(epilog="Example: mammogan study analyse readers-export results")
def analyse(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TRIALS.csv|STUDY", help="A table of trials, or the folder of a locked study."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for pages, tables and analysis.json.")],
    margin: Annotated[
        float | None,
        typer.Option(help="Of the equivalence test, for a table without its study.json; without it 0.1."),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs a reader, for a table without its study.json; without it the most."),
    ] = None,
) -> None:
    """Compute the statistics of a study: pages to look at and to print, tables, and every number as JSON."""
    from mammogan.pages.html_helpers import p_is, percent
    from mammogan.study.analysis.analysis_page import PAGE, PRINT, write_folder
    from mammogan.study.analysis.plain_language import headline, readings
    from mammogan.study.analysis.read_trials import read, silent
    from mammogan.study.analysis.study_design import design_of, find_trials
    from mammogan.study.analysis.study_statistics import analyse as compute

    path = find_trials(source)
    trials = read(path)
    found = compute(trials, design_of(path, trials, margin, pairs), silent(path, trials))
    write_folder(found, out)
    typer.echo(headline(found))
    pooled = found.histogram.pooled
    typer.echo(
        f"{len(trials.readers)} readers, {len(trials.reader_N)} pairs, {percent(found.share.value)} right; "
        f"chi-square of counts {p_is(pooled.p if pooled else None)}, by drawing "
        f"{p_is(found.histogram.monte_carlo_p)}."
    )
    typer.echo(readings(found)["readers"].shows)
    if found.incomplete:
        typer.echo(
            f"{len(found.incomplete)} readers stopped early: their answers count, not in the histogram."
        )
    typer.echo(f"{out / PAGE} shows everything, {out / PRINT} is to print.")


@app.command(epilog="Example: mammogan study simulate rehearsal.csv --radiologists 10")
def simulate(
    out: Annotated[Path, typer.Argument(metavar="TRIALS.csv", help="Table to write, as `export` does.")],
    radiologists: Annotated[int, typer.Option(min=0, help="Readers who are.")] = 55,
    others: Annotated[int, typer.Option(min=0, help="Readers who aren't.")] = 62,
    pairs: Annotated[int, typer.Option(min=2, help="Pairs a reader.")] = 10,
    images: Annotated[int, typer.Option(min=1, help="Images of each view and kind.")] = 100,
    rate: Annotated[float, typer.Option(help="Share of right answers, over all readers and images.")] = 0.5,
    reader_sd: Annotated[float, typer.Option(min=0, help="Spread of readers, in d' of one image.")] = 0.0,
    image_sd: Annotated[float, typer.Option(min=0, help="Spread of images of either kind, likewise.")] = 0.0,
    experts: Annotated[int, typer.Option(min=0, help="Readers who are right in 95 %.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides every answer.")] = 0,
) -> None:
    """Invent the answers of a study, to rehearse its analysis before anybody has read."""
    from mammogan.errors import ConfigError
    from mammogan.study.analysis.simulate_readers import Plan
    from mammogan.study.analysis.simulate_readers import simulate as invent
    from mammogan.study.analysis.write_trials import write_trials

    if not 0 < rate < 1:
        raise ConfigError(f"--rate '{rate:g}' is not between 0 and 1.")
    if not radiologists + others:
        raise ConfigError("A study needs readers: give --radiologists or --others.")
    if images < (pairs + 1) // 2:
        raise ConfigError(
            f"--images '{images}' is too few: a reader sees {(pairs + 1) // 2} of a view, each once."
        )
    sds = {"reader_sd": reader_sd, "real_sd": image_sd, "synth_sd": image_sd}
    plan = Plan(radiologists, others, pairs, images, rate, experts=experts, **sds)
    write_trials(out, invent(plan, seed))
    typer.echo(f"{out}: {plan.readers * pairs} invented answers; next: mammogan study analyse {out} FOLDER")
