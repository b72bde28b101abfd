"""Measure SWD beside the published algorithm, as ratios within one run, and its memory, for docs/speed.md.

    python -m tests.bench.swd [--images 1024] [--peer 128] [--sizes 1280x1024,256x256] [--memory 16384]
        [--write]

CPU seconds of all threads, each with one. Both gather the same images in turns, a share at a time, and the
time in which images are made is left out. The peer gathers a part of them, for it takes minutes: its time is
that of an image, which is the same for the first half and for the second (both are told), times all. Its last
stage (project, sort) is measured on as many patches as all images have, for one level, times levels.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch

from mammogan.files import write
from mammogan.memory import keep_pages
from mammogan.metrics import SlicedWasserstein
from mammogan.metrics.laplacian_pyramid import levels
from tests.bench import swd_peer
from tests.metrics import swd_sets

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"
BEGIN, END = "<!-- SWD measured by make bench -->\n", "<!-- end of SWD -->\n"
AT_LEAST = {(1280, 1024): 20, (256, 256): 4}
SAME_DRAWS = {(1280, 1024): 16, (256, 256): 64}
"""Images of a set by which values are compared at the same draws."""
SHARES, MOST_GB, TOLERANCE = 4, 2.0, 1e-4
HEADS = ("| what | MammoGAN | published algorithm | ratio | bound | reached |", "|---|---|---|---|---|---|")


@cache
def drawn(kind: str, height: int, width: int) -> np.ndarray:
    return swd_sets.image_set(kind, 8, height, width).astype(np.uint16)


def images(kind: str, numbers: range, size: tuple[int, int]) -> np.ndarray:
    """Make images of a set: a few drawn ones, shifted, for drawing takes longer than scoring."""
    few = drawn(kind, *size)
    return np.stack([np.roll(few[n % len(few)], n // len(few), axis=(0, 1)) for n in numbers])


def timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def row(
    what: str, ours: str, peer: str, ratio: str = "", bound: str = "", reached: bool | None = None
) -> str:
    verdict = {None: "", True: "yes", False: "**no**"}[reached]
    return f"| {what} | {ours} | {peer} | {ratio} | {bound} | {verdict} |"


def speed(size: tuple[int, int], count: int, of_peer: int) -> Iterator[str]:
    """Compare the times of a pair of sets of `count` images."""
    name = f"{size[0]}x{size[1]}"
    sets = [SlicedWasserstein(*size) for _ in range(2)]
    random, ours_s, peer_s = np.random.RandomState(0), 0.0, []
    sets[0].update(images("A", range(1), size))  # whatever is made once is made
    sets[0] = SlicedWasserstein(*size)
    for share in range(SHARES):
        for first in range(share * count // SHARES, (share + 1) * count // SHARES, 8):
            numbers = range(first, min(first + 8, (share + 1) * count // SHARES))
            for one, kind in zip(sets, "AB", strict=True):
                some = images(kind, numbers, size)
                ours_s += timed(lambda one=one, some=some: one.update(some))
        mine = images("A", range(share * of_peer // SHARES, (share + 1) * of_peer // SHARES), size)
        peer_s.append(timed(lambda mine=mine: swd_peer.gathered(mine, random)))
    half_s = [sum(part) / (of_peer / 2) for part in (peer_s[: SHARES // 2], peer_s[SHARES // 2 :])]
    last_s = timed(lambda: sets[0].distance(sets[1]))
    rows = count * swd_peer.PATCHES
    a_PD, b_PD = (np.random.default_rng(n).standard_normal((rows, 147), np.float32) for n in range(2))
    peers_last_s = len(levels(*size)) * timed(
        lambda: swd_peer.compared(a_PD, b_PD, random)
    )  # normalising is left out, in the peer's favour
    gathering_s = 2 * count * sum(peer_s) / of_peer
    yield row(
        f"{name}: pyramid and patches, ms an image",
        f"{1000 * ours_s / (2 * count):.1f}",
        f"{1000 * half_s[0]:.0f} and {1000 * half_s[1]:.0f}, each by {of_peer // 2} images",
        f"{gathering_s / ours_s:.0f}",
    )
    yield row(
        f"{name}: project and sort, s", f"{last_s:.1f}", f"{peers_last_s:.1f}", f"{peers_last_s / last_s:.1f}"
    )
    ratio = (gathering_s + peers_last_s) / (ours_s + last_s)
    yield row(
        f"{name}: {count:,} against {count:,} images, CPU s",
        f"{ours_s + last_s:.1f}",
        f"{gathering_s + peers_last_s:.0f}, {count / of_peer:g} times what was gathered",
        f"{ratio:.1f}",
        f"{AT_LEAST[size]}",
        ratio >= AT_LEAST[size],
    )


def agreement(size: tuple[int, int]) -> str:
    """Compare values when both draw the same."""
    count = SAME_DRAWS[size]
    a, b = (swd_sets.image_set(kind, count, *size) for kind in "AB")
    draws = swd_peer.Draws(count, levels(*size), seed=0)
    sets = [SlicedWasserstein(*size) for _ in range(2)]
    for one, some, places in zip(sets, (a, b), draws.places, strict=True):
        one.update(some.astype(np.uint16), places)
    ours = np.array(sets[0].distance(sets[1], draws.directions))
    theirs = np.array(swd_peer.distance(a, b, seed=0))
    off = float(np.abs(ours / theirs - 1).max())
    what = f"{size[0]}x{size[1]}: values at the same draws, {count} images, mean of levels"
    means = f"{ours.mean():.4f}", f"{theirs.mean():.4f}"
    return row(what, *means, f"off by {off:.0e} at most", f"{TOLERANCE:.0e}", off <= TOLERANCE)


def remembered(count: int, size: tuple[int, int] = (1280, 1024)) -> dict[str, float]:
    """Gather two sets of `count` images in files and compare them: the most GB, and CPU seconds."""
    with TemporaryDirectory(dir=PAGE.parents[1] / "build") as folder:
        sets = [SlicedWasserstein(*size, folder=Path(folder) / kind) for kind in "AB"]
        empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        begin = time.process_time()
        for first in range(0, count, 8):
            for one, kind in zip(sets, "AB", strict=True):
                one.update(images(kind, range(first, first + 8), size))
        gathered = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        sets[0].distance(sets[1])
        spent = time.process_time() - begin
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"empty_gb": empty, "gathered_gb": gathered, "most_gb": most, "cpu_s": spent}


def memory(count: int) -> str:
    """Measure memory in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.swd", "--remember", str(count)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = json.loads(told.splitlines()[-1])
    what = f"1280x1024: peak memory of {count:,} against {count:,} images, GB"
    ours = f"{found['most_gb']:.2f}, of which before the first image {found['empty_gb']:.2f}"
    return row(what, ours, "", "", f"{MOST_GB:g}", found["most_gb"] < MOST_GB)


def main() -> None:
    """Take the measures, print the table and put it into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--peer", type=int, default=128, help="images that the peer gathers")
    parser.add_argument("--sizes", default="1280x1024,256x256")
    parser.add_argument("--memory", type=int, default=16384, help="images of each set, 0 to leave it out")
    parser.add_argument("--remember", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_pages()  # as jobs do
    if options.remember:
        sys.stdout.write(json.dumps(remembered(options.remember)) + "\n")
        return
    lines = list(HEADS)
    sys.stdout.write("\n".join(lines) + "\n")

    def measured() -> Iterator[str]:
        for text in options.sizes.split(","):
            height, width = map(int, text.split("x"))
            yield from speed((height, width), options.images, options.peer)
            yield agreement((height, width))
        if options.memory:
            yield memory(options.memory)

    for line in measured():
        lines.append(line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        write(PAGE, before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
