"""The schedule of a method that is to fill a number of minutes: measured once, by the launch of a new run."""

from __future__ import annotations

import logging
import os
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mammogan import interruption

if TYPE_CHECKING:
    from mammogan.config.method import Method
    from mammogan.config.site import Site
    from mammogan.cost.calibrate import Calibration
    from mammogan.cost.estimate import Pace

CALIBRATION_S = 30.0


def filled_time(folder: Path, method: Method, site: Site, calibration: Path | None) -> Method:
    """Return `method` with the schedule that fills its minutes at `site`; a run that is there keeps its own.

    Without scheduler, and without `calibration`, this machine is measured.
    """
    from mammogan.config.run_config import Run
    from mammogan.cost.time_budget import fill_time, same_but_for_time
    from mammogan.run_folder import RunFolder

    if RunFolder(folder).settings.exists():
        old = Run.load(folder).method
        if same_but_for_time(old, method):
            return old
    pace = _pace(method, site, calibration)
    filled = fill_time(method, site.resources.gpu_nodes.ranks, pace)
    kimg = sum(filled.schedule.fade_kimg) + sum(filled.schedule.stable_kimg)
    typer.echo(f"schedule.minutes '{method.schedule.minutes:g}' hold {kimg:.4g} kimg on: {pace.name}.")
    return filled


def _pace(method: Method, site: Site, calibration: Path | None) -> Pace:
    from mammogan.cli.cost_command import pace_of
    from mammogan.cost.estimate import Measurements

    if calibration is not None or site.site.scheduler == "slurm":
        assumed = pace_of(method, site, "", calibration)
        if calibration is None:
            typer.echo(
                f"Assumed, not measured: '{assumed.pace.name}' ({assumed.why}). To fill the time as it is "
                f"there, run `mammogan cost --method {method.method.name} --calibrate` in a job and give the "
                "file to --calibration."
            )
        return assumed.pace
    typer.echo(f"Measuring how fast '{method.method.name}' trains here, for about {CALIBRATION_S:g} s.")
    return Measurements(_measured(method, site))


def _measured(method: Method, site: Site) -> Calibration:
    """Measure in a process of its own, which gets the threads and variables that training will have."""
    from mammogan import machine as this_machine
    from mammogan.train.device_choice import VARIABLE

    resource = site.resources.gpu_nodes
    machine = this_machine.cores()
    threads = resource.cpus_per_task or max(1, machine // resource.tasks_per_node)
    variables = {"OMP_NUM_THREADS": str(threads), VARIABLE: resource.device, **site.environment.variables}
    # Spawned, for torch reads its variables once, and a process group would stay behind.
    resource_tracker.ensure_running()  # would unblock the signal, were it started later
    with interruption.left_to_parent():
        started = get_context("spawn").Pool(1)
    with started as process:
        found: Calibration = process.apply(_calibrate, (method, variables))
    return found


def _calibrate(method: Method, variables: dict[str, str]) -> Calibration:
    os.environ.update(variables)
    logging.disable(logging.WARNING)  # DeepSpeed's, on what it finds here
    from mammogan.cost.calibrate import calibrate

    return calibrate(method, CALIBRATION_S, lambda _: None)
