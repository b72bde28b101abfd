"""The drill: one thing after another goes wrong with real training on the real Slurm, and nothing is lost.

Each fault strikes a stage on two nodes at a seeded moment. The run ends with the weights of the undisturbed
one, bit for bit; no job was submitted twice, and no point of the journal is lost or doubled. CI does one of
them; `make drill` does all. A failure shows the seed, which MAMMOGAN_DRILL_SEED sets.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from mammogan import schedule, tracking
from mammogan.cluster import slurm_commands, submission_ledger
from mammogan.cluster.run_state import LIVE, Watcher
from mammogan.config.run_config import Run
from mammogan.steps.tracking_sync import summarize
from mammogan.train import checkpoint
from tests.patience import PATIENCE_S
from tests.train.conftest import make_shards

log = logging.getLogger(__name__)
SEED = int(os.environ.get("MAMMOGAN_DRILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
PARTS = ("generator", "average", "critic", "generator_adam", "critic_adam")
STAGE, IMAGES = "train-1", 3200
SETTINGS = (
    "ladder.stages=2",
    "network.latent_size=8",
    "network.channels_base=32",
    "network.channels_max=8",
    "schedule.fade_kimg=[0, 1.6]",
    "schedule.stable_kimg=[0.032, 1.6]",
    "schedule.batch=[8]",
    "schedule.tick_kimg=[0.16]",
    "engine.micro_batch=[8]",
    "alarms.action=log",
    "scoring.checkpoints=2",
    "sampling.images_per_view=4",
    "sampling.images_per_task=4",
)


def mammogan(*arguments, **options):
    """Start the command line as a user does."""
    command = [Path(sys.executable).parent / "mammogan", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def done_well(process):
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


class Drill:
    """A run of two stages of which the second is struck."""

    def __init__(self, folder, shards, uri="off"):
        self.folder, self.shards, self.uri = folder, shards, uri
        self.moments = random.Random(f"{SEED} {folder.name}")

    def launch(self, *more, wait=True):
        settings = [
            word for setting in (*SETTINGS, f"tracking.uri={self.uri}") for word in ("--set", setting)
        ]
        started = mammogan(
            *("launch", "--method", "tour", "--data", self.shards, "--site", "devcluster"),
            *(self.folder, "--until", STAGE, *settings, *more),
        )
        return done_well(started) if wait else started

    def state(self, name=STAGE):
        return {state.node.name: state for state in Watcher(self.folder).read()}[name]

    def until(self, condition, timeout_s=PATIENCE_S):
        end = time.monotonic() + timeout_s
        while not (found := condition()):
            assert time.monotonic() < end, (self.state(), self.log())
            time.sleep(0.05)
        return found

    def log(self):
        return "".join(
            path.read_text()[-3000:] for path in sorted((self.folder / "logs" / STAGE).glob("*.out"))
        )

    def saved(self):
        return max((each.images for each in checkpoint.saved(self.folder, 1)), default=0)

    def strike(self):
        """Wait until the stage is as far as chance wants it, and give the job's id."""
        after = self.moments.randrange(160, IMAGES // 2, 160)
        self.until(lambda: self.saved() >= after)
        time.sleep(self.moments.random() / 4)
        return self.state().jobs[0]

    def ranks(self, job_id):
        """Find the processes of the job's ranks, by rank."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = dict(
                    word.split("=", 1)
                    for word in (process / "environ").read_text().split("\0")
                    if "=" in word
                )
                command = (process / "cmdline").read_text()
            except (OSError, UnicodeDecodeError):
                continue
            if environment.get("SLURM_JOB_ID") == job_id and "submitit.core._submit" in command:
                found[int(environment.get("SLURM_PROCID", "-1"))] = int(process.name)
        return found

    def queued_again(self, job_id):
        """Wait until Slurm has queued the job again, and let it begin at once."""
        self.until(lambda: slurm_commands.outcome(job_id).startswith("PENDING"))
        time.sleep(3)  # slurmd refuses a job in the very second in which it has ended the same one
        update(job_id, "StartTime=now")

    def end(self):
        """Wait for the end of the run, and hold it against the undisturbed one."""
        self.until(lambda: not self.state().among(*LIVE))
        assert self.state().state == "done", (self.state(), self.log())

    def abandon(self):
        """Cancel what is left in the queue."""
        if self.folder.exists():
            slurm_commands.cancel(
                {job.job_id.split("_")[0] for job in slurm_commands.queue(str(self.folder))}
            )

    def points(self):
        return [
            (entry["step"], name)
            for entry in tracking.read(self.folder, STAGE)
            for name in entry.get("metrics", ())
        ]

    def assert_like(self, other, submissions=1):
        run, index = Run.load(self.folder), 1
        last = schedule.plan(run.method)[index].images
        mine, theirs = (checkpoint.at(each.folder, index, last) for each in (self, other))
        for part in PARTS:
            tensors = theirs.tensors(part)
            for name, tensor in mine.tensors(part).items():
                assert torch.equal(tensor, tensors[name]), f"{part}: {name}"
        assert sorted(self.points()) == sorted(other.points())
        assert Counter(record.node for record in submission_ledger.read(self.folder))[STAGE] == submissions
        assert not slurm_commands.queue(str(self.folder))


def update(job_id, *words):
    subprocess.run(["scontrol", "update", f"jobid={job_id}", *words], check=True)


@contextmanager
def daemon_killed(name):
    """Kill one of the devcluster's daemons, and start it again at the end of the block."""
    root = Path(os.environ["SLURM_CONF"]).parent
    os.kill(int((root / "run" / f"{name}.pid").read_text()), signal.SIGKILL)
    try:
        yield
    finally:
        command = ["slurmctld"] if name == "slurmctld" else ["slurmd", "-N", name]
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        environment = os.environ | {"PATH": path}
        subprocess.run([*command, "-f", os.environ["SLURM_CONF"]], check=True, env=environment)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("drill"))


