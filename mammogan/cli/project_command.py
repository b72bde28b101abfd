"""`mammogan project`: the latent that draws a real image best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.cli.model_options import check_new, open_model, progress
from mammogan.cli.real_image_options import Recipe, Run, Side, Start, Starts, View, placed, recipe_of, way_out
from mammogan.config.label_fields import VIEWS
from mammogan.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHEET_PX = 320


def project(
    run: Run,
    image: Annotated[Path, typer.Argument(help="A DICOM file, or what else the recipe reads.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for what is found, new or empty.")],
    view: View = "",
    laterality: Side = "",
    recipe: Recipe = None,
    seed: Start = 0,
    starts: Starts = 4,
    steps: Annotated[int, typer.Option(min=1, help="Steps of Adam.")] = 300,
) -> None:
    """Find the latent that draws a real image best: the picture beside the original, latent and losses.

    The original is laid as the run's shards were. What is written names neither file nor patient.
    """
    from mammogan.data.shards.single_file import Wanted, fetch
    from mammogan.data.store.image_encoding import encode_png
    from mammogan.files import replacing_folder, write
    from mammogan.pages.image_sheet import png
    from mammogan.steps.licence_notice import TERMS
    from mammogan.train.gan_inversion import Search, invert
    from mammogan.train.taught_labels import class_names

    view, laterality = placed(view, laterality)
    check_new(out)
    settings = recipe_of(run, recipe)
    model, terms, about = open_model(run)
    if not image.is_file():
        raise DataError(f"There is no file '{image}' to be projected.")
    fresh = fetch(Wanted(str(image), settings, model.size_px, view, laterality))
    if fresh.image_HW is None:
        raise DataError(f"'{image}' gives no picture: '{fresh.reason}'.{way_out(fresh.reason)}")
    if fresh.burned_in:
        raise DataError(
            f"'{image}' has text in its pixels by Burned In Annotation (0028,0301) 'YES', which may name the "
            "patient, and would stand in the pictures: take a file without."
        )
    with progress("steps", steps) as advance:
        found = invert(model, fresh.image_HW, VIEWS.index(fresh.view), Search(seed, starts, steps), advance)
    facts = {
        **about,
        "view": fresh.view,
        "refused": fresh.refused,
        "size_px": model.size_px,
        "seed": seed,
        "steps": steps,
        "best_start": found.best,
        "error": found.error,
        "labels": class_names(model, found.labels_F),
        "latent": found.latent_Z.tolist(),
        "losses": found.losses_TS.T.tolist(),
    }
    with replacing_folder(out) as folder:
        write(folder / "original.png", encode_png(fresh.image_HW))
        write(folder / "reconstruction.png", encode_png(found.image_HW))
        write(folder / "sheet.png", png(_beside(fresh.image_HW, found.image_HW)))
        write(folder / "projected.json", json.dumps(facts, indent=1))
        write(folder / TERMS, terms)
    typer.echo(f"{out}: {fresh.view}, error {found.error:.4f} of black to white; sheet.png shows it")


def _beside(original_HW: NDArray[np.uint16], drawn_HW: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Lay original, reconstruction and what is between them side by side: mid-grey is no difference."""
    import numpy as np

    from mammogan.pages.image_sheet import sheet
    from mammogan.report.video import doublings, rescaled

    off_HW = (drawn_HW.astype(np.int32) - original_HW) // 2 + 32768
    tiles = [original_HW, drawn_HW, off_HW.astype(np.uint16)]
    return sheet([rescaled(tile, doublings(len(tile), SHEET_PX)) for tile in tiles], len(tiles))
