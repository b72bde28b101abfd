"""`mammogan doctor` on a real Slurm: what is planted is found, with file, line and key."""

from __future__ import annotations

import os
import re
from contextlib import suppress

import pytest
import typer
from typer.testing import CliRunner

from mammogan.cli.doctor_command import doctor
from mammogan.cluster import slurm_commands
from mammogan.cluster.doctor import Case, Profile, examine, load
from mammogan.config.site import sites
from mammogan.errors import ClusterError
from tests.hidden import path_without
from tests.patience import PATIENCE_S

app = typer.Typer()
app.command()(doctor)

SOUND = """
[container]
image = ""
binds = []

[environment]
setup = ["true", "cd /", 'PATH="{path}"']

[environment.variables]
GLOO_SOCKET_IFNAME = "lo"

[storage]
scratch = "/tmp"
permanent = "{here}"

[tracking]
uri = "sqlite:///{here}/mlflow.db"
"""


@pytest.fixture(scope="module")
def small_partitions(devcluster):
    """One partition of one node and five minutes, and one that is down; nobody else's are touched."""
    made = {"doctor-one": ("nodes=n0", "MaxTime=5"), "doctor-shut": ("nodes=n[0-3]", "State=DOWN")}
    for name, how in made.items():
        with suppress(ClusterError):  # that of a test which was killed
            slurm_commands.ask("scontrol", "delete", f"partition={name}")
        slurm_commands.ask("scontrol", "create", f"partition={name}", *how)
    yield
    for name in made:
        slurm_commands.ask("scontrol", "delete", f"partition={name}")


@pytest.fixture
def plant(devcluster, tmp_path, tmp_path_factory):
    """Write a sound profile with one thing changed; give its file. Nodes have the given Apptainer, if any."""

    def write(old="", new="", apptainer=None):
        folder = tmp_path_factory.mktemp("path")
        path = path_without("apptainer", folder, os.environ["PATH"])
        if apptainer:
            program = folder / "apptainer"
            program.write_text(f"#!/bin/sh\n{apptainer}\n")
            program.chmod(0o755)
            path = f"{folder}:{path}"
        sound = SOUND.replace("{here}", str(tmp_path)).replace("{path}", path)
        text = sites()["devcluster"].read_text() + sound
        assert old in text
        path = tmp_path / "planted.toml"
        path.write_text(text.replace(old, new, 1))
        return path

    return write


def problems(path, *names):
    """Examine a profile; give (claim, what was found, where it stands) of each problem."""
    site, profile = load(str(path)), Profile.find(str(path))
    findings = site if isinstance(site, list) else examine(Case(site, patience_s=PATIENCE_S), names)
    return [(f.claim, f.found, profile.where(f.key), f.remedy) for f in findings if f.level == "problem"]


def only(path, line, key, found, told):
    """Expect problems at one place only, which is where `line` stands in the file."""
    number = path.read_text().splitlines().index(line) + 1
    assert told
    assert {where for _, _, where, _ in told} == {f"{path}:{number} {key}"}
    assert any(found in f"{claim}: {words}" for claim, words, _, _ in told), told
    assert all(remedy for *_, remedy in told)


def gpu_nodes(line):
    return '[resources.gpu_nodes]\npartition = "gpu"', f"[resources.gpu_nodes]\n{line}"


