"""Each task on a workstation has GPUs of its own; which there are, a program and a variable say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from mammogan.cluster import gpu_slots, local_runner
from mammogan.cluster.gpu_slots import GpuSlots
from mammogan.errors import ClusterError
from mammogan.steps.job_graph import graph


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an nvidia-smi first on the PATH that lists so many GPUs."""

    def write(count):
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n" + "".join(f"echo {number}\n" for number in range(count)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    monkeypatch.delenv(gpu_slots.VISIBLE, raising=False)
    return write


@pytest.mark.parametrize(
    ("allowed", "names"),
    [(None, ("0", "1", "2")), ("2", ("2",)), ("1, 0", ("1", "0")), ("GPU-ab,MIG-cd", ("GPU-ab", "MIG-cd")),
     ("MIG-GPU-ab/1/0,MIG-GPU-ab/2/0", ("MIG-GPU-ab/1/0", "MIG-GPU-ab/2/0")), ("1,3", ("1", "3")),
     ("0,", ("0",)),
     ("2,-1,0", ("2",)), ("1,1", ()), ("", ()), (" ", ()), ("-1", ()), ("NoDevFiles", ()), ("none", ())],
)  # fmt: skip
def test_the_machines_gpus_are_those_that_are_allowed(smi, monkeypatch, allowed, names):
    smi(3)
    if allowed is not None:
        monkeypatch.setenv(gpu_slots.VISIBLE, allowed)
    assert gpu_slots.of_this_machine() == names


@pytest.mark.parametrize(
    "allowed",
    [
        "1,3",
        "2",
        "0,1,2",
        " 1 , 0",
        "0,",
        "2,-1,0",
        "1,1",
        "",
        " ",
        "-1",
        "NoDevFiles",
        "GPU-ab,GPU-cd",
        "MIG-a,MIG-b",
    ],
)
def test_what_may_be_lent_is_what_pytorch_would_see(monkeypatch, allowed):
    from torch.cuda import _parse_visible_devices  # which asks no driver

    monkeypatch.setenv(gpu_slots.VISIBLE, allowed)
    assert gpu_slots.of_this_machine() == tuple(map(str, _parse_visible_devices()))


def test_a_machine_without_nvidias_program_has_none(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv(gpu_slots.VISIBLE, raising=False)
    assert gpu_slots.of_this_machine() == ()


def test_no_gpu_is_lent_twice_and_ended_tasks_give_theirs_back():
    slots = GpuSlots(("0", "1", "2"))
    assert (slots.take("a", 2), slots.take("b", 1), slots.free) == (("0", "1"), ("2",), ())
    slots.keep({"b"})
    assert slots.free == ("0", "1")
    assert slots.take("c", 0) == ()


def seen(stub, folder, node, task=0, rank=0):
    return json.loads(stub.output(folder, node, task, rank).read_text())


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "named", [None, pytest.param("5,3", marks=SLOW), pytest.param("GPU-ab,GPU-cd", marks=SLOW)]
)
def test_two_tasks_of_an_array_at_once_never_have_the_same_gpu(stub, tmp_path, smi, monkeypatch, named):
    smi(2)
    if named:
        monkeypatch.setenv(gpu_slots.VISIBLE, named)
    run = stub.make_run(
        tmp_path, "workstation", "resources.gpu_one.cpus_per_task=1", "resources.gpu_nodes.cpus_per_task=1",
        checkpoints=4,
    )  # fmt: skip
    monkeypatch.setattr(local_runner, "_cores", lambda *_: 0)
    nodes = [node for node in graph(run) if node.step in ("shards", "finalise", "train", "score")]
    stub.order(tmp_path, **{f"score_0_{task}": "sleep 1" for task in range(4)})
    *_, last = local_runner.run_graph(tmp_path, nodes, poll_s=0.1)
    assert {state.state for state in last if state.node in nodes} == {"done"}
    tasks = [seen(stub, tmp_path, "score-0", task) for task in range(4)]
    allowed = set((named or "0,1").split(","))
    assert {task["CUDA_VISIBLE_DEVICES"] for task in tasks} == allowed
    for one in tasks:
        for other in tasks:
            at_once = one["started"] < other["ended"] and other["started"] < one["ended"]
            assert one is other or not at_once or one["CUDA_VISIBLE_DEVICES"] != other["CUDA_VISIBLE_DEVICES"]


