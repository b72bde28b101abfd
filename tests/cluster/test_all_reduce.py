"""`mammogan doctor --check ranks`: the processes of a training job meet, or it says where they don't."""

from __future__ import annotations

import json

import pytest

from mammogan.cluster.doctor import Case, all_reduce, examine
from mammogan.config.site import load_site

TWO = "resources.gpu_nodes.tasks_per_node=2"


def found(*settings, jobs=True, site="local"):
    return list(examine(Case(load_site(site, settings), jobs), ["ranks"]))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.slow
def test_two_processes_of_this_machine_meet_and_are_timed():
    (finding,) = found(TWO)
    assert finding.level == "ok", finding
    assert finding.claim == "[resources.gpu_nodes] 1 x 2 processes meet"
    assert "an all-reduce by gloo moves" in finding.found and "Gloo by 'lo'" in finding.found


@pytest.mark.slow
def test_an_interface_that_is_not_there_is_named_with_its_key_and_the_way_out():
    (finding,) = found(TWO, "environment.variables.GLOO_SOCKET_IFNAME=ib7")
    assert (finding.level, finding.key) == ("problem", "environment.variables.GLOO_SOCKET_IFNAME")
    assert "by interface 'ib7'" in finding.found and "Unable to find address for: ib7" in finding.found


def test_one_process_has_nobody_to_meet():
    assert found() == []


def test_nodes_are_not_looked_at_without_jobs():
    (finding,) = found("resources.gpu_nodes.nodes=2", jobs=False, site="devcluster")
    assert (finding.level, finding.key) == ("unchecked", "resources.gpu_nodes.nodes")


@pytest.mark.parametrize(
    ("answers", "key", "words"),
    [
        (
            [
                {"at": "nccl", "error": "it waited 120 s for the other ranks"},
                {"at": "nccl", "error": "no NET"},
            ],
            "environment.variables.NCCL_SOCKET_IFNAME",
            "rank 1 on 'n1' by interface 'eth0': no NET",
        ),
        (
            [{"at": "gloo", "error": "2 processes on 'n0' have one GPU between them"}, {"at": "gloo"}],
            "resources.gpu_nodes.device",
            "rank 0 on 'n0' by interface 'eth0': 2 processes",
        ),
        (
            [{"at": "nccl", "joined_s": 1.0, "seconds": 1.0, "right": False}],
            "resources.gpu_nodes.nodes",
            "their sum by nccl is wrong",
        ),
        ([], "resources.gpu_nodes.nodes", "No module named 'torch'"),
    ],
)
def test_what_ranks_say_is_told_with_the_key_that_mends_it(answers, key, words):
    given = {i: {"host": f"n{i}", "interface": "eth0", **answer} for i, answer in enumerate(answers)}
    finding = all_reduce._judged("c", "resources.gpu_nodes.nodes", given, "No module named 'torch'")
    assert (finding.level, finding.key) == ("problem", key)
    assert words in finding.found and finding.remedy


def test_the_answer_of_a_rank_that_is_being_written_is_not_read(tmp_path):
    (tmp_path / ".rank-1.json.tmp").write_text("{")
    (tmp_path / "rank-0.json").write_text(json.dumps({"host": "n0"}))
    try:
        assert all_reduce._answers(tmp_path) == {0: {"host": "n0"}}
    finally:
        for path in tmp_path.iterdir():
            path.unlink()
