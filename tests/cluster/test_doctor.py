"""The doctor's parts: where keys stand, what Slurm's words mean, and what needs a cluster out of order."""

from __future__ import annotations

import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mammogan.cli.doctor_command import doctor
from mammogan.cluster.doctor import (
    CHECKS,
    Case,
    Profile,
    examine,
    file_system_checks,
    installation_checks,
    load,
)
from mammogan.cluster.doctor.compute_node_checks import ON_A_NODE
from mammogan.cluster.doctor.node_probe import Probe
from mammogan.cluster.doctor.profile_lines import index
from mammogan.cluster.doctor.slurm_facts import Facts, minutes
from mammogan.config.site import load_site, sites
from mammogan.errors import ClusterError, ConfigError
from tests.hidden import path_without

PYTHON = ".".join(map(str, sys.version_info[:2]))
app = typer.Typer()
app.command()(doctor)


def keys(tree, prefix=""):
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


@pytest.mark.parametrize("name", sites())
def test_every_key_of_every_profile_has_the_line_on_which_it_stands(name):
    text = sites()[name].read_text()
    lines, profile = text.splitlines(), Profile.find(name)
    for key in keys(tomllib.loads(text)):
        if key != "resources":  # which only its tables name
            line = int(profile.where(key).removeprefix(f"{profile.path}:").split()[0])
            assert key.rpartition(".")[2] in lines[line - 1]


def test_keys_are_found_behind_lists_texts_and_comments_of_several_lines():
    text = '''# a = 1
[container]  # [no]
binds = [
  "a = [",   # b = ]
  "c",
]
image = "x # y"
[environment.variables]
"NCCL_X" = "1"
dotted.key = 2
long = """
[storage]
scratch = 1
"""
[tracking]
uri = "off"
'''
    assert index(text) == {
        "container": 2,
        "container.binds": 3,
        "container.image": 7,
        "environment.variables": 8,
        "environment.variables.NCCL_X": 9,
        "environment.variables.dotted.key": 10,
        "environment.variables.long": 11,
        "tracking": 15,
        "tracking.uri": 16,
    }


def test_a_key_that_is_not_set_is_shown_at_its_table(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[site]\n\n[tracking]\n")
    profile = Profile.find(str(path))
    assert profile.where("tracking.uri") == f"{path}:3 [tracking] uri (not set)"
    assert profile.where("storage.scratch") == f"{path} [storage] scratch (not set)"


def mistakes(tmp_path, old, new):
    path = tmp_path / "s.toml"
    text = sites()["devcluster"].read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    profile = Profile.find(str(path))
    told, lines = load(str(path)), ["", *path.read_text().splitlines()]
    assert isinstance(told, list)
    places = [profile.where(finding.key).removeprefix(f"{path}:").split(" ", 1) for finding in told]
    return [
        (finding.found, *((lines[int(place[0])], place[1]) if len(place) == 2 else ("", "")))
        for finding, place in zip(told, places, strict=True)
    ]


@pytest.mark.parametrize(
    ("old", "new", "found", "place"),
    [
        ("requeues = 3", "requeus = 3", "unknown key 'site.requeus'. Did you mean", "[site] requeus"),
        ("requeues = 3", "requeues = -3", "key 'site.requeues' is '-3'", "[site] requeues"),
        (
            "gpus_per_node = 1 ",
            'device = "cuda"  ',
            "device is 'cuda', but gpus_per_node",
            "[resources.gpu_one] device",
        ),
        ("[site]", "[site", "is not valid TOML: Expected ']'", ""),
    ],
)
def test_a_profile_that_is_wrong_is_explained_as_always_and_with_its_line(tmp_path, old, new, found, place):
    ((told, line, where),) = mistakes(tmp_path, old, new)
    assert found in told
    assert where == place
    assert line.startswith(new.strip() if place else "")


def test_every_mistake_of_a_profile_is_a_problem_of_its_own(tmp_path):
    told = mistakes(tmp_path, "stop_notice_s = 60\nrequeues = 3", "stop_notice_s = 1\nrequeus = 3")
    assert [line for _, line, _ in told] == ["stop_notice_s = 1", "requeus = 3"]


def test_a_site_that_is_not_there_is_no_finding():
    with pytest.raises(ConfigError, match=r"no site 'nowhere'"):
        load("nowhere")
    with pytest.raises(ConfigError, match=r"no settings file 'no.toml'"):
        load("no.toml")
    with pytest.raises(ConfigError, match=r"no check 'scrach'. Did you mean 'scratch'"):
        list(examine(Case(load_site("local")), ["scrach"]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("01:30:00", 90), ("2-00:00:00", 2880), ("1-12", 2160), ("00:00:30", 0.5), ("UNLIMITED", float("inf"))],
)
def test_limits_of_time_are_read(text, expected):
    assert minutes(text) == expected


CONFIG = {"MaxArraySize": "1001", "AccountingStorageType": "accounting_storage/slurmdbd"}
UP = {"PartitionName": "gpu", "State": "UP", "MaxTime": "UNLIMITED", "TotalNodes": "4", "Default": "YES"}
NODE = "NodeName={} CPUTot=8 RealMemory=16000 Gres={} State={} Partitions=gpu,cpu"


def case(*overrides, name="devcluster", facts=None, probes=None):
    made = Case(load_site(name, overrides))
    if facts is not None:
        made.__dict__["facts"] = facts
    if probes is not None:
        made.__dict__["probes"] = probes
    return made


def told(made, *names, levels=("problem",)):
    return [(f.key, f.found) for f in examine(made, names) if f.level in levels]


def test_trackers_are_checked_and_without_mlflow_no_server_is_asked():
    unknown = case('tracking.trackers=["mlflow", "wandb"]')
    assert ("tracking.trackers", "there is no such tracker") in told(unknown, "tracking")
    files = case('tracking.trackers=["jsonl"]', "tracking.uri=http://127.0.0.1:9")
    assert told(files, "tracking") == []
    assert told(files, "tracking", levels=("ok",)) == [("tracking.trackers", "by jsonl")]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Put shell scripts first on the PATH, as commands that this machine need not have; Apptainer only so."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", f"{folder}:{path_without('apptainer', tmp_path, path)}")

    def write(**scripts):
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/bash\n{script}\n")
            (folder / name).chmod(0o755)

    return write