TORCH = """
import os
class cuda:
    @staticmethod
    def device_count():
        return len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))
"""
RANK = """
import os
from mammogan.train.device_choice import gpu_of_rank
print(os.environ["CUDA_VISIBLE_DEVICES"].split(",")[gpu_of_rank()])
"""


def of_rank(folder, environ):
    """Let a process choose its GPU with what a rank was given; its PyTorch counts what is visible."""
    (folder / "fake").mkdir(exist_ok=True)
    (folder / "fake" / "torch.py").write_text(TORCH)
    given = {name: value for name, value in environ.items() if isinstance(value, str)}
    path = os.pathsep.join([str(folder / "fake"), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", RANK],
        env={**os.environ, **given, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_two_ranks_of_a_training_see_two_gpus(stub, tmp_path, smi, monkeypatch):
    smi(2)
    run = stub.make_run(
        tmp_path, "workstation", "resources.gpu_nodes.tasks_per_node=2", "resources.gpu_nodes.gpus_per_node=2"
    )
    monkeypatch.setattr(local_runner, "_cores", lambda *_: 0)
    nodes = [node for node in graph(run) if node.step in ("shards", "finalise", "train")]
    list(local_runner.run_graph(tmp_path, nodes, poll_s=0.1))
    assert {seen(stub, tmp_path, "train-0", 0, rank)["CUDA_VISIBLE_DEVICES"] for rank in range(2)} == {"0,1"}
    assert {seen(stub, tmp_path, "train-0", 0, rank)["RANK"] for rank in range(2)} == {"0", "1"}
    numbers = [of_rank(tmp_path, seen(stub, tmp_path, "train-0", 0, rank)) for rank in range(2)]
    assert numbers == ["0", "1"]


def test_more_gpus_than_there_are_are_refused_before_anything_starts(stub, tmp_path, smi):
    smi(1)
    run = stub.make_run(tmp_path, "workstation", "resources.gpu_nodes.gpus_per_node=2")
    words = r"gpu_nodes.gpus_per_node .* is '2', and this machine has 1: ask for no more"
    with pytest.raises(ClusterError, match=words):
        local_runner.preflight(run, tmp_path, graph(run))


@pytest.mark.parametrize(("hidden", "left"), [("", 0), ("-1", 0), ("1", 1)])
def test_gpus_that_the_user_hides_are_lent_to_nobody(stub, tmp_path, smi, monkeypatch, hidden, left):
    smi(2)
    monkeypatch.setenv(gpu_slots.VISIBLE, hidden)
    run = stub.make_run(tmp_path, "workstation", "resources.gpu_nodes.gpus_per_node=2")
    assert len(local_runner._machine_gpus(run)) == left
    words = (
        rf"gpu_nodes.gpus_per_node .* is '2', and CUDA_VISIBLE_DEVICES '{hidden}' leaves {left}: name more"
    )
    with pytest.raises(ClusterError, match=words):
        local_runner.preflight(run, tmp_path, [node for node in graph(run) if node.step == "train"])


def test_gpus_that_a_site_leaves_idle_are_named(stub, tmp_path, smi):
    smi(2)
    idle = stub.make_run(tmp_path / "a", "local")
    assert gpu_slots.idle_notice(idle).startswith("This machine has 2 GPUs, and the site 'local' computes on")
    assert gpu_slots.idle_notice(stub.make_run(tmp_path / "b", "workstation")) == ""
    smi(0)
    assert gpu_slots.idle_notice(idle) == ""


@SLOW
def test_a_task_whose_gpu_pytorch_does_not_see_says_so(smi, tmp_path):
    """A real process with a slot of its own, and PyTorch's own view of it."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    smi(2)
    (name,) = GpuSlots(gpu_slots.of_this_machine()).take("task", 1)
    code = (
        "import torch; from mammogan.train.device_choice import no_gpu; "
        "print(torch.cuda.device_count(), no_gpu())"
    )
    environ = {**os.environ, gpu_slots.VISIBLE: name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    count, _, reason = done.stdout.partition(" ")
    assert count == "0" and ("without CUDA" in reason or "NVIDIA" in reason)


def test_without_a_gpu_a_workstation_is_refused_in_pytorchs_words(stub, tmp_path, smi):
    smi(0)
    run = stub.make_run(tmp_path, "workstation")
    with pytest.raises(ClusterError, match=r"device of the site 'workstation'.*(without CUDA|NVIDIA)"):
        local_runner.preflight(run, tmp_path, graph(run))
