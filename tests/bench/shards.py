"""Measure how fast shards are built and read, as ratios within one run, for docs/speed.md.

    python -m tests.bench.shards [--patients 4] [--rounds 3] [--only raw,jpeg,jpeg2000,reading] [--write]

Phantoms of full size, each a few times with a little more light, are encoded once (build/bench). Contenders
take turns, with all cores busy; a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pydicom
import webdataset as wds
from PIL import Image
from pydicom import uid
from pydicom.pixels.processing import apply_windowing

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.decode import decode, read
from mammogan.data.phantom.phantom_files import make_patient
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store.image_encoding import encode_png, webdataset_decoder
from mammogan.files import write
from tests.data.forms import compressed, uncompressed

ROOT = Path(__file__).parents[2]
CACHE, PAGE = ROOT / "build" / "bench", ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- measured by make bench -->\n", "<!-- end of measured -->\n"
CORES = len(os.sched_getaffinity(0))
COPIES = 3
SYNTAXES = {
    "raw": uid.ExplicitVRLittleEndian,
    "jpeg": uid.JPEGLosslessSV1,
    "jpeg2000": uid.JPEG2000Lossless,
}
NAMES = {"raw": "uncompressed", "jpeg": "JPEG lossless", "jpeg2000": "JPEG 2000"}
# Of the bare decode rate, and of the obvious pipeline with one rung written; no bound on decoding raw values.
TARGETS = {"raw": (None, 5), "jpeg": (0.5, 4), "jpeg2000": (0.8, 1.25)}
TOP = (1280, 1024)
ONE_RUNG = ("packing.base_px=[1280,1024]",)
HALVED = (*ONE_RUNG, "pixels.jpeg2000_reduce=1")


@dataclass(frozen=True)
class Row:
    """A line of the table: a rate, what it is held against, and the bound."""

    what: str
    rates: list[float]
    against: str
    others: list[float]
    target: float | None = None

    def __str__(self) -> str:
        ratio = median(mine / other for mine, other in zip(self.rates, self.others, strict=True))
        verdict = "" if self.target is None else ("yes" if ratio >= self.target else "**no**")
        bound = "" if self.target is None else f"{self.target:g}"
        beside = f"{self.against}: {median(self.others):.1f}"
        return f"| {self.what} | {median(self.rates):.1f} | {beside} | {ratio:.2f} | {bound} | {verdict} |"


def encode_patient(patients: int, patient: int) -> None:
    """Write the four views of one patient, and brighter copies, in every syntax."""
    for number, made in enumerate(make_patient(2, patient, 1.0)):
        dicom = pydicom.dcmread(io.BytesIO(made.data))
        stored = decode(dicom)
        for copy in range(COPIES):
            pixels = np.minimum(stored + np.uint16(copy), 2**dicom.BitsStored - 1)
            dicom.SOPInstanceUID = dicom.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid(
                entropy_srcs=[f"{patient}/{number}/{copy}"]
            )
            for name, syntax in SYNTAXES.items():
                path = CACHE / f"{name}-{patients}" / f"{patient}-{number}-{copy}.dcm"
                path.parent.mkdir(parents=True, exist_ok=True)
                make = uncompressed if name == "raw" else compressed
                pydicom.dcmwrite(path, make(dicom, syntax, pixels), enforce_file_format=True)


def bare(path: Path) -> None:
    """Decode, by the fastest decoder that is exact, and nothing else."""
    decode(read(path)).max()  # a map of raw values is read only when it is looked at


def obvious(path: Path) -> None:
    """Do what most scripts do: pydicom, floats, Lanczos, 8-bit PNG."""
    dicom = pydicom.dcmread(path)
    grey = apply_windowing(dicom.pixel_array.astype(np.float64), dicom)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    image = Image.fromarray((grey * 255).astype(np.uint8)).resize(TOP[::-1], Image.Resampling.LANCZOS)
    image.save(io.BytesIO(), "PNG")


def with_opencv(path: Path) -> None:
    """Do the better script: OpenCV's area filter, 16-bit PNG."""
    dicom = pydicom.dcmread(path)
    grey = apply_windowing(dicom.pixel_array, dicom)
    grey = cv2.resize(grey.astype(np.float32), TOP[::-1], interpolation=cv2.INTER_AREA)
    cv2.imencode(".png", (grey / grey.max() * 65535).astype(np.uint16))


def single_threaded() -> None:
    cv2.setNumThreads(1)


def rate(pool: ProcessPoolExecutor, work: Callable[[Path], None], files: list[Path]) -> float:
    begin = time.perf_counter()
    list(pool.map(work, files))
    return len(files) / (time.perf_counter() - begin)


def built(files: Path, changes: tuple[str, ...] = ()) -> float:
    """Build a set anew and give its images a second, from the first image to the last."""
    shardset = CACHE / "set"
    for left in CACHE.glob("set*"):
        shutil.rmtree(left)
    recipe = load_recipe("phantom", ("packing.samples_per_shard=16", *changes))
    plan(shardset, [(recipe, files)])
    times: list[float] = []
    manifest = build(shardset, on_progress=lambda done, total: times.append(time.perf_counter()))
    assert manifest.images == len(list(files.iterdir())), f"some were left out: {manifest.tallies}"
    warm = 2 * CORES  # a worker's first image waits for its imports
    return (len(times) - 1 - warm) / (times[-1] - times[warm])


