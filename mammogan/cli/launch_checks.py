"""What of a launch can't be, said before anything is submitted: resolutions, batches, trackers, networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mammogan.config.references import is_reference
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from mammogan.config.run_config import Launched, Run


def check(run: Run, folder: Path) -> None:
    """Refuse a run, to be in `folder`, whose method, set and site don't fit each other.

    Raises
    ------
    ConfigError
        With the key and the value that is in the way.
    """
    for part in (_check_gpus, _check_resolutions, _check_batches, _check_networks):
        part(run)
    _check_trackers(run, folder)


def check_start(launched: Launched, wait: bool | None, console: Console) -> None:
    """Say what of the machine or the environment goes unused; refuse to leave a run that no scheduler keeps.

    Raises
    ------
    ConfigError
        If a run of a site without scheduler is not to be waited for.
    """
    from mammogan.cluster import gpu_slots, slurm_environment

    slurm = launched.site.site.scheduler == "slurm"
    if not slurm and wait is False:
        raise ConfigError(
            f"--no-wait needs a scheduler, and the site '{launched.site.site.name}' has none: the run lives "
            "as long as this command. Leave it out, or start the command in the background."
        )
    variables = launched.site.environment.variables
    if notice := slurm_environment.notice(variables) if slurm else gpu_slots.idle_notice(launched):
        console.print(notice, highlight=False, markup=False)


def _check_resolutions(run: Run) -> None:
    from mammogan import schedule

    resolutions = run.recipes[0].packing.resolutions
    for stage in schedule.plan(run.method):
        if (stage.height_px, stage.width_px) not in resolutions:
            there = ", ".join(f"{height}x{width}" for height, width in resolutions)
            raise ConfigError(
                f"Stage {stage.index} of the method '{run.method.method.name}' is "
                f"'{stage.height_px}x{stage.width_px}', and the shard set '{run.shards}' has {there}. Change "
                "ladder.base_px or ladder.stages, or plan shards with another packing.base_px or top_px."
            )


def _check_gpus(run: Run) -> None:
    """See that a class that computes on GPUs asks for some; runs of earlier versions may hold others."""
    from mammogan.config.resource import Resources

    for name in Resources.model_fields:
        resource = run.site.resources.of(name)
        if resource.device == "cuda" and not resource.gpus_per_node:
            raise ConfigError(
                f"resources.{name}.device of the site '{run.site.site.name}' is 'cuda', but gpus_per_node is "
                f"'0': set it to the GPUs of a task (--set resources.{name}.gpus_per_node=1), take --site "
                "workstation, or set device to 'cpu'."
            )


def _check_networks(run: Run) -> None:
    """See that the method's networks and objective are there; without PyTorch, as on a login node, jobs do.

    Somebody else's are tried out.
    """
    kind, objective = run.method.network.kind, run.method.loss.objective
    if kind == "pggan" and not is_reference(objective):
        return
    try:
        from mammogan.losses import objective_of
        from mammogan.nets.networks import pair_of
        from mammogan.nets.pair_check import check_pair
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        typer.echo(f"network.kind '{run.method.network.kind}' is checked by the first job: no PyTorch here.")
        return
    pair = pair_of(run.method)
    if is_reference(kind):
        check_pair(pair, run.method)
    objective_of(run.method.loss)


def _check_trackers(plan: Run, folder: Path) -> None:
    """Refuse a tracker that does not exist now, and not when the run's jobs look for it; and passwords."""
    from mammogan import tracking
    from mammogan.run_folder import RunFolder

    try:
        tracking.mlflow_access.check_no_secrets(plan.site.tracking.uri, plan.site.environment.variables)
    except ConfigError as error:
        if not RunFolder(folder).settings.exists():
            raise
        typer.echo(f"Warning: {error}", err=True)  # it stands in its files already
    for name in plan.site.tracking.trackers:
        tracking.tracker(name)


def _check_batches(run: Run) -> None:
    from mammogan import schedule

    ranks, group = run.site.resources.gpu_nodes.ranks, run.method.network.stddev_group
    for stage in schedule.plan(run.method):
        try:
            schedule.split_batch(stage.batch, stage.micro_batch, ranks, group)
        except ValueError as error:
            raise ConfigError(
                f"Stage {stage.index} of the method '{run.method.method.name}' on [resources.gpu_nodes] of "
                f"the site '{run.site.site.name}': {error}."
            ) from None