def test_nodes_are_read_with_their_gpus_and_whether_they_are_up(commands):
    lines = [
        NODE.format("a", "gpu:h100:8(S:0-1),craynetwork:4", "IDLE+DRAIN"),
        NODE.format("b", "gpu:2,gpu:mig:3", "MIXED"),
        NODE.format("c", "(null)", "DOWN*"),
        NODE.format("d", "(null)", "IDLE+CLOUD+POWERED_DOWN"),  # started when a job wants it
    ]
    shown = "\n".join(lines)
    commands(
        scontrol=f"""case "$*" in
*partition) echo 'PartitionName=gpu State=UP Default=YES MaxTime=1-00:00:00' ;;
*node) cat <<'END'
{shown}
END
;;
*config) echo 'MaxArraySize            = 1001' ;;
esac"""
    )
    facts = Facts.ask()
    assert [(machine.gpus, machine.usable) for machine in facts.machines] == [
        (8, False),
        (5, True),
        (0, False),
        (0, True),
    ]
    assert facts.partition("")["PartitionName"] == "gpu"
    assert facts.partition("cpu") is None
    assert facts.config == {"MaxArraySize": "1001"}


def test_accounts_are_those_that_accounting_gives_the_user(commands):
    commands(sacctmgr="echo 'mine|normal,high'; echo 'other|normal'")
    facts = Facts({"gpu": UP | {"AllowAccounts": "mine,yours"}, "cpu": UP}, (), CONFIG)
    named = (
        "resources.login.account=nobody", "resources.gpu_one.account=mine", "resources.gpu_one.qos=low",
        "resources.gpu_nodes.account=other",
    )  # fmt: skip
    found = dict(told(case(*named, facts=facts), "accounts"))
    assert list(found) == ["resources.login.account", "resources.gpu_one.qos", "resources.gpu_nodes.account"]
    assert "sacctmgr gives 'mine', 'other' for user" in found["resources.login.account"]
    assert "sacctmgr gives 'high', 'normal'" in found["resources.gpu_one.qos"]
    assert found["resources.gpu_nodes.account"] == "partition 'gpu' lets in only 'mine', 'yours'"


def test_accounts_are_not_checked_where_there_is_no_accounting():
    facts = Facts({"gpu": UP, "cpu": UP}, (), {"AccountingStorageType": "accounting_storage/none"})
    found = told(case("resources.login.account=x", facts=facts), "accounts", levels=("unchecked",))
    assert found == [
        ("resources.login.account", "not checked: this Slurm keeps no accounts, and takes any name")
    ]


