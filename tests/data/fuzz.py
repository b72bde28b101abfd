"""Shard sets made of mutated DICOM files: `python -m tests.data.fuzz 10000 1` makes 10,000 of them."""

import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import generate_uid

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.decode import RAW, decode
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.verify_set import verify
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import load_plan
from tests.data.conftest import PRESENTATION
from tests.data.forms import ENCODERS, compressed, uncompressed
from tests.data.mutants import mutant

Pixels = npt.NDArray[np.integer[Any]]

BATCH_FILES = 500
CANARY = "Quillfeather"
"""Stands in every file's name and as every patient's."""
SETTINGS = (
    "packing.top_px=[80,64]",
    "packing.samples_per_shard=64",
    "screening.smallest_px=[1,1]",
    "screening.largest_px=[99999,99999]",
)


@dataclass(frozen=True)
class Originals:
    """Phantoms with their stored values, and the bytes of others' files dressed as mammograms."""

    ours: list[tuple[pydicom.Dataset, Pixels]]
    others: list[bytes]


def originals(folder: Path, real: Path | None = None) -> Originals:
    """Draw phantoms in `folder`; take the files that come with pydicom, and real ones if there are any."""
    make_cohort(folder, 2, 0, workers=1, frame_scale=0.1)
    ours = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    others = sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*"))
    others += sorted(real.rglob("*.dcm")) if real else []
    return Originals(
        [(made, np.asarray(decode(made))) for made in ours],
        [_dressed(path) for path in others if path.is_file()],
    )


def _fresh(rng: random.Random, made: pydicom.Dataset, pixels: Pixels) -> bytes:
    """Give an image of its own, in any transfer syntax."""
    noise = np.random.default_rng(rng.randrange(1 << 32)).integers(-8, 8, pixels.shape)
    pixels = np.where(pixels > 100, pixels + noise, pixels).astype(np.uint16)
    syntax = rng.choice((*RAW, *ENCODERS))
    made.SOPInstanceUID = f"2.25.{rng.randrange(1 << 100)}"
    made.PatientName = made.PatientID = f"{CANARY}{rng.randrange(50)}"
    stream = BytesIO()
    pydicom.dcmwrite(stream, (compressed if syntax in ENCODERS else uncompressed)(made, syntax, pixels))
    return stream.getvalue()


def _dressed(path: Path) -> bytes:
    """Make a header pass, whatever the pixels are; a file that pydicom can't write stays as it is."""
    try:
        made = pydicom.dcmread(path)
        made.Modality, made.SOPClassUID, made.PresentationIntentType = "MG", PRESENTATION, "FOR PRESENTATION"
        made.ViewPosition, made.ImageLaterality, made.PatientID = "CC", "L", CANARY
        made.ImageType, made.SOPInstanceUID = ["ORIGINAL", "PRIMARY"], generate_uid()
        made.file_meta.MediaStorageSOPClassUID = PRESENTATION
        stream = BytesIO()
        pydicom.dcmwrite(stream, made)
        return stream.getvalue()
    except Exception:  # noqa: BLE001
        return path.read_bytes()


def batch(folder: Path, files: int, seed: int, seeds: Originals) -> dict[str, str]:
    """Write mutants into two sources, `ours` and `others`; give how each was made, by its path."""
    rng, made, content = random.Random(seed), {}, b""
    for number in range(files):
        others = number % 4 == 0
        if rng.random() < 0.9 or not content:  # else it is the last one's duplicate, or was
            content = rng.choice(seeds.others) if others else _fresh(rng, *rng.choice(seeds.ours))
        changed, how = mutant(rng, content)
        path = folder / ("others" if others else "ours") / CANARY / f"{CANARY}-{number:06d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed)
        made[str(path)] = how
    return made


def process(folder: Path, made: dict[str, str], workers: int = 2) -> Counter[tuple[str, str]]:
    """Plan and build a batch; see that nothing is lost, nothing leaks, and the set is sound."""
    shardset = folder / "set"
    sources = [
        (load_recipe("phantom", SETTINGS), folder / "ours"),
        (load_recipe("folder", SETTINGS), folder / "others"),
    ]
    with captured() as said:
        plan(shardset, sources, workers=workers)
        manifest = build(shardset, workers=workers)
        problems = verify(shardset)
    assert problems == []
    ledger = list(private_folder.read_lines(private_folder.folder(shardset) / "ledger.jsonl"))
    assert sorted(line["path"] for line in ledger) == sorted(made), "every file is in the ledger once"
    for index, tally in enumerate(manifest.tallies):
        ends = Counter((line["outcome"], line["reason"]) for line in ledger if line["recipe"] == index)
        counted = {("accepted", ""): tally.accepted}
        counted |= {("refused", reason): n for reason, n in tally.refused.items()}
        counted |= {("unreadable", reason): n for reason, n in tally.unreadable.items()}
        assert ends == Counter(counted), "ledger and manifest agree"
        assert tally.files == ends.total() == load_plan(shardset).tallies[index].files
        assert tally.files == sum(path.is_file() for path in sources[index][1].rglob("*"))
    built = ShardSet(shardset)
    for height, width in manifest.rungs_px:
        splits = {file.split for file in manifest.files}
        readers = [built.reader(height, width, split) for split in splits]
        assert sum(map(len, readers)) == sum(tally.accepted for tally in manifest.tallies)
    _nothing_leaks(shardset, said)
    return Counter((line["outcome"], line["reason"]) for line in ledger)


def _nothing_leaks(shardset: Path, said: list[bytes]) -> None:
    words = (CANARY.encode(), str(shardset.parent).encode())
    for path in shardset.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(word in content or word in path.name.encode() for word in words), path
    assert not any(word in said[0] for word in words), said[0][-2000:]


@contextmanager
def captured() -> Iterator[list[bytes]]:
    """Keep what this process and its children print, decoders in C included."""
    sys.stdout.flush(), sys.stderr.flush()
    said: list[bytes] = []
    before = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield said
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            for number, was in zip((1, 2), before, strict=True):
                os.dup2(was, number)
                os.close(was)
            file.seek(0)
            said.append(file.read())


def main(files: int, seed: int) -> None:
    """Go through `files` mutants batch by batch and tell what became of them."""
    warnings.simplefilter("ignore")  # pydicom's, about what further mutants are made of
    real = os.environ.get("MAMMOGAN_REAL_DATA")
    ends: Counter[tuple[str, str]] = Counter()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        seeds = originals(Path(temporary) / "phantoms", Path(real) if real else None)
        for number in range(-(-files // BATCH_FILES)):
            folder, left = Path(temporary) / "batch", files - number * BATCH_FILES
            made = batch(folder, min(BATCH_FILES, left), seed * 1_000_003 + number, seeds)
            ends += process(folder, made)
            shutil.rmtree(folder)
            _tell(f"{ends.total()} files, {time.monotonic() - start:.0f} s")
    for (outcome, reason), count in sorted(ends.items(), key=lambda end: (end[0][0], -end[1])):
        _tell(f"{outcome:<11}{reason:<24}{count:>7}")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
