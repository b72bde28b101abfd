"""`mammogan cost`: what a run will take before it is launched, and the measurement that this can rest on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mammogan.config.method import Method
    from mammogan.config.site import Site
    from mammogan.cost.assumed_device import Assumed
    from mammogan.cost.estimate import Cost, Data, Pace


def cost(
    method: Annotated[str, typer.Option(help="A method's name, or a TOML file.")] = "mammogan",
    data: Annotated[Path | None, typer.Option(help="The shard set, planned or built.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Number of training images, where no shard set is planned yet.")
    ] = None,
    site: Annotated[str, typer.Option(help="A site's name, or a TOML file.")] = "local",
    device: Annotated[
        str,
        typer.Option(
            help="To reckon with: 'A100 80 GB, bf16', H100, CPU ...; without it what the site's profile says."
        ),
    ] = "",
    calibration: Annotated[
        Path | None, typer.Option(help="What --calibrate has written: reckon with that, not a data sheet.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure training steps on this machine, and write that down.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="With --calibrate: for about so long.")] = 60,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="table.key=value of the method or the site; repeatable.")
    ] = None,
) -> None:
    """Reckon what a run will cost: time, GPU-hours and storage of each stage, with all that is assumed.

    Without a calibration the time is that of the site's CPU or GPU by a table. To measure where the run will
    be, run this with --calibrate in a job there, and hand the file that it writes to --calibration.
    """
    from rich.console import Console

    from mammogan.config.method import Method, load_method
    from mammogan.config.settings import split_settings
    from mammogan.config.site import Site, load_site

    sets = split_settings(tuple(settings or ()), Method, Site)
    learned, place = load_method(method, tuple(sets[Method])), load_site(site, tuple(sets[Site]))
    console = Console()
    if calibrate:
        calibration = calibration or Path("calibration.json")
        _calibrate(learned, calibration, seconds, console)
        if data is None and images is None:
            return
    if (data is None) == (images is None):
        raise ConfigError("Give the images to train on: either --data, a shard set, or --images, a number.")
    assumed = pace_of(learned, place, device, calibration)
    show_cost(learned, place, _data(learned, data, images), assumed, console)


def pace_of(method: Method, site: Site, device: str, calibration: Path | None) -> Assumed:
    """Choose how fast training is: as measured, or as the device that is named, here or by the site."""
    from mammogan.cost import assumed_device
    from mammogan.cost.calibrate import Calibration
    from mammogan.cost.estimate import Measurements

    if calibration is not None:
        return assumed_device.Assumed(Measurements(Calibration.load(calibration)), "")
    return assumed_device.choose(method, site, device)


def of_set(method: Method, folder: Path) -> Data:
    """Read a shard set's training images and their bytes; of one that is planned only, those expected."""
    from mammogan.cost.estimate import Data
    from mammogan.data.store.manifest import find_manifest, load_plan

    plan = load_plan(folder)
    images = sum(shard.samples for shard in plan.shards if shard.split == "train")
    expected = Data.expected(images, method)
    manifest = find_manifest(folder, plan)
    if manifest is None:
        return expected
    files = [file for file in manifest.files if file.split == "train"]
    built = {}
    for rung in {(file.height_px, file.width_px) for file in files}:
        mine = [file for file in files if (file.height_px, file.width_px) == rung]
        built[rung] = sum(file.bytes for file in mine) / max(1, sum(file.samples for file in mine))
    missing = set(expected.bytes_px) - set(built)
    return Data(images, {**expected.bytes_px, **built}, known=not missing)


def _data(method: Method, folder: Path | None, images: int | None) -> Data:
    from mammogan.cost.estimate import Data

    if folder is not None:
        return of_set(method, folder)
    assert images is not None
    return Data.expected(images, method)


def _calibrate(method: Method, path: Path, seconds: float, console: Console) -> None:
    from mammogan.cost.calibrate import Measured, calibrate

    def on_measured(rung: Measured) -> None:
        size = f"{rung.height_px}x{rung.width_px}"
        console.print(
            f"{size:>10}, {rung.batch} at once: {rung.images_per_s:.4g} images/s, "
            f"{rung.gflop_an_image:.4g} GFLOP an image, {rung.gflops:.4g} GFLOP/s, "
            f"and {rung.step_s:.2g} s a step beside",
            soft_wrap=True,
            highlight=False,
        )

    busy = os.getloadavg()[0]
    found = calibrate(method, seconds, on_measured)
    found.save(path)
    if found.kind == "cpu" and busy > 0.5 * (os.cpu_count() or 1):
        console.print(
            f"Other work kept {busy:.1f} of {os.cpu_count()} processors busy, so that training alone is "
            "quicker than this: measure again where nothing else runs."
        )
    console.print(
        f"{len(found.rungs)} rungs measured on {found.device}; written to {path}.\n", highlight=False
    )


def show_cost(method: Method, site: Site, data: Data, assumed: Assumed, console: Console) -> None:
    """Print the table, and below it what it assumes."""
    from mammogan.cost.estimate import cost as reckoned

    how = assumed.pace
    whole = reckoned(method, data, site.resources.gpu_nodes.ranks, how)
    console.print(_table(whole, data, how))
    console.print()
    if assumed.why:
        console.print(f"- {how.name}: {assumed.why}.", highlight=False)
    for line in _assumed(method, whole, data, how):
        console.print(f"- {line}", highlight=False)