def test_preemption_without_time_to_save_and_arrays_beyond_the_limit_are_warned_of():
    facts = Facts({"gpu": UP | {"PreemptMode": "REQUEUE", "GraceTime": "30"}, "cpu": UP}, (), CONFIG)
    made = case("resources.cpu_array.array_parallelism=2000", facts=facts)
    found = told(made, "partitions", "arrays", levels=("warning",))
    assert [key for key, _ in found] == ["site.stop_notice_s"] * 2 + ["resources.cpu_array.array_parallelism"]
    assert "30 s of GraceTime" in found[0][1]


def test_no_default_partition_is_a_problem_where_none_is_named():
    facts = Facts({"gpu": UP | {"Default": "NO"}, "cpu": UP | {"Default": "NO"}}, (), CONFIG)
    found = told(case("resources.login.partition=", facts=facts), "partitions")
    assert found == [("resources.login.partition", "Slurm has no default partition; it has 'cpu', 'gpu'")]


def answers(**given):
    return (Probe("'n0'", ("resources.gpu_one", "resources.gpu_nodes"), given),)


def test_a_kept_folder_that_is_not_the_same_on_the_nodes_is_found(tmp_path):
    def found(**given):
        given = {name.replace("__", f".{tmp_path}"): value for name, value in given.items()}
        return told(case(f"storage.permanent={tmp_path}", probes=answers(**given)), "shared")

    assert found(permanent="yes", read__="mammogan", back__="yes") == []
    assert "no such folder there: ls" in found(permanent="ls: cannot access")[0][1]
    assert "does not show there" in found(permanent="yes", read__="cat: no such file")[0][1]
    assert "does not show here" in found(permanent="yes", read__="mammogan")[0][1]


