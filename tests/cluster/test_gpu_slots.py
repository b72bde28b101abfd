"""Each task on a workstation has GPUs of its own; which there are, a program and a variable say."""

from __future__ import annotations

import json
import os

import pytest

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
     ("", ()), ("-1", ()), ("NoDevFiles", ())],
)  # fmt: skip
def test_the_machines_gpus_are_those_that_are_allowed(smi, monkeypatch, allowed, names):
    smi(3)
    if allowed is not None:
        monkeypatch.setenv(gpu_slots.VISIBLE, allowed)
    assert gpu_slots.of_this_machine() == names


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


def test_more_gpus_than_there_are_are_refused_before_anything_starts(stub, tmp_path, smi):
    smi(1)
    run = stub.make_run(tmp_path, "workstation", "resources.gpu_nodes.gpus_per_node=2")
    words = r"gpu_nodes.gpus_per_node .* is '2', and this machine has 1: ask for no more"
    with pytest.raises(ClusterError, match=words):
        local_runner.preflight(run, tmp_path, graph(run))


def test_gpus_that_a_site_leaves_idle_are_named(stub, tmp_path, smi):
    smi(2)
    idle = stub.make_run(tmp_path / "a", "local")
    assert gpu_slots.idle_notice(idle).startswith("This machine has 2 GPUs, and the site 'local' computes on")
    assert gpu_slots.idle_notice(stub.make_run(tmp_path / "b", "workstation")) == ""
    smi(0)
    assert gpu_slots.idle_notice(idle) == ""


def test_without_a_gpu_a_workstation_is_refused_in_pytorchs_words(stub, tmp_path, smi):
    smi(0)
    run = stub.make_run(tmp_path, "workstation")
    with pytest.raises(ClusterError, match=r"device of the site 'workstation'.*(without CUDA|NVIDIA)"):
        local_runner.preflight(run, tmp_path, graph(run))
