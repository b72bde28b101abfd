"""Train contenders for the same CPU time on the same images, and judge what they draw, for docs/quality.md.

    python -m tests.bench.quality [--data phantoms|SHARDS|FOLDER] [--sizes 64x64,80x64] [--seconds 140]
        [--seeds 1,2] [--contender small@0.25 --contender 'name=method,key=value;key=value'] [--peers FOLDER]
        [--other 'name=command {data} {out} {seconds} {seed} {count}'] [--write]
    python -m tests.bench.quality --guard [--write]

One thread each. Results lie in the output folder, a file a contender and seed: the same command goes on where
it was stopped, and what is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from mammogan.errors import ConfigError, DataError
from mammogan.files import write
from mammogan.provenance import provenance
from tests.bench.quality import contenders, guard, images, sheets, tables
from tests.bench.quality.contenders import ROOT, Contender, Job
from tests.bench.quality.judge import DRAWS, Judge
from tests.bench.quality.tables import Judged

DEFAULT = ("small@0.25", "small", f"small-0.2={Path(__file__).with_name('small-0.2.toml')}")
"""Today's method in a quarter of the time, in all of it, and the method of version 0.2."""
CONSOLE = Console(highlight=False, markup=False)
PROGRESS = Console(stderr=True, highlight=False, markup=False)


def say(text: str) -> None:
    """Tell how far it is, apart from the result."""
    PROGRESS.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", default="phantoms", help="phantoms, a shard set, or a folder of images")
    parser.add_argument("--patients", type=int, default=250, help="of phantoms")
    parser.add_argument("--sizes", type=_sizes, default=[(64, 64)], help="heights and widths, as 64x64,80x64")
    parser.add_argument("--seconds", type=float, default=140.0, help="CPU seconds of each training")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument("--contender", type=contenders.ours, action="append", help="one of ours; repeatable")
    parser.add_argument("--other", type=contenders.other, action="append", default=[], help="any command")
    parser.add_argument("--peers", type=Path, help="folder that pro-gan-pth was installed into")
    parser.add_argument("--no-peers", action="store_true", help="leave pro-gan-pth out")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--images", type=int, default=0, help="in a draw; 0: half of the held-out")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "quality")
    parser.add_argument("--write", action="store_true", help="into docs/quality.md, or the guard's baseline")
    parser.add_argument(
        "--guard", action="store_true", help="compare CPU time a kimg with the baseline, and end"
    )
    return parser.parse_args(arguments)


def _sizes(text: str) -> list[tuple[int, int]]:
    pairs = [part.split("x") for part in text.split(",")]
    return [(int(height), int(width)) for height, width in pairs]


def compare(size_px: tuple[int, int], options: argparse.Namespace) -> Iterator[str]:
    """Train and judge everybody at one size, and write the section of it."""
    sets = images.load(options.data, size_px, options.out, options.patients, say)
    say(f"{size_px[0]}x{size_px[1]}: {sets.about}")
    name = f"{size_px[0]}x{size_px[1]}"
    folder = options.out / f"{name}-{sets.digest}"
    folder.mkdir(parents=True, exist_ok=True)
    sets.save(folder / "data.npz")
    judge = Judge(sets.train_NHW, sets.held_out_NHW, draws=options.draws, images=options.images)
    count = max(judge.images * judge.draws, sheets.COLUMNS * sheets.ROWS)
    peers = str(options.peers.resolve()) if options.peers else ""
    work = folder / f"{options.seconds:g}s"
    job = Job((folder / "data.npz").resolve(), sets.digest, options.seconds, count, work.resolve(), peers)
    everybody, absent = _everybody(size_px, options)
    rows: list[Judged] = []
    shown = {"reals, held out": sets.held_out_NHW, "reals, training": sets.train_NHW}
    for (
        seed
    ) in options.seeds:  # all contenders of one seed first: a run that is killed has compared something
        for contender in everybody:
            try:
                found, fakes = _judged(contender, seed, job, judge)
            except RuntimeError as error:
                absent.append(f"{contender.name}, seed {seed}, failed: {error}")
                say(absent[-1])
                continue
            rows += found
            shown |= fakes
    sheets.contact_sheet(work / "sheet.png", shown)
    sheets.spectra_figure(work / "spectra.png", {key: judge.power(value) for key, value in shown.items()})
    say(f"pictures: {work / 'sheet.png'} and spectra.png")
    yield f"**{name}**, {options.seconds:g} CPU s each; {sets.about}."
    yield f"{judge.draws} draws of {judge.images} images."
    yield ""
    yield from tables.table(sorted(rows, key=lambda row: row.name))
    yield ""
    yield from tables.paces(rows)
    yield from ("", *(line for line in absent if line))
    if np.isnan(judge.held_out_background):
        yield "There is no background in these images: less than 1 % of the place is black in nearly all."


def _everybody(size_px: tuple[int, int], options: argparse.Namespace) -> tuple[list[Contender], list[str]]:
    everybody: list[Contender] = list(options.contender or map(contenders.ours, DEFAULT))
    absent = []
    if not options.no_peers:
        peer, why = contenders.pro_gan(size_px, options.peers)
        everybody += [peer] if peer else []
        absent.append(why)
    if not options.other:
        absent.append("No other implementation was given (`--other`).")
    return [*everybody, *options.other], absent


def _judged(
    contender: Contender, seed: int, job: Job, judge: Judge
) -> tuple[list[Judged], dict[str, np.ndarray]]:
    """Train, judge, and leave judged.json beside the result."""
    say(f"{contender.name}, seed {seed}")
    training = contenders.run(contender, seed, job)
    rows, shown = [], {}
    for name, path in contenders.fakes(contender, seed, job).items():
        fakes_NHW = np.load(path)
        rows.append(Judged(name, seed, training, judge.judge(fakes_NHW)))
        shown[f"{name}, {seed}"] = fakes_NHW
        write(path.with_suffix(".judged.json"), json.dumps(rows[-1].measures, indent=1) + "\n")
        measures = rows[-1].measures
        say(
            f"{name}, seed {seed}: {training['cpu_s']:.1f} CPU s, SWD above the floor "
            f"{measures['swd_above_floor']:.1f}, coverage "
            f"{measures['coverage_pca']:.2f} / {measures['coverage_net']:.2f}"
        )
    return rows, shown


def main() -> int:
    """Run what was asked for; 1 if the guard found it slower."""
    options = options_of()
    torch.set_num_threads(1)
    if options.guard:
        return 0 if guard.check(say, options.write) else 1
    lines = [f"`python -m tests.bench.quality {shlex.join(sys.argv[1:])}`".replace(" `", "`")]
    lines += [f"at commit {provenance().get('commit', 'unknown')[:12]}.", ""]
    try:
        for size_px in options.sizes:
            lines += [*compare(size_px, options), ""]
    except (ConfigError, DataError, ValueError) as error:
        say(str(error))
        return 2
    for line in lines:
        CONSOLE.print(line, soft_wrap=True)
    if options.write:
        tables.write_page(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
