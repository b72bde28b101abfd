"""Whether the ranks of training meet: a job of as many nodes and processes joins, and adds numbers up.

Its batch script is that of a stage but for the Python that it starts, which is `collective_check`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import mammogan
from mammogan.cluster import collective_check, rank_environment, sbatch_parameters, slurm_commands
from mammogan.cluster.doctor.examined_site import Case
from mammogan.cluster.doctor.finding import Finding, ok, problem, unchecked
from mammogan.cluster.doctor.slurm_facts import words
from mammogan.config.run_config import ShardBuild, shard_build
from mammogan.config.site import Site
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import Node, graph

CLASS = "gpu_nodes"
LIMIT_MIN = 10
LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED")
INTERFACE = (
    "Name the interface that leads from node to node, as `ip -o addr` lists them, in {} of "
    "[environment.variables]; and see that no firewall is between nodes."
)


def ranks(case: Case) -> Iterator[Finding]:
    """Check that all processes of a training job meet, if it has more than one, and how long they take."""
    resource = case.site.resources.of(CLASS)
    if resource.ranks == 1:
        return
    claim = f"[resources.{CLASS}] {resource.nodes} x {resource.tasks_per_node} processes meet"
    key = f"resources.{CLASS}.{'nodes' if resource.nodes > 1 else 'tasks_per_node'}"
    if case.has_slurm and not case.jobs:
        yield unchecked(claim, "--no-jobs leaves out what only nodes can tell", key)
        return
    if case.has_slurm and isinstance(case.facts, str):
        yield unchecked(claim, "Slurm does not answer", key)
        return
    with _folder(case.site) as folder:
        failure = _in_a_job(case, folder) if case.has_slurm else _on_this_machine(case.site, folder)
        if any(folder.glob("begun-*")):
            yield _judged(claim, key, _answers(folder), failure or _end_of_log(folder))
        else:  # for a reason that other checks tell: partition, setup lines, image, Python
            yield unchecked(claim, failure or f"no process began: {_end_of_log(folder)}", key)


def _judged(claim: str, key: str, answers: dict[int, dict[str, Any]], failure: str) -> Finding:
    failed = {rank: answer for rank, answer in answers.items() if "error" in answer}
    if failed:
        # Those that only waited say less than the one for which they did.
        rank, first = min(failed.items(), key=lambda item: ("it waited" in item[1]["error"], item[0]))
        interface = f" by interface '{first['interface']}'" if first["interface"] else ""
        found = f"rank {rank} on '{first['host']}'{interface}: {first['error']}"
        name = {"gloo": "GLOO_SOCKET_IFNAME", "nccl": "NCCL_SOCKET_IFNAME"}.get(first["at"], "")
        if name and "GPU" not in first["error"]:
            return problem(claim, found, f"environment.variables.{name}", INTERFACE.format(name))
        remedy = "Correct the profile, or the image, by what it says."
        return problem(claim, found, f"resources.{CLASS}.device", remedy)
    if 0 not in answers:
        return problem(claim, failure, key, "See what the log's last line names; the other checks may tell.")
    main = answers[0]
    if not main["right"]:
        remedy = "Update PyTorch, NCCL or the network's drivers; training here would learn nonsense."
        return problem(claim, f"their sum by {main['at']} is wrong", key, remedy)
    rate = collective_check.SIZE_MB / 1024 / max(main["seconds"], 1e-6)
    by = f", Gloo by '{main['interface']}'" if main["interface"] else ""
    found = f"in {main['joined_s']:.1f} s; an all-reduce by {main['at']} moves {rate:.2g} GB/s{by}"
    return ok(claim, found, key)


def _in_a_job(case: Case, folder: Path) -> str:
    """Submit the job and wait for it; return why there is no answer, or nothing."""
    node = _node(case.site, folder)
    site = case.site.model_copy(
        update={"site": case.site.site.model_copy(update={"requeues": 0, "retries": 0})}
    )
    build = _build(site, folder)
    text = sbatch_parameters.batch(build, folder, node, 1, start=_start(build, folder, node))
    limit_min = min(LIMIT_MIN, site.resources.of(CLASS).time_min)
    script = folder / "ranks.sbatch"
    script.write_text(text, encoding="utf-8")
    RunFolder(folder).logs(node.name).mkdir(parents=True)
    try:
        slurm_commands.preflight(script, site.environment.variables)  # sbatch takes what never starts, too
        asked = ("sbatch", "--parsable", f"--time={limit_min}", str(script))
        job = slurm_commands.ask(*asked, named=site.environment.variables)
    except ClusterError as error:
        return f"sbatch refuses its job: {words(error)}"
    job = job.strip().split(";")[0]
    end, grace = time.monotonic() + case.patience_s, None
    try:
        while not _answers(folder):
            state = slurm_commands.outcome(job)
            if not state.startswith(LIVE):
                grace = grace or time.monotonic() + 10  # a shared disk may show files some seconds later
                if time.monotonic() > grace:
                    return f"job {job} ended ({state or 'forgotten'}): {_end_of_log(folder)}"
            elif state.startswith("PENDING") and time.monotonic() > end:
                why = state.split()[-1]
                return f"job {job} was still waiting ({why}), and was cancelled: try later"
            time.sleep(0.5)
        time.sleep(2)  # others may say more than the first
        return ""
    finally:
        with suppress(ClusterError):
            slurm_commands.cancel([job])


def _on_this_machine(site: Site, folder: Path) -> str:
    build, node = _build(site, folder), _node(site, folder)
    count, port = site.resources.of(CLASS).ranks, rank_environment.free_port()
    command = ["bash", "-c", f"exec {_start(build, folder, node)}"]
    logs = RunFolder(folder).logs(node.name)
    logs.mkdir(parents=True)
    visible = ",".join(map(str, range(site.resources.of(CLASS).gpus_per_node)))
    processes = []
    for rank in range(count):
        values = (rank, count, rank, 0)
        own = dict(zip(rank_environment.SOURCES["local"], map(str, values), strict=True))
        own |= {"SUBMITIT_EXECUTOR": "local", "MAMMOGAN_MASTER_PORT": str(port)}
        own |= {"CUDA_VISIBLE_DEVICES": visible, "OMP_NUM_THREADS": "1"}
        with (logs / f"{rank}_log.out").open("w") as log:
            environ = os.environ | site.environment.variables | own
            processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
    try:
        end = time.monotonic() + LIMIT_MIN * 60
        while any(process.poll() is None for process in processes) and time.monotonic() < end:
            if any(process.poll() for process in processes):
                time.sleep(2)
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return ""


def _build(site: Site, folder: Path) -> ShardBuild:
    return shard_build(folder / "shards", 1, site, mammogan.__version__)


def _node(site: Site, folder: Path) -> Node:
    return replace(graph(_build(site, folder))[0], name="ranks", resource=CLASS)


def _start(build: ShardBuild, folder: Path, node: Node) -> str:
    """Write the command of a rank; the arguments that a batch script adds to it are not looked at."""
    device = build.site.resources.of(CLASS).device
    python = sbatch_parameters.python(build, folder, node)
    return f"{python} -m mammogan.cluster.collective_check {shlex.quote(str(folder))} {device}"


@contextmanager
def _folder(site: Site) -> Iterator[Path]:
    """Make a folder that the nodes see: below `storage.permanent`, or else here."""
    roots = [Path(site.storage.permanent)] if site.storage.permanent else []
    for root in (*roots, Path.cwd(), Path.home()):
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=".mammogan-doctor-", dir=root)).resolve()
            break
    else:
        raise ClusterError(
            f"No folder can be made in '{Path.cwd()}', nor at home: start doctor where you may write."
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(folder: Path) -> dict[int, dict[str, Any]]:
    found = {}
    for path in folder.glob("rank-*.json"):
        found[int(path.stem.partition("-")[2])] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _end_of_log(folder: Path) -> str:
    """Return the last line of any log that says something."""
    paths = sorted(RunFolder(folder).logs("ranks").glob("*_log.*"), key=lambda path: path.name)
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
    return "it left neither an answer nor a log"
