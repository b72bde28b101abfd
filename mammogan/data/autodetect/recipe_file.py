"""The recipe that a folder of pictures is read by: a TOML file that people can edit and use again."""

from __future__ import annotations

from pathlib import Path
from string import Template

from mammogan.config.dataset import Dataset, load_recipe, recipes
from mammogan.data.autodetect.survey import Survey
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.shards.archive import Archive
from mammogan.files import write

# Pictures that people have are cropped, labelled and stretched until tissue is white: rules that refuse an
# archive's only mark them here.
PICTURES = Template(
    """# How the pictures of $folder are read. Change what is wrong, and give the same command again.
# View, side and patient of each stand in $table: correct them there.

[dataset]
name = "pictures"
title = "Pictures of a folder"
licence = "unknown"
conditions = "Ask the data's owner before shards, weights or synthetic images leave the site."

[source]
kind = "images"
view = ["table:view"]
laterality = ["table:side"]
patient = ["table:patient"]

[[source.tables]]
file = "$table"
match = { file = 'path:^(.*)$$' }
required = true

[source.images]
colour = "luminance"
$bits
[screening]
sop_classes = ["SecondaryCaptureImageStorage"]
intents = [""]
smallest_px = [$rows, $columns]
breast_area = [0.02, 1.0]
only_flag = [
    "burned-in", "breast-area", "few-greys", "half-decoded", "too-bright", "orientation",
    "implant-like", "foreign-body", "paddle", "metal",
]

[pixels]
fallback = "breast-range"
background = "film"        # scans and crops, too: base, shading, tape, or none
chest_wall_trim = 0.1      # what is empty at the chest wall is cut off
breast_threshold = 0.05
thin_part = 0.04           # labels, tape and borders thinner than this part of the height are no breast

[packing]
top_px = [$rows, $columns]
"""
)
GENERAL = "folder"
"""The recipe for DICOM files of unknown origin."""
SAMPLE = 200


def best_for_dicoms(survey: Survey, most: int = SAMPLE) -> tuple[str, int, int]:
    """Return the recipe that accepts most of a sample of headers: its name, how many it accepts, of how many.

    Recipes that need tables aren't tried, since those say which of their columns are which.
    """
    paths = survey.dicoms[:: max(1, len(survey.dicoms) // most)]
    accepted: dict[str, int] = {}
    for name in sorted(recipes(), key=lambda name: name != GENERAL):
        recipe = load_recipe(name)
        if recipe.source.kind == "dicom" and not recipe.source.tables:
            accepted[name] = sum(_is_accepted(recipe, survey.folder, path) for path in paths)
    best = max(accepted, key=lambda name: accepted[name])  # of equal ones the first, which is the general one
    return best, accepted[best], len(paths)


def save(path: Path, folder: Path, table: Path, top_px: tuple[int, int], bits: int | None) -> None:
    """Write a recipe for the pictures of `folder`, unless one is there, which somebody may have edited."""
    if path.exists():
        return
    text = PICTURES.substitute(
        folder=folder.name,
        table=table.resolve(),
        rows=top_px[0],
        columns=top_px[1],
        bits=f"bits = {bits}                  # of 16, as the greatest value shows\n" if bits else "",
    )
    write(path, text, mode=0o600)


def _is_accepted(recipe: Dataset, folder: Path, path: str) -> bool:
    try:
        header = Archive(recipe.source, folder, None).header(folder / path)
    except (UnreadableError, OSError):
        return False
    return not screen_header(header, recipe.screening)[0]
