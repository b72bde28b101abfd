"""Ranks on nodes whose own names mean loopback meet all the same: two network namespaces as two nodes."""

import os
import socket
import subprocess
import sys
import uuid
from types import SimpleNamespace

import psutil
import pytest

from mammogan.train import network_interface
from tests.patience import PATIENCE_S

JOIN = """
from mammogan.train.distributed import join
group = join()
print("joined", group.rank, group.world_size, group.any(group.rank == 1))
"""
TOWARDS = "import sys; from mammogan.train.network_interface import towards; print(towards(sys.argv[1]))"
HOSTS = "127.0.0.1 localhost\n127.0.1.1 node{0}\n10.77.0.{1} node{2}\n"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Start a Python on node A or B, which are joined by a cable and know themselves as Debian has it."""
    tag, folder = uuid.uuid4().hex[:6], tmp_path_factory.mktemp("nodes")
    names = {name: f"mg{tag}{name}" for name in "AB"}
    try:
        for space in names.values():
            ip("netns", "add", space)
        ip("link", "add", f"v{tag}A", "type", "veth", "peer", "name", f"v{tag}B")
        for number, (name, space) in enumerate(names.items(), 1):
            ip("link", "set", f"v{tag}{name}", "netns", space)
            ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", f"v{tag}{name}")
            ip("-n", space, "link", "set", f"v{tag}{name}", "up")
            ip("-n", space, "link", "set", "lo", "up")
            other = "AB"[number % 2]
            (folder / name).write_text(HOSTS.format(name, "AB".index(other) + 1, other))
    except (OSError, subprocess.CalledProcessError) as error:
        _remove(names.values())
        pytest.skip(f"network namespaces can't be made: {error}")

    def start(name, *words, **variables):
        inside = f'mount --bind "{folder / name}" /etc/hosts && hostname node{name} && exec "$@"'
        command = ["ip", "netns", "exec", names[name], "unshare", "-m", "-u", "bash", "-c", inside, "bash"]
        return subprocess.Popen(
            [*command, sys.executable, "-c", *words],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    yield start
    _remove(names.values())


def _remove(spaces):
    for space in spaces:
        subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


@pytest.mark.slow  # six seconds
def test_two_nodes_whose_own_names_mean_loopback_join(nodes):
    common = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "10.77.0.1", "MASTER_PORT": "12399"}
    ranks = [nodes(name, JOIN, **common, RANK=str(rank)) for rank, name in enumerate("AB")]
    for rank, process in enumerate(ranks):
        words, errors = process.communicate(timeout=PATIENCE_S)
        assert words.splitlines()[-1:] == [f"joined {rank} 2 True"], errors


@pytest.mark.parametrize("master", ["nodeA", "10.77.0.1"])
@pytest.mark.parametrize("name", ["A", "B"])
def test_the_interface_leads_to_the_master_even_if_its_own_name_means_loopback_there(nodes, name, master):
    words, errors = nodes(name, TOWARDS, master).communicate(timeout=PATIENCE_S)
    assert words.startswith("v") and words.strip().endswith(name), errors


@pytest.mark.parametrize("master", ["127.0.0.1", "localhost"])
def test_ranks_of_one_machine_stay_on_it(master):
    assert network_interface.towards(master) == "lo"


def test_of_several_interfaces_one_is_taken_and_the_others_are_named(monkeypatch, caplog):
    def address(text):
        return [SimpleNamespace(family=socket.AF_INET, address=text)]

    there = {"lo": "127.0.0.1", "eth0": "10.0.0.1", "ib0": "10.1.0.1", "docker0": "172.17.0.1"}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {name: address(x) for name, x in there.items()})
    monkeypatch.setattr(psutil, "net_if_stats", lambda: dict.fromkeys(there, SimpleNamespace(isup=True)))
    monkeypatch.setattr(network_interface, "_source", lambda address, _: "127.0.1.1" * (address == "nodeA"))
    assert network_interface.towards("nodeA") == "eth0"
    assert "(eth0, ib0), and 'eth0' is taken: set GLOO_SOCKET_IFNAME" in caplog.text
