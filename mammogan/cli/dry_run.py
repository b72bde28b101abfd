"""`mammogan launch --dry-run`: what a launch would start, with which scripts, and what it would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from mammogan.config.run_config import Run
    from mammogan.steps.job_graph import Node

SCRIPT = ".sbatch"
ANSWER_S = 10.0
"""How long a dry run waits for Slurm, which a laptop may lack."""


def show(
    run: Run,
    folder: Path,
    wanted: Sequence[Node],
    calibration: Path | None,
    scripts: Path | None,
    console: Console,
) -> None:
    """Print a launch's stages, cost and jobs, and write a batch script for each job of a scheduler.

    Raises
    ------
    ConfigError
        If `scripts` holds what no dry run has written.
    """
    from mammogan.cli.cost_command import of_set, pace_of, show_cost
    from mammogan.cli.run_tables import stages_table
    from mammogan.data.store.manifest import load_plan

    train = sum(shard.split == "train" for shard in load_plan(Path(run.shards)).shards)
    console.print(f"Run {run.run_id}: {run.method.method.name} at {run.site.site.name}, in {folder}\n")
    console.print(stages_table(run, train))
    console.print()
    try:
        shards, assumed = of_set(run.method, Path(run.shards)), pace_of(run.method, run.site, "", calibration)
        show_cost(run.method, run.site, shards, assumed, console)
    except ConfigError as error:  # a run whose cost nobody can tell can be launched all the same
        console.print(str(error), highlight=False)
    done = _done(folder)
    console.print("\nJobs")
    for node in wanted:
        after = f", after {' and '.join(node.needs)}" if node.needs else ""
        state = "; done, not started again" if node.name in done else ""
        console.print(f"  {node.name}: {node.tasks} x {node.resource}{after}{state}", highlight=False)
    written = ""
    if run.site.site.scheduler == "slurm":
        scripts = scripts or folder.with_name(f"{folder.name}.dry-run")
        _write_scripts(run, folder, wanted, scripts)
        written = f" but {len(wanted)} batch scripts into {scripts}"
    elif scripts is not None:
        console.print(f"No batch scripts: the site '{run.site.site.name}' has no scheduler.", highlight=False)
    console.print(
        f"\nA dry run: nothing was submitted, nothing was written{written}.", highlight=False, soft_wrap=True
    )


def refuse(run: Run, folder: Path, wanted: Sequence[Node], wait: bool | None, console: Console) -> None:
    """Refuse what the launch itself would; where its Slurm can't be asked from this machine, say so.

    Raises
    ------
    MammoganError
        In the words of the launch.
    """
    from mammogan.cli.launch_checks import check_start
    from mammogan.cluster import local_runner, slurm_commands, submission_ledger, submit
    from mammogan.config.run_config import claimed
    from mammogan.errors import ClusterError
    from mammogan.run_folder import RunFolder

    check_start(run, wait, console)
    claimed(folder, run)
    if RunFolder(folder).settings.exists():
        with submission_ledger.only_launcher(folder):
            pass
    if run.site.site.scheduler != "slurm":
        local_runner.preflight(run, folder, wanted)
        return
    try:
        slurm_commands.use(run.site)
        with console.status("asking Slurm"):
            slurm_commands.config(ANSWER_S)
    except ClusterError as error:
        console.print(
            f"Slurm was not asked, and a launch from this machine would need it: {error}", soft_wrap=True
        )
        return
    submit.preflight(run, folder, wanted)


def _done(folder: Path) -> set[str]:
    from mammogan.cluster.run_state import Watcher
    from mammogan.run_folder import RunFolder

    if not RunFolder(folder).settings.exists():
        return set()
    return {state.node.name for state in Watcher(folder).read(ask=False) if state.state == "done"}


def _write_scripts(run: Run, folder: Path, wanted: Sequence[Node], scripts: Path) -> None:
    from mammogan.cluster import sbatch_parameters
    from mammogan.files import replacing_folder, write

    if scripts.exists() and (
        not scripts.is_dir() or any(file.suffix != SCRIPT for file in scripts.iterdir())
    ):
        raise ConfigError(
            f"'{scripts}' holds other files than the batch scripts of a dry run: give another folder to "
            "--scripts."
        )
    digits = len(str(len(wanted)))
    with replacing_folder(scripts) as new:
        for number, node in enumerate(wanted, start=1):
            after = "afterok:" + ":".join(f"<{need}>" for need in node.needs) if node.needs else ""
            text = sbatch_parameters.batch(run, folder.resolve(), node, node.tasks, after)
            write(new / f"{number:0{digits}}-{node.name}{SCRIPT}", text)