def test_the_kept_folders_file_system_is_tried_and_a_missing_lock_is_warned_of(tmp_path, monkeypatch):
    made = case(f"storage.permanent={tmp_path}")
    assert told(made, "permanent") == []
    found = told(made, "permanent", levels=("ok",))
    assert found[-1] == ("storage.permanent", "has locks, atomic rename, O_EXCL, hard links")
    monkeypatch.setattr(file_system_checks, "missing_locks", lambda folder: "No locks available")
    assert told(made, "permanent", levels=("problem", "warning")) == [
        ("storage.permanent", "has no locks: No locks available")
    ]

    def refuse(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert told(made, "permanent", levels=("ok",))[-1][1].endswith("no hard links (which nothing needs)")
    monkeypatch.setattr(Path, "replace", refuse)
    assert told(made, "permanent") == [("storage.permanent", "has no atomic rename")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lock", "trip", "level", "found"),
    [
        ("held", "412e-3", "ok", ["are shared: held there, too, what is held here", "take 0.4 s"]),
        ("free", "0.1", "warning", ["each machine has its own: what is held here is free there"]),
        (
            "flock: lock: Function not implemented",
            "0.1",
            "warning",
            ["work here and not there: flock: lock: "],
        ),
        ("held", "30", "warning", ["take 30.0 s"]),
    ],
)
def test_locks_that_nodes_do_not_share_and_files_that_come_late_are_found(tmp_path, lock, trip, level, found):
    given = {"permanent": "yes", f"read.{tmp_path}": "mammogan", f"back.{tmp_path}": "yes", "trip": trip}
    made = case(f"storage.permanent={tmp_path}", probes=answers(**given, **{f"lock.{tmp_path}": lock}))
    words = [words for key, words in told(made, "shared", levels=(level,)) if "is shared: read" not in words]
    assert all(any(want in word for word in words) for want in found)
    assert len(words) == len(found)


def test_this_machine_sees_its_own_locks_and_files_at_once(tmp_path):
    made = case(f"storage.permanent={tmp_path}", name="local")
    words = [words for _, words in told(made, "shared", levels=("ok",))]
    assert "are shared: held there, too, what is held here" in words and "take 0.0 s" in words


@pytest.mark.parametrize(
    ("variable", "value", "missing"),
    [
        ("NCCL_SOCKET_IFNAME", "hsn", None),
        ("NCCL_SOCKET_IFNAME", "=hsn", "hsn"),
        ("NCCL_SOCKET_IFNAME", "^lo,docker", None),
        ("GLOO_SOCKET_IFNAME", "hsn", "hsn"),
        ("GLOO_SOCKET_IFNAME", "hsn0,hsn1", None),
        ("GLOO_SOCKET_IFNAME", "hsn0,ib0", "ib0"),
    ],
)
def test_interfaces_are_matched_as_their_readers_do(variable, value, missing):
    made = case(f"environment.variables.{variable}={value}", probes=answers(interfaces="hsn0 hsn1 lo"))
    found = told(made, "network")
    expected = f"no interface '{missing}'; there are hsn0, hsn1, lo"
    assert found == ([(f"environment.variables.{variable}", expected)] if missing else [])


@pytest.mark.parametrize(
    ("given", "overrides", "key", "found"),
    [
        ({"in.cuda": "0 None"}, (), "resources.gpu_one.device", "built without CUDA; nvidia-smi lists 1"),
        ({"in.cuda": "0 13.0"}, ("container.image=/m.sif",), "container.nv", "container.nv is false"),
        ({"in.cuda": "0 13.0"}, (), "resources.gpu_one.device", "PyTorch sees no GPU; nvidia-smi lists 1"),
        ({}, (), "resources.gpu_one.device", "PyTorch sees no GPU"),
        (
            {"in.cuda": "0 13.0", "in.cuda_reason": "The NVIDIA driver on your system is too old."},
            (),
            "resources.gpu_one.device",
            "PyTorch sees no GPU (The NVIDIA driver on your system is too old); nvidia-smi lists 1",
        ),
    ],
)
def test_gpus_that_pytorch_does_not_see_are_found(given, overrides, key, found):
    made = case(
        "resources.gpu_one.device=cuda", *overrides, probes=answers(**{"in.torch": "2"}, gpus="1", **given)
    )
    ((at, words),) = told(made, "gpus")
    assert at == key
    assert found in words


def test_gpus_that_pytorch_sees_are_no_problem():
    made = case("resources.gpu_one.device=cuda", probes=answers(**{"in.torch": "2", "in.cuda": "1 13.0"}))
    assert told(made, "gpus") == []


IMAGE = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + bytes(1000)
# Does what `apptainer exec ... IMAGE python3 -c ...` would, with the Python of the test.
RUNS = 'while [ "$1" != python3 ]; do shift; done; shift; exec python3 "$@"'


def of_image(tmp_path, *overrides):
    image = tmp_path / "m.sif"
    image.write_bytes(IMAGE)
    return case(f"container.image={image}", *overrides, name="local")


def test_an_image_that_runs_this_python_is_no_problem(commands, tmp_path):
    commands(apptainer=RUNS)
    made = of_image(tmp_path)
    assert told(made, "image", "python") == []
    assert made.probes[0].answers["in.submitit"] == metadata.version("submitit")


@pytest.mark.parametrize(
    ("apptainer", "key", "found"),
    [
        (None, "environment.setup", "no 'apptainer' on its PATH"),
        ("echo 'FATAL: the image is for arm64' >&2; exit 255", "container.image",
         "does not start (exit code 255): FATAL: the image is for arm64"),
        ("echo in.python 3.9; for p in mammogan submitit torch; do echo in.$p 1; done", "container.image",
         f"Python 3.9, and {PYTHON} here: pickles crash between them"),
        (f"echo in.python {PYTHON}; echo in.mammogan no; echo in.submitit no; echo in.torch 2.13.0",
         "container.image", "has no mammogan and no submitit"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_do_is_found(commands, tmp_path, apptainer, key, found):
    commands(**({"apptainer": apptainer} if apptainer else {}))
    made = of_image(tmp_path)
    ((at, words),) = told(made, "python")
    assert at == key
    assert found in words


def test_other_versions_inside_are_warned_of(commands, tmp_path):
    commands(
        apptainer=f"echo in.python {PYTHON}; echo in.mammogan 0.0.1; echo in.submitit 1.5.4; "
        "echo in.torch 2.13.0"
    )
    found = told(of_image(tmp_path), "python", levels=("warning",))
    assert found == [
        ("container.image", f"has mammogan 0.0.1, and here it is {metadata.version('mammogan')}")
    ]


def test_a_missing_bind_is_not_blamed_on_the_image(commands, tmp_path):
    commands(apptainer="exit 255")
    made = of_image(tmp_path, f'container.binds=["{tmp_path}:/x:ro,/nonexistent"]')
    assert told(made, "binds", "python") == [("container.binds", "'/nonexistent' does not exist")]


def test_setup_lines_reach_what_is_asked_after_them(tmp_path):
    lines = f'["for i in 1 2; do", "  HERE={tmp_path}", "done", "unset NOTHING; set -u"]'
    made = case(f"environment.setup={lines}", "storage.scratch=$HERE", name="local")
    assert told(made) == []
    assert made.probes[0].answers["scratch"].startswith(f"yes {tmp_path} ")


def test_the_first_of_several_setup_lines_that_fails_is_named():
    lines = '["true", "ls /nonexistent", "false"]'
    ((_, found),) = told(case(f"environment.setup={lines}", name="local"), "setup")
    assert found.startswith("line 'ls /nonexistent' ends with code 2: ls: cannot access")


JOB = "JobId=7 JobState={} Reason=Resources ExitCode=0:0"


def submitted(commands, tmp_path, state, patience_s=1):
    commands(sbatch="echo 7", scontrol=f"echo {JOB.format(state)}", scancel=f"echo $* >>{tmp_path}/cancelled")
    made = case(facts=Facts({"gpu": UP, "cpu": UP}, (), CONFIG))
    made.patience_s = patience_s
    return made


def test_a_job_that_does_not_start_is_cancelled_and_said_so(commands, tmp_path):
    made = submitted(commands, tmp_path, "PENDING")
    found = told(made, "probes", "scratch", levels=("unchecked", "problem"))
    assert len(found) == 4
    assert "probe job 7 was still waiting (Resources), and was cancelled: try later" in found[0][1]
    assert (tmp_path / "cancelled").read_text() == "7 7 7 7\n"


def test_a_job_whose_answer_is_nowhere_is_a_problem(commands, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr("mammogan.cluster.doctor.node_probe.time.monotonic", lambda: next(clock))
    found = told(submitted(commands, tmp_path, "COMPLETED"), "probes")
    assert "probe job 7 ended (COMPLETED 0:0 Resources), and left no answer in" in found[0][1]


def test_jobs_that_sbatch_refuses_are_not_checked(commands, tmp_path):
    made = submitted(commands, tmp_path, "PENDING")
    commands(sbatch="echo 'sbatch: error: invalid partition' >&2; exit 1")
    found = told(made, "probes", levels=("unchecked",))
    assert "invalid partition" in found[0][1]


def test_every_check_has_one_name_and_says_what_it_is_for():
    assert len(CHECKS) == 18
    assert set(ON_A_NODE) <= set(CHECKS)
    assert all(check.__doc__ for name, check in CHECKS.items() if name not in ON_A_NODE)
    assert all(check.__doc__ for check in ON_A_NODE.values())


def test_an_installation_with_a_package_missing_old_or_broken_is_found(monkeypatch):
    versions = {"torch": "2.13.0+cpu", "deepspeed": "0.1", "submitit": "1.5.4"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    def run(code):
        broken = "submitit" in code
        return installation_checks.subprocess.CompletedProcess(
            [], broken, "True 0 None", "ImportError: libx.so\n"
        )

    monkeypatch.setattr(installation_checks.metadata, "version", version)
    monkeypatch.setattr(installation_checks, "run", run)
    found = {finding.claim: (finding.level, finding.found) for finding in installation_checks.examine()}
    assert found["torch"] == ("ok", "2.13.0+cpu, as pinned")
    assert found["deepspeed"][0] == "warning" and found["deepspeed"][1].startswith("0.1, and ")
    assert found["submitit"] == ("problem", "1.5.4 can't be imported: ImportError: libx.so")
    assert found["mlflow"] == ("problem", "is not installed")
    assert found["PyTorch multiplies matrices"] == ("ok", "built without CUDA; 0 GPUs here")
    result = CliRunner().invoke(app, [])
    assert isinstance(result.exception, ClusterError)
    assert "✗ mlflow: is not installed\n    pip install 'mammogan[launch,train]'" in result.output


def test_pins_come_with_the_package():
    assert installation_checks._pinned()["torch"] == "2.13.0"


def test_torch_of_this_installation_multiplies():
    assert installation_checks._arithmetic().level == "ok"


def test_the_site_without_a_scheduler_is_looked_at_here():
    result = CliRunner().invoke(app, ["--site", "local"])
    assert result.exit_code == 0, result.output
    assert "✓ the scheduler is 'local'" in result.output
    assert f"✓ this Python on this machine: Python {PYTHON}, mammogan" in result.output
