"""Measure the pixel rules on phantoms with known truth, and write the tables of docs/screening.md.

    python -m tests.bench.rules [--patients 25] [--frame-scale 0.5] [--workers 2]

Every patient is another woman with another draw of the trouble; the same arguments give the same tables.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom import uid

from mammogan.config.dataset import load_recipe
from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.dicom.orientation import Turn
from mammogan.data.phantom import header_edits
from mammogan.data.phantom.defects import BOTH, Defect, make_defective, zeroed
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.pixel_rules import PIXEL_RULES
from mammogan.files import write

PAGE = Path(__file__).parents[2] / "docs" / "screening.md"
BEGIN, END = "<!-- measured by make rules -->\n", "<!-- end of measured -->\n"
SEED = 4711  # on which no rule was tuned
Z = 1.959964  # 95 %
OBLIQUE = (("L", "MLO"), ("R", "MLO"))


def constant(ds, pixels):
    return np.full_like(pixels, 700)


def sliver(ds, pixels):
    """Move the plate away from the breast, until a twentieth of its depth is left on it."""
    depth = int(np.flatnonzero((pixels > 0).any(axis=0)).size * 0.95)
    moved = np.zeros_like(pixels)
    if ds.ImageLaterality == "L":
        moved[:, :-depth] = pixels[:, depth:]
    else:
        moved[:, depth:] = pixels[:, :-depth]
    return moved


def stuck(ds, pixels):
    """Repeat the middle row to the end, as a line buffer that is not filled any more."""
    pixels = pixels.copy()
    pixels[len(pixels) // 2 :] = pixels[len(pixels) // 2]
    return pixels


@dataclass(frozen=True)
class Kind:
    """What is wrong with a phantom, in words, and the rule that should say so; none for good ones."""

    name: str
    rule: str
    defect: Defect
    share: int = 1  # so many times as many patients as of the others


def half(name, start, stop, syntax):
    damage = partial(zeroed, start=start, stop=stop)
    return Kind(name, "half-decoded", Defect(name, views=BOTH, syntax=syntax, pixel_damage=damage))


def lies(name, turn):
    return Kind(
        name, "orientation-conflict", Defect(name, views=BOTH, edit=header_edits.turned(turn, tagged=False))
    )


KINDS = (
    Kind("good phantoms", "", Defect("clean", views=BOTH), 6),
    Kind("frames turned by 90 degrees", "", Defect("lying", views=BOTH, edit=header_edits.turned(Turn(90)))),
    Kind(
        "white calcifications to 2 mm", "", Defect("white", views=BOTH, findings=("coarse_calcifications",))
    ),
    Kind("implant", "implant-like", Defect("implant", views=BOTH, findings=("implant",))),
    Kind("pacemaker", "foreign-body", Defect("pacemaker", views=OBLIQUE, findings=("pacemaker",))),
    Kind("surgical clips", "metal", Defect("clips", views=BOTH, findings=("clips",))),
    Kind("localisation wire", "metal", Defect("wire", views=BOTH, findings=("wire",))),
    Kind("paddle: walls of a spot paddle", "paddle", Defect("rim", views=BOTH, findings=("paddle_rim",))),
    Kind("paddle: field shuttered", "paddle", Defect("shutter", views=BOTH, findings=("paddle_shutter",))),
    Kind("paddle: lip at the chest wall", "paddle", Defect("lip", views=BOTH, findings=("paddle_lip",))),
    Kind("wrong side", "orientation", Defect("mirrored", views=BOTH, edit=header_edits.mirrored)),
    lies("turned by 180 degrees and not told", Turn(180)),
    lies("turned by 90 degrees and not told", Turn(90)),
    lies("mirrored and not told", Turn(0, mirrored=True)),
    Kind("nearly black", "too-dark", Defect("dark", views=BOTH, edit=header_edits.windowed(2))),
    Kind("nearly white", "too-bright", Defect("bright", views=BOTH, edit=header_edits.windowed(-3))),
    Kind("a lesion's mask", "few-greys", Defect("mask", views=BOTH, edit=header_edits.outlined)),
    Kind("breast beside the plate", "breast-area", Defect("sliver", views=BOTH, edit=sliver)),
    Kind("one grey", "constant-image", Defect("constant", views=BOTH, edit=constant)),
    Kind("rows repeat", "half-decoded", Defect("stuck", views=BOTH, edit=stuck)),
    half("raw, second half zeros", 0.5, 1, uid.ExplicitVRLittleEndian),
    half("JPEG lossless, half zeros", 0.4, 0.9, uid.JPEGLosslessSV1),
    half("JPEG lossless, hole of 1 %", 0.4, 0.41, uid.JPEGLosslessSV1),
    half("JPEG-LS, half zeros", 0.4, 0.9, uid.JPEGLSLossless),
    half("JPEG-LS, hole of 1 %", 0.4, 0.41, uid.JPEGLSLossless),
    half("RLE, hole of 1 %", 0.4, 0.41, uid.RLELossless),
    half("JPEG 2000, half zeros", 0.4, 0.9, uid.JPEG2000Lossless),
)


def look(frame_scale, job):
    """Give what is said about each image of one patient: rules, or why it was not decoded."""
    number, patient = job
    cv2.setNumThreads(1)
    kind, recipe = KINDS[number], load_recipe("phantom")
    said = []
    for file in make_defective(kind.defect, SEED, patient, frame_scale):
        dicom = pydicom.dcmread(io.BytesIO(file.data))
        try:
            picture = take(
                dicom, file.truth["view"], file.truth["laterality"], recipe.pixels, recipe.packing.top_px
            )
        except UnreadableError as error:
            said.append((str(error),))
            continue
        said.append(
            tuple(n for n, rule in PIXEL_RULES.items() if rule.holds(picture.measures[n], recipe.screening))
        )
    return number, said


def measure(patients, frame_scale, workers):
    """Give what was said about every image, by the number of its kind."""
    jobs = [(k, p) for k, kind in enumerate(KINDS) for p in range(patients * kind.share)]
    said = {number: [] for number in range(len(KINDS))}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for number, views in pool.map(partial(look, frame_scale), jobs, chunksize=4):
            said[number] += views
    return said


def of(count, total):
    """Write a fraction with its interval (Wilson, 95 %)."""
    share, spread = count / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    reach = Z / (1 + spread) * np.sqrt(share * (1 - share) / total + spread / (4 * total))
    return f"{count} of {total} ({100 * max(middle - reach, 0):.1f}-{100 * min(middle + reach, 1):.1f} %)"


def recall_table(said):
    yield "| What is wrong | Its rule | Its rule speaks | Any rule speaks, or the decoder gives up |"
    yield "| --- | --- | --- | --- |"
    for number, kind in enumerate(KINDS):
        if kind.rule:
            images = said[number]
            named, noticed = sum(kind.rule in rules for rules in images), sum(map(bool, images))
            yield f"| {kind.name} | `{kind.rule}` | {of(named, len(images))} | {of(noticed, len(images))} |"


def false_table(said):
    good = {kind.name: said[number] for number, kind in enumerate(KINDS) if not kind.rule}
    yield (
        "| Rule | Threshold in `[screening]` | Measures | "
        + " | ".join(f"Speaks of {name}" for name in good)
        + " |"
    )
    yield "| --- | --- | --- |" + " --- |" * len(good)
    for rule, row in PIXEL_RULES.items():
        if rule == "no-window":  # a choice of [pixels] fallback
            continue
        keys = row.thresholds
        set_at = ", ".join(f"`{key} = {_plain(getattr(Screening(), key))}`" for key in keys) or "-"
        counts = [of(sum(rule in rules for rules in images), len(images)) for images in good.values()]
        yield f"| `{rule}` | {set_at} | {row.unit} | {' | '.join(counts)} |"
    counts = [of(sum(map(bool, images)), len(images)) for images in good.values()]
    yield f"| any | | | {' | '.join(counts)} |"


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--patients", type=int, default=25, help="of each kind; of good ones six times as many"
    )
    parser.add_argument("--frame-scale", type=float, default=0.5, help="of the detectors' frames")
    parser.add_argument("--workers", type=int, default=cpu_count())
    parser.add_argument(
        "--no-page", action="store_true", help="print only, and leave docs/screening.md alone"
    )
    asked = parser.parse_args()
    start = time.perf_counter()
    said = measure(asked.patients, asked.frame_scale, asked.workers)
    head = (
        f"`python -m tests.bench.rules --patients {asked.patients} --frame-scale {asked.frame_scale:g}`: "
        f"{sum(map(len, said.values()))} phantoms, in brackets the 95 % interval."
    )
    text = "\n".join([head, "", *recall_table(said), "", *false_table(said)]) + "\n"
    sys.stdout.write(text)
    for number, kind in enumerate(KINDS):
        reasons = Counter(rule for rules in said[number] for rule in rules)
        sys.stdout.write(f"{kind.name}: {dict(reasons.most_common())}\n")
    sys.stdout.write(f"{time.perf_counter() - start:.0f} s\n")
    if not asked.no_page:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        write(PAGE, before + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