@pytest.fixture(scope="module")
def undisturbed(devcluster, shards, tmp_path_factory):
    drill = Drill(tmp_path_factory.mktemp("undisturbed") / "run", shards)
    drill.launch()
    drill.until(lambda: drill.state().state == "done", 240)
    assert len(set(drill.points())) == len(drill.points()) > 20 * 10
    return drill


@pytest.fixture
def drill(undisturbed, shards, tmp_path, request, record_property):
    """Make a run with its first stage behind it; what it leaves in the queue is cancelled."""
    record_property("seed", SEED)
    log.info("MAMMOGAN_DRILL_SEED=%d", SEED)
    made = Drill(tmp_path / request.node.name, shards)

    def ready():
        for name in ("stages/0", "done/train-0", "done/shards", "done/finalise"):
            if (undisturbed.folder / name).exists():
                shutil.copytree(undisturbed.folder / name, made.folder / name)

    made.ready = ready
    yield made
    made.abandon()


def test_a_rank_is_killed(drill, undisturbed):
    drill.ready()
    drill.launch()
    job_id = drill.strike()
    os.kill(drill.ranks(job_id)[1], signal.SIGKILL)
    drill.queued_again(job_id)
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.slow
def test_the_scheduler_asks_for_a_stop(drill, undisturbed):
    drill.ready()
    drill.launch()
    job_id = drill.strike()
    subprocess.run(["scancel", "--batch", "--signal=USR2", job_id], check=True)
    drill.queued_again(job_id)
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.slow
def test_the_newest_checkpoint_is_damaged(drill, undisturbed):
    drill.ready()
    drill.launch()
    job_id = drill.strike()
    os.kill(drill.ranks(job_id)[0], signal.SIGKILL)
    drill.until(lambda: slurm_commands.outcome(job_id).startswith("PENDING"))
    newest = drill.folder / "stages" / "1" / f"{drill.saved():09d}"
    victim = drill.moments.choice(sorted(newest.glob("*.safetensors")))
    data = bytearray(victim.read_bytes())
    data[drill.moments.randrange(len(data))] ^= 0x10
    victim.write_bytes(data)
    drill.queued_again(job_id)
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.slow
def test_the_whole_job_is_cancelled(drill, undisturbed):
    drill.ready()
    drill.launch()
    subprocess.run(["scancel", drill.strike()], check=True)
    drill.until(lambda: not drill.state().among(*LIVE))
    assert drill.state().state == "cancelled"
    drill.launch()
    drill.end()
    drill.assert_like(undisturbed, submissions=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n0", "n1", "slurmctld"])
def test_a_daemon_of_slurm_is_killed(drill, undisturbed, name):
    drill.ready()
    drill.launch()
    drill.strike()
    with daemon_killed(name):
        time.sleep(drill.moments.uniform(1, 5))
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.slow
def test_the_launcher_is_killed_again_and_again(drill, undisturbed):
    drill.ready()
    for _ in range(8):
        launcher = drill.launch(wait=False)
        time.sleep(drill.moments.uniform(0.5, 5))
        launcher.kill()
        launcher.communicate()
        live = Counter(
            job.job_id.split("_")[0]
            for job in slurm_commands.queue(str(drill.folder))
            if job.state != "COMPLETING"
        )
        assert len(live) <= 1 + len({record.node for record in submission_ledger.read(drill.folder)})
    drill.launch()
    drill.until(lambda: drill.state().among("running", "done"))
    # One job of the stage is at work, whatever became of the launchers.
    assert len([job for job in slurm_commands.queue(str(drill.folder)) if job.state == "RUNNING"]) <= 1
    drill.end()
    count = Counter(record.node for record in submission_ledger.read(drill.folder))[STAGE]
    drill.assert_like(undisturbed, submissions=count)


@pytest.mark.slow
def test_the_time_limit_strikes(drill, undisturbed):
    drill.ready()
    drill.launch()
    job_id = drill.strike()
    ranks = drill.ranks(job_id).values()
    for rank in ranks:  # Slurm looks at limits twice a minute, by when so small a stage would be over
        os.kill(rank, signal.SIGSTOP)
    update(job_id, "TimeLimit=1")
    drill.until((drill.folder / "stop" / f"{STAGE}.{job_id}").exists)
    for rank in ranks:
        os.kill(rank, signal.SIGCONT)
    drill.until(lambda: slurm_commands.outcome(job_id).startswith("PENDING"))
    update(job_id, "TimeLimit=60")
    drill.queued_again(job_id)
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.slow
def test_the_disk_of_the_run_is_full(drill, undisturbed):
    drill.folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "drill", drill.folder], check=False
    ).returncode:
        pytest.skip("a file system of its own can't be mounted here")
    with ExitStack() as after:
        after.callback(subprocess.run, ["umount", "-l", drill.folder], check=False)
        drill.ready()
        drill.launch()
        job_id = drill.strike()
        ballast = drill.folder / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=4k", "status=none"], check=False)
        assert shutil.disk_usage(drill.folder).free == 0
        drill.until(lambda: slurm_commands.outcome(job_id).startswith("PENDING"))
        ballast.unlink()
        drill.queued_again(job_id)
        drill.end()
        drill.assert_like(undisturbed)


