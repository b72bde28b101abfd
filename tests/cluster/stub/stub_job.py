"""Steps that do next to nothing, in real jobs: orders.json in the run's folder tells who misbehaves."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from mammogan.cluster import job
from mammogan.config.method import Method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import load_site
from mammogan.errors import DataError, RunFailedError, StopRequestedError

METHOD = {
    "method": {"name": "stub", "summary": "for tests of the scheduler's side"},
    "ladder": {"stages": 1},
    "optimiser": {"learning_rate": 0.001},
    "schedule": {"fade_kimg": [0], "stable_kimg": [0.08], "batch": [8], "tick_kimg": [0.08]},
    "engine": {"micro_batch": [8]},
    "sampling": {"images_per_view": 4, "images_per_task": 4},
}


def make_run(folder: Path, site: str, *overrides: str, stages: int = 1, checkpoints: int = 2) -> Run:
    """Claim `folder` for a run of so many stages, each with an array of so many scoring tasks."""
    long_enough = {"stable_kimg": [max(0.08, 0.008 * checkpoints)]}  # a step for each checkpoint
    tree = METHOD | {
        "ladder": {"stages": stages},
        "schedule": METHOD["schedule"] | long_enough,
        "scoring": {"checkpoints": checkpoints},
    }
    folder.mkdir(parents=True, exist_ok=True)
    run = merge(Method.model_validate(tree), (), load_site(site, overrides), folder / "shards", "data", "0")
    claim(folder, run)
    order(folder)
    return run


def order(folder: Path, **orders: str) -> None:
    """Tell the tasks ``node`` or ``node-task`` what to do (an underscore stands for a dash)."""
    (folder / "orders.json").write_text(json.dumps({k.replace("_", "-"): v for k, v in orders.items()}))


def output(folder: Path, node: str, task: int = 0, rank: int = 0) -> Path:
    """File in which a rank says what it saw."""
    return folder / "out" / f"{node}-{task}-{rank}.json"


def asleep(folder: Path, node: str) -> Path:
    """File that is there once a step that was told to sleep is at it."""
    return folder / f"asleep-{node}"


def is_done(folder: Path, node, task: int) -> bool:
    """Stand in for `mammogan.steps.is_done`."""
    return output(folder, node.name, task).exists()


def main(run: str, node: str, task: int) -> None:
    """Enter the job as always, with other work to do in it."""
    job.perform = perform
    job.main(run, node, task)


def perform(run: Path, node: str, task: int) -> None:
    """Stand in for `mammogan.cluster.job.perform`."""
    started, rank = time.time(), int(os.environ["RANK"])
    path = run / "orders.json"
    orders = json.loads(path.read_text()) if path.exists() else {}
    word, _, rest = orders.get(f"{node}-{task}", orders.get(node, "")).partition(" ")
    total = None
    if word == "fail":
        raise DataError(f"'{node}' was told to fail")  # the user's to mend: not tried again
    if word == "crash":
        raise ZeroDivisionError(f"'{node}' was told to crash")
    if word == "sleep":
        asleep(run, node).touch()
        time.sleep(float(rest))
    if word == "until":
        asleep(run, node).touch()
        while not (run / rest).exists():
            time.sleep(0.1)
    if word == "kill-rank" and rank == int(rest):
        time.sleep(5)  # long enough to be seen at work
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "fail-rank" and rank == int(rest):
        raise RunFailedError(f"rank {rest} was told to fail")
    if word in ("kill-rank", "fail-rank"):
        time.sleep(3600)
    if word == "stop" and os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        (run / f"waits-{rank}").touch()
        while not Path(os.environ["MAMMOGAN_STOP_FILE"]).exists():
            time.sleep(0.1)
        raise StopRequestedError("saved and stopped")
    if word == "reduce":
        import torch
        from torch import distributed as dist

        dist.init_process_group("gloo")
        tensor = torch.tensor([rank + 1.0])
        dist.all_reduce(tensor)
        total = tensor.item()
        dist.destroy_process_group()
    names = (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "MASTER_ADDR",
        "MASTER_PORT",
        "OMP_NUM_THREADS",
        "SLURM_NODEID",
    )
    seen = {name: os.environ.get(name) for name in (*names, "CUDA_VISIBLE_DEVICES", "MAMMOGAN_STOP_FILE")}
    path = output(run, node, task, rank)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(seen | {"started": started, "ended": time.time(), "total": total}))