SCHEDULER = {
    "partition that does not exist": (
        *gpu_nodes('partition = "gpuu"'), 'partition = "gpuu"', "[resources.gpu_nodes] partition",
        "Slurm has no partition 'gpuu'; it has 'cpu', ",
    ),
    "partition that is down": (
        *gpu_nodes('partition = "doctor-shut"\n#'), 'partition = "doctor-shut"',
        "[resources.gpu_nodes] partition",
        "its state is 'DOWN'",
    ),
    "more nodes than the partition has": (
        'partition = "gpu"\nnodes = 2\ngpus_per_node = 1\ntime_min = 60',
        'partition = "doctor-one"\nnodes = 2\ntime_min = 5', "nodes = 2", "[resources.gpu_nodes] nodes",
        "partition 'doctor-one' has at most 1",
    ),
    "more time than the partition gives": (
        'partition = "cpu"\ntime_min = 10', 'partition = "doctor-one"\ntime_min = 10', "time_min = 10",
        "[resources.login] time_min", "partition 'doctor-one' has at most 5",
    ),
    "more memory than any node has": (
        *gpu_nodes('mem_gb = 64\npartition = "gpu"'), "mem_gb = 64", "[resources.gpu_nodes] mem_gb",
        "partition 'gpu' has at most 15.625",
    ),
    "more GPUs than a node has": (
        "nodes = 2\ngpus_per_node = 1", "nodes = 2\ngpus_per_node = 3", "gpus_per_node = 3",
        "[resources.gpu_nodes] gpus_per_node", "partition 'gpu' has at most 2",
    ),
    "more cores than a node has": (
        "cpus_per_task = 2", "cpus_per_task = 5", "cpus_per_task = 5",
        "[resources.cpu_array] cpus_per_task", "partition 'cpu' has at most 4",
    ),
    "GPUs of a type that no node has": (
        *gpu_nodes('gpu_type = "h100"\npartition = "gpu"'), 'gpu_type = "h100"',
        "[resources.gpu_nodes] gpu_type", "sbatch --test-only: ",
    ),
    "typed gres that no node has": (
        "gpus_per_node = 1          # a fake", 'gres = "gpu:h100:1" # ', 'gres = "gpu:h100:1"',
        "[resources.gpu_one.sbatch] gres", "sbatch --test-only: ",
    ),
    "a constraint that no node meets": (
        *gpu_nodes('constraint = "nvswitch"\npartition = "gpu"'), 'constraint = "nvswitch"',
        "[resources.gpu_nodes.sbatch] constraint", "Invalid feature specification",
    ),
    "a reservation that is not there": (
        *gpu_nodes('sbatch = { reservation = "ours" }\npartition = "gpu"'), "sbatch = { reservation",
        "[resources.gpu_nodes.sbatch] reservation", "reservation",
    ),
    "a licence that is not there": (
        *gpu_nodes('licenses = "fs@db"\npartition = "gpu"'), "licenses",
        "[resources.gpu_nodes.sbatch] licenses", "license",
    ),
    "more memory a core than any node has": (
        *gpu_nodes('mem-per-cpu = "64G"\npartition = "gpu"'), "mem-per-cpu",
        "[resources.gpu_nodes.sbatch] mem-per-cpu", "sbatch --test-only: ",
    ),
}  # fmt: skip
ON_A_NODE = {
    "setup line that fails": (
        '"cd /"', '"module load nonexistent"', "setup", "environment.setup", ("setup",),
        "line 'module load nonexistent' ends with code 127",
    ),
    "setup line that ends the shell": (
        '"cd /"', '"exit 3"', "setup", "environment.setup", ("setup",), "they end with code 3",
    ),
    "network interface that is not there": (
        '"lo"', '"ib0"', "GLOO_SOCKET_IFNAME", "environment.variables.GLOO_SOCKET_IFNAME", ("network",),
        "no interface 'ib0'; there are ",
    ),
    "scratch that is not on the nodes": (
        '"/tmp"', '"/nonexistent/$USER"', "scratch", "storage.scratch", ("scratch",),
        "takes no file: ls: cannot access",
    ),
    "kept folder that does not exist": (
        'permanent = "', 'permanent = "/nonexistent', "permanent", "storage.permanent",
        ("permanent", "shared"), "there is no such folder",
    ),
    "kept folder that is a file": (
        'permanent = "', 'permanent = "/etc/hostname" #', "permanent", "storage.permanent",
        ("permanent", "shared"), "it is a file",
    ),
    "image that does not exist": (
        'image = ""', 'image = "/nonexistent/m.sif"', "image", "container.image", ("image", "python"),
        "there is no such file",
    ),
    "image that is no image": (
        'image = ""', 'image = "/etc/hostname"', "image", "container.image", ("image",),
        "no Apptainer image: it begins with",
    ),
    "bind that does not exist": (
        'image = ""\nbinds = []', 'image = "/etc/hostname"\nbinds = ["/nonexistent/d:/d"]', "binds",
        "container.binds", ("binds",), "'/nonexistent/d' does not exist",
    ),
    "tracking server that is down": (
        'uri = "', 'uri = "http://127.0.0.1:9" #', "uri", "tracking.uri", ("tracking",),
        "does not answer: <urlopen error [Errno 111]",
    ),
    "tracking file in no folder": (
        "/mlflow.db", "/gone/mlflow.db", "uri", "tracking.uri", ("tracking",), "is no folder to write to",
    ),
}  # fmt: skip


@pytest.mark.parametrize("export", ["environment", "profile"])
def test_a_job_that_sbatch_gives_no_environment_answers_all_the_same(plant, monkeypatch, export):
    if export == "environment":
        monkeypatch.setenv("SBATCH_EXPORT", "NONE")
        monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
        monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    path = (
        plant(*gpu_nodes('partition = "gpu"\nsbatch = { export = "NONE" }'))
        if export == "profile"
        else plant()
    )
    assert problems(path) == []


def test_what_srun_refuses_is_found_with_its_words(plant):
    path = plant(*gpu_nodes('partition = "gpu"\nsrun = ["--mem-per-cpu=1", "--mem=1"]'))
    found = problems(path, "python")
    assert any("mutually exclusive" in words for _, words, _, _ in found), found


def test_a_setup_line_of_one_class_is_found_there(plant):
    path = plant(*gpu_nodes('partition = "gpu"\nsetup = ["module load nonexistent"]'))
    line = 'setup = ["module load nonexistent"]'
    only(path, line, "[resources.gpu_nodes] setup", "ends with code 127", problems(path, "setup"))