@pytest.mark.slow
def test_three_launches_at_once_do_not_touch_each_other(undisturbed, shards, tmp_path):
    drills = [Drill(tmp_path / f"run {number}", shards) for number in range(3)]
    with ExitStack() as after:
        for drill in drills:
            after.callback(drill.abandon)
        for launched in [drill.launch(wait=False) for drill in drills]:
            done_well(launched)
        jobs = [{record.job_id for record in submission_ledger.read(drill.folder)} for drill in drills]
        assert len(set.union(*jobs)) == sum(map(len, jobs)) == 3 * len(jobs[0])
        drills[1].until(lambda: drills[1].state().state == "running")
        done_well(mammogan("cancel", drills[1].folder))  # takes none of the others with it
        for drill in (drills[0], drills[2]):
            drill.end()
            drill.assert_like(undisturbed)
        assert drills[1].state().state == "cancelled"
        drills[1].launch()
        drills[1].end()
        drills[1].assert_like(undisturbed, submissions=2)


@pytest.mark.slow
def test_the_tracking_server_dies_and_returns(drill, undisturbed, tmp_path):
    from mlflow import MlflowClient

    port, environment = 17000 + SEED % 1000, os.environ | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}

    def server():
        store = f"sqlite:///{tmp_path / 'mlflow.db'}"
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store),
                *(
                    "--artifacts-destination",
                    str(tmp_path / "artifacts"),
                    "--port",
                    str(port),
                    "--workers",
                    "1",
                ),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )

    drill.uri = f"http://127.0.0.1:{port}"
    with ExitStack() as after:
        first = server()
        after.callback(os.killpg, first.pid, signal.SIGKILL)
        drill.ready()
        drill.until(lambda: answers(port), 120)
        drill.launch()
        drill.strike()
        done_well(mammogan("sync", drill.folder, env=environment))
        syncing = mammogan("sync", drill.folder, env=environment)  # the server dies while it is told
        time.sleep(drill.moments.uniform(2, 5))
        after.pop_all().close()
        syncing.communicate(timeout=PATIENCE_S)
        drill.end()
        after.callback(os.killpg, server().pid, signal.SIGKILL)
        drill.until(lambda: mammogan_sync(drill.folder, environment), 120)
        client = MlflowClient(drill.uri)
        (experiment,) = (e for e in client.search_experiments() if e.name == "mammogan")
        children = [
            run
            for run in client.search_runs([experiment.experiment_id])
            if run.data.tags.get("stage") == STAGE
        ]
        assert len(children) == 1
        points = [
            (metric.step, name)
            for name in children[0].data.metrics
            for metric in client.get_metric_history(children[0].info.run_id, name)
        ]
    assert sorted(points) == sorted(drill.points())
    drill.assert_like(undisturbed)
    assert summarize(drill.folder, Run.load(drill.folder)).stages[STAGE]


def answers(port):
    """Tell whether anybody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def mammogan_sync(folder, environment):
    """Try to sync, as often as the server is not up yet."""
    process = mammogan("sync", folder, env=environment)
    process.communicate(timeout=PATIENCE_S)
    return process.returncode == 0