def building(name: str, patients: int, rounds: int) -> Iterator[Row]:
    folder = CACHE / f"{name}-{patients}"
    files = sorted(folder.iterdir())
    with ProcessPoolExecutor(CORES, get_context("spawn"), initializer=single_threaded) as pool:
        list(pool.map(bare, files[: 2 * CORES]))
        contenders: dict[str, Callable[[], float]] = {
            "all": lambda: built(folder),
            "bare": lambda: rate(pool, bare, files),
            "one": lambda: built(folder, ONE_RUNG),
            "obvious": lambda: rate(pool, obvious, files[::2]),
            "opencv": lambda: rate(pool, with_opencv, files[::2]),
        }
        if name == "jpeg2000":
            contenders["halved"] = lambda: built(folder, HALVED)
        seen: dict[str, list[float]] = {contender: [] for contender in contenders}
        for number in range(rounds):
            order = list(contenders)
            for contender in order[number % len(order) :] + order[: number % len(order)]:
                seen[contender].append(contenders[contender]())
    of_bare, of_obvious = TARGETS[name]
    title = NAMES[name]
    yield Row(f"{title}: all rungs written", seen["all"], "bare decode", seen["bare"], of_bare)
    yield Row(f"{title}: one rung written", seen["one"], "obvious script", seen["obvious"], of_obvious)
    yield Row(f"{title}: one rung written", seen["one"], "pydicom + OpenCV", seen["opencv"])
    if "halved" in seen:
        what = f"{title} at half resolution: one rung written"
        yield Row(what, seen["halved"], "obvious script", seen["obvious"])


def reading(patients: int, rounds: int) -> Iterator[Row]:
    """Compare readers of one core: of the top rung, and of the rungs that are packed."""
    built(CACHE / f"raw-{patients}")
    shards = ShardSet(CACHE / "set")
    top = shards.reader(*TOP, "train")
    everything = np.arange(len(top))
    images = top.read(everything)
    pngs = {f"{n}.png": encode_png(image) for n, image in enumerate(images)}
    tar = _tar(CACHE / "png.tar", pngs)
    ours = [
        str(shards.path / f.path) for f in shards.manifest.files if (f.height_px, f.split) == (1280, "train")
    ]
    sizes = sum(Path(path).stat().st_size for path in ours) / Path(tar).stat().st_size

    def ours_by_webdataset() -> int:
        return sum(1 for _ in wds.WebDataset(ours, shardshuffle=False).decode(webdataset_decoder))

    def png_by_webdataset() -> int:  # "l8" is its cheapest picture decoder, and cuts 16 bits to 8
        return sum(1 for _ in wds.WebDataset(tar, shardshuffle=False).decode("l8"))

    def by_rung() -> int:
        return sum(len(top.read(everything[n : n + 4])) for n in range(0, len(top), 4))

    top._cache_NHW = None
    ways = {"rung": by_rung, "wds": ours_by_webdataset, "png": png_by_webdataset}
    seen = _in_turn(ways, rounds)
    size = f"16-bit PNG by WebDataset, of which these are {sizes:.2f} times the bytes"
    yield Row("reading 1280x1024 through WebDataset", seen["wds"], size, seen["png"], 3)
    yield Row("reading 1280x1024 at random places", seen["rung"], size, seen["png"], 3)
    for height, width in shards.manifest.rungs_px:
        if height * width <= 80 * 64 and height >= 20:
            yield _small(shards, (height, width), rounds)


def _small(shards: ShardSet, size_px: tuple[int, int], rounds: int) -> Row:
    small = shards.reader(*size_px, "train")
    positions = np.random.default_rng(0).integers(0, len(small), 20_000)
    members = {}
    for number in range(1000):
        content = io.BytesIO()
        np.save(content, small.read(positions[number : number + 1])[0])
        members |= {f"{number}.npy": content.getvalue(), f"{number}.json": b'{"view": "CC"}'}
    tar = _tar(CACHE / "small.tar", members)

    def packed() -> int:
        return sum(len(small.read(positions[n : n + 64])) for n in range(0, len(positions), 64))

    def by_sample() -> int:
        return sum(1 for _ in wds.WebDataset(tar, shardshuffle=False).decode(webdataset_decoder))

    seen = _in_turn({"packed": packed, "sample": by_sample}, rounds)
    what = f"reading {size_px[0]}x{size_px[1]} at random places, batches of 64"
    return Row(what, seen["packed"], "a member a sample, by WebDataset", seen["sample"], 50)


def _in_turn(ways: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            count = way()
            seen[name].append(count / (time.process_time() - begin))
    return seen


def _tar(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def main() -> None:
    """Make the files, take the measures, print the table and put it into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="raw,jpeg,jpeg2000,reading")
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    arguments = parser.parse_args()
    patients, rounds, only = arguments.patients, arguments.rounds, arguments.only.split(",")
    single_threaded()
    if not (CACHE / f"made-{patients}").exists():
        with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
            list(pool.map(partial(encode_patient, patients), range(patients)))
        (CACHE / f"made-{patients}").touch()
    lines = ["| what | images a second | beside | ratio | at least | reached |", "|---|---|---|---|---|---|"]
    sys.stdout.write("\n".join(lines) + "\n")
    for part in only:
        rows = reading(patients, rounds) if part == "reading" else building(part, patients, rounds)
        for row in rows:
            lines.append(str(row))
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
    if arguments.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        write(PAGE, before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
