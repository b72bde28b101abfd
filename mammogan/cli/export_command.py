"""`mammogan export`: a model in the form that another tool loads, with its card and terms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.model_options import check_new

if TYPE_CHECKING:
    from mammogan.study.review.review_results import Results


def export(
    source: Annotated[Path, typer.Argument(metavar="MODEL", help="A run, or the folder of its model.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the export, new or empty.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="huggingface, safetensors, torchscript, pt2, onnx, monai-bundle or medigan: docs/export.md.",
        ),
    ] = "huggingface",
    review: Annotated[
        Path | None, typer.Option(metavar="REVIEW", help="An artefact review of it, for the card.")
    ] = None,
    permission: Annotated[
        str,
        typer.Option(
            "--i-have-permission",
            metavar="WHO, WHEN",
            help="Who permitted to pass on a model that the images' terms forbid to; the card shows it.",
        ),
    ] = "",
) -> None:
    """Write a model for other tools: weights or a graph, a model card and the terms of the images.

    What is written draws the same images without MammoGAN, any number of them at once.
    """
    from mammogan.export.exported_model import open_exported
    from mammogan.export.model_formats import export as write_format

    check_new(out)
    found = _reviewed(review) if review else None
    write_format(open_exported(source), form, out, permission, found)
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    typer.echo(f"{out}: {', '.join(files)}. README.md is its card: read it before you pass it on.")


def _reviewed(review: Path) -> Results:
    from mammogan.cli.review_command import unblinded

    return unblinded(review, False)