def bracketed(key):
    table, _, last = key.rpartition(".")
    return f"[{table}] {last}"


@pytest.mark.parametrize("name", SCHEDULER)
def test_what_slurm_would_never_run_is_found(plant, small_partitions, name):
    old, new, start, key, found = SCHEDULER[name]
    path = plant(old, new)
    line = next(line for line in reversed(path.read_text().splitlines()) if line.startswith(start))
    only(path, line, key, found, problems(path, "partitions", "accounts", "fits", "arrays"))


@pytest.mark.parametrize("name", ON_A_NODE)
def test_what_is_not_on_the_nodes_is_found(plant, name):
    old, new, start, key, names, found = ON_A_NODE[name]
    path = plant(old, new, apptainer="echo 'FATAL: there is no image' >&2; exit 255")
    line = next(line for line in path.read_text().splitlines() if line.startswith(start))
    only(path, line, bracketed(key), found, problems(path, *names))


def test_nodes_without_apptainer_are_found_whatever_the_image(plant):
    path = plant('image = ""', 'image = "/etc/hostname"')
    line = next(line for line in path.read_text().splitlines() if line.startswith("setup"))
    only(path, line, "[environment] setup", "no 'apptainer' on its PATH", problems(path, "python"))


def test_a_wrong_key_is_found(plant):
    path = plant("gpus_per_node = 1", "gpu_per_node = 1")
    line = next(line for line in path.read_text().splitlines() if line.startswith("gpu_per_node"))
    told = problems(path)
    only(path, line, "[resources.gpu_one] gpu_per_node", "Did you mean 'gpus_per_node'?", told)


def test_a_device_that_pytorch_does_not_see_is_found(plant):
    path = plant("nodes = 2\ngpus_per_node = 1", 'nodes = 2\ngpus_per_node = 1\ndevice = "cuda"')
    told = problems(path, "gpus")
    only(path, 'device = "cuda"', "[resources.gpu_nodes] device", "PyTorch", told)


def test_a_sound_profile_has_no_problem_and_leaves_nothing_behind(plant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = plant()
    result = CliRunner().invoke(app, ["--site", str(path)])
    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    assert "is shared: read there what was written here, and back" in result.output
    assert result.output.count(" answers: for [resources.") == 4
    assert "No problem with the profile" in result.output
    assert [item.name for item in tmp_path.iterdir()] == ["planted.toml"]


def test_problems_are_told_with_where_and_what_to_do_and_an_exit_code(plant):
    path = plant('"/tmp"', '"/nonexistent"')
    result = CliRunner().invoke(app, ["--site", str(path), "--check", "scratch"])
    assert isinstance(result.exception, ClusterError)
    assert "1 problem with the profile" in str(result.exception)
    assert re.search(r"✗ scratch '/nonexistent' on 'n\d' \(partition 'cpu'\) and 'n\d' \(", result.output)
    assert f"{path}:" in result.output and "[storage] scratch\n" in result.output
    assert "Name a folder that every node has" in result.output


def test_no_jobs_submits_none_and_says_what_it_leaves_out(plant, monkeypatch):
    asked, ask = [], slurm_commands.ask
    monkeypatch.setattr(
        slurm_commands, "ask", lambda *command, **named: asked.append(command) or ask(*command, **named)
    )
    findings = list(examine(Case(load(str(plant())), jobs=False)))
    assert all("--test-only" in command for command in asked if command[0] == "sbatch")
    assert "--no-jobs" in next(f.found for f in findings if f.level == "unchecked" and "job" in f.claim)
    assert not [f for f in findings if f.level == "problem"]


def test_a_slurm_that_does_not_answer_is_found(plant, monkeypatch):
    monkeypatch.delenv("SLURM_CONF")
    path = plant("/tmp/mammogan-devcluster/slurm.conf", "/nonexistent/slurm.conf")
    told = problems(path, "slurm", "partitions", "fits", "probes")
    line = 'slurm_conf = "/nonexistent/slurm.conf"'
    only(path, line, "[site] slurm_conf", "'/nonexistent/slurm.conf'", told)


def test_the_ranks_of_two_nodes_meet_and_an_interface_that_is_not_there_is_named(plant):
    (met,) = examine(Case(load(str(plant())), True, PATIENCE_S), ["ranks"])
    assert met.level == "ok" and "an all-reduce by gloo moves" in met.found, met
    path = plant('GLOO_SOCKET_IFNAME = "lo"', 'GLOO_SOCKET_IFNAME = "ib7"')
    (missed,) = examine(Case(load(str(path)), True, PATIENCE_S), ["ranks"])
    assert missed.key == "environment.variables.GLOO_SOCKET_IFNAME", missed
    assert "Unable to find address for: ib7" in missed.found
