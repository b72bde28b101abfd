"""The address at which the first node is known to the others, as its batch script works it out."""

import os
import subprocess

import pytest

from mammogan.cluster.batch_script import MASTER

FAKES = {
    "scontrol": """case "$*" in
"show hostnames"*) printf '%s\\n' $NAMES ;;
*) echo "NodeName=${!#} Arch=x86_64 NodeAddr=${ADDRESS:-${!#}} NodeHostName=${!#} Version=22.05.8" ;;
esac""",
    "getent": """case "$2" in
[0-9]*) echo "$2 STREAM" ;;
*) while read -r name address; do [ "$name" = "$2" ] && echo "$address STREAM $2"; done <<<"$HOSTS" ;;
esac
exit 0""",
    "ip": '[ -n "$ROUTE" ] && [ -n "$5" ] || exit 2; echo "$5 dev eth1 src $ROUTE uid 0"',
    "hostname": 'echo "$OWN fe80::1 "',
}
DEBIAN = "nodeA 127.0.1.1\nnodeB 10.0.0.2"
"""What the first node is told of names where /etc/hosts is as Debian's installer writes it."""


@pytest.fixture
def address(tmp_path):
    for name, text in FAKES.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def of(names="nodeA nodeB", hosts="", given="", route="", own=""):
        environ = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_NODELIST": "node[A-B]",
            "SLURM_JOB_ID": "7",
            **{"NAMES": names, "HOSTS": hosts, "ADDRESS": given, "ROUTE": route, "OWN": own},
        }
        script = f'set -e\n{MASTER}\necho "$MAMMOGAN_MASTER_ADDR $MAMMOGAN_MASTER_PORT"'
        done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.split()[0]

    return of


def test_it_is_the_one_that_the_name_stands_for(address):
    assert address(hosts="nodeA 10.0.0.1\nnodeB 10.0.0.2", route="10.9.9.9", own="10.8.8.8") == "10.0.0.1"


def test_a_name_that_means_the_node_itself_is_replaced_by_the_address_that_leads_to_the_second(address):
    assert address(hosts=DEBIAN, route="10.0.0.1", own="172.17.0.1 10.0.0.1") == "10.0.0.1"


def test_without_ip_it_is_the_first_address_of_the_node(address):
    assert address(hosts=DEBIAN, own="10.0.0.1 172.17.0.1") == "10.0.0.1"


def test_one_node_needs_no_other_address_than_its_own(address):
    assert address(names="nodeA", hosts=DEBIAN, route="10.0.0.1") == "127.0.0.1"
    assert address(names="nodeA", hosts="nodeA 10.0.0.1") == "10.0.0.1"


def test_nodes_that_slurm_itself_knows_as_loopback_are_one_machine(address):
    assert address(given="127.0.0.1", route="10.0.0.1", own="10.0.0.1") == "127.0.0.1"


def test_a_name_without_an_address_of_version_4_stays_a_name(address):
    assert address(hosts="") == "nodeA"
    assert address(given="10.0.0.7") == "10.0.0.7"