def _table(whole: Cost, data: Data, how: Pace) -> Table:
    from rich.table import Table

    hours = _hours(how)
    s = "s" if whole.ranks > 1 else ""
    title = f"Cost, {hours} of {whole.ranks} rank{s} on: {how.name}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    heads = ("kimg", "steps", "images\n/s", "time", hours.replace("-", "-\n"), "scoring\nhours")
    for head in (*heads, "read\nGB", "saved\nGB"):  # two lines, so that 80 columns hold the table
        table.add_column(head, justify="right", no_wrap=True)
    mark = {"by work": "~"}
    for each in whole.stages:
        stage = each.stage
        table.add_row(
            f"{stage.height_px}x{stage.width_px}",
            f"{stage.images / 1000:,.0f}",
            f"{stage.steps:,}",
            mark.get(each.known, "") + _rate(stage.images / each.hours / 3600),
            _time(each.hours),
            _number(each.rank_hours),
            _number(each.scoring_hours),
            _number(each.read_bytes / 1e9),
            _number(each.peak_bytes / 1e9),
        )
    table.add_section()
    stages = whole.stages
    table.add_row(
        "all",
        f"{sum(each.stage.images for each in stages) / 1000:,.0f}",
        f"{sum(each.stage.steps for each in stages):,}",
        "",
        _time(whole.hours),
        _number(sum(each.rank_hours for each in stages)),
        _number(sum(each.scoring_hours for each in stages)),
        _number(sum(each.read_bytes for each in stages) / 1e9),
        _number(whole.peak_bytes / 1e9),
    )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _time(hours: float) -> str:
    from mammogan.cli.run_tables import duration

    return f"{hours / 24:,.0f} d" if hours >= 240 else duration(3600 * hours)


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}" if a_second >= 100 else f"{a_second:.3g}"


def _hours(how: Pace) -> str:
    from mammogan.cost.estimate import CpuPace, Measurements

    measured = isinstance(how, Measurements) and how.calibration.kind == "cpu"
    return "rank-hours" if measured or isinstance(how, CpuPace) else "GPU-hours"


def _assumed(method: Method, whole: Cost, data: Data, how: Pace) -> Iterator[str]:
    """Say what the table adds up to, and what it takes for granted."""
    from mammogan.cost import estimate, gpu_datasheets

    kept = sum(each.kept_bytes for each in whole.stages)
    yield (
        f"In all {whole.rank_hours:,.1f} {_hours(how)}: training, scoring, and {whole.drawing_hours:.2f} to "
        f"draw {whole.pool:,} images. Time in queues, to start, to read and to save comes on top."
    )
    shown = sum(each.stage.images for each in whole.stages) / data.images
    yield (
        f"{data.images:,} training images, each shown {shown:.3g} times. The schedule is counted in images "
        "shown: more data costs storage, not time."
    )
    yield (
        f"Storage: training shards of these rungs {data.total_bytes / 1e9:,.1f} GB, checkpoints at most "
        f"{whole.peak_bytes / 1e9:,.1f} GB and once a checkpoint is chosen {kept / 1e9:,.1f} GB, the pool "
        f"{whole.pool_bytes / 1e9:,.1f} GB."
    )
    if not data.known:
        yield (
            f"Assumed: an image in a shard takes {estimate.SHARD_RATIO:.0%} of its 16-bit pixels, and a PNG "
            f"{estimate.PNG_RATIO:.0%}, as measured on five pictures (docs/speed.md)."
        )
    if isinstance(how, estimate.Measurements):
        yield from _measured(whole, how)
    elif isinstance(how, estimate.CpuPace):
        yield (
            f"Assumed, not measured: each core reaches {how.CORE_FLOPS_S / 1e9:g} GFLOP/s in fp32, as one "
            "thread of AMD EPYC did in training (docs/cost.md), and cores add up. To measure it instead: "
            "mammogan cost --calibrate"
        )
    else:
        yield (
            f"Assumed, not measured: each rank is one {how.name}. Of its data sheet "
            f"{gpu_datasheets.SUSTAINED:.0%} of peak arithmetic and {gpu_datasheets.STREAMED:.0%} of peak "
            "bandwidth are reached, and "
            f"{gpu_datasheets.LAUNCH_S * 1e6:g} us pass from launch to launch. To measure it instead: "
            "mammogan cost --calibrate"
        )
    if whole.ranks > 1:
        yield (
            f"Assumed: gradients are reduced at {gpu_datasheets.LINK_BYTES_S / 1e9:g} GB/s a rank, and "
            "nothing overlaps with that."
        )
    yield (
        "Scoring counts the drawing of its images alone; reading reals and sorting their projections come on "
        "top, and so do shards that are still to be built."
    )
    yield f"One stage follows the other; {method.scoring.checkpoints} checkpoints a stage are scored beside."


def _measured(whole: Cost, how: Pace) -> Iterator[str]:
    from mammogan.cost.estimate import Measurements

    assert isinstance(how, Measurements)
    rungs, found = how.calibration.rungs, how.calibration
    sizes = ", ".join(f"{rung.height_px}x{rung.width_px}" for rung in rungs)
    yield (
        f"Measured with the method '{found.method}' in {found.precision}, one process, no data read: "
        f"{sizes}; {rungs[-1].gflops:.4g} GFLOP/s in the last."
    )
    reckoned = [each for each in whole.stages if each.known != "measured"]
    if reckoned:
        first = reckoned[0].stage
        yield (
            f"Extrapolated, not measured (~): from {first.height_px}x{first.width_px} on, by counted work at "
            f"the pace of {sizes.rpartition(', ')[2]}. Maps of another size have another pace: the more "
            "rungs are measured (--seconds), the better."
        )
