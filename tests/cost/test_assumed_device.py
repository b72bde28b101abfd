"""What is reckoned on is what the site's profile says, and where it says nothing that is said."""

from __future__ import annotations

import os

import pytest

from mammogan.config.method import load_method
from mammogan.config.site import load_site
from mammogan.cost import gpu_datasheets
from mammogan.cost.assumed_device import choose, names
from mammogan.cost.estimate import CpuPace, Data, cost
from mammogan.errors import ConfigError

METHOD = load_method("mammogan")


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an nvidia-smi first on the PATH that finds GPUs of this name, or none at all."""

    def write(name):
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{f'echo {name!r}' if name else 'exit 9'}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return write


def chosen(site, *overrides, device=""):
    found = choose(METHOD, load_site(site, overrides), device)
    return found.pace.name, found.why


def test_a_site_that_computes_on_the_cpu_is_reckoned_as_one_and_never_as_a_gpu():
    name, why = chosen("local", "resources.gpu_nodes.cpus_per_task=8")
    assert (name, why.startswith("resources.gpu_nodes.device of the site 'local' is 'cpu'")) == (
        "CPU, 8 cores a rank",
        True,
    )
    assert chosen("devcluster")[0] == "CPU, 1 core a rank"  # its GPUs are there in name only
    assert chosen("local")[0].startswith("CPU, ")


def test_cores_add_up_and_a_gpu_is_faster_than_a_few():
    data = Data.expected(1000, METHOD)
    one, eight = (cost(METHOD, data, 1, CpuPace(cores)).hours for cores in (1, 8))
    gpu = cost(METHOD, data, 1, choose(METHOD, load_site("local"), "A100 80 GB").pace).hours
    assert 7 < one / eight <= 8
    assert gpu < eight / 10


def test_a_profile_names_its_gpu_also_by_what_it_asks_slurm_for():
    assert chosen("example-a100")[0] == "A100 80 GB, TF32"
    assert chosen("example-h100")[0] == "H100, TF32"
    assert chosen("example-a100", "resources.gpu_nodes.device_name=H200, bf16")[0] == "H200, bf16"
    name, why = chosen("example-typed-gres")
    assert name == "A100 80 GB, TF32" and "[resources.gpu_nodes] asks for 'gpu:a100" in why
    name, why = chosen("example-pyxis", "resources.gpu_nodes.gpu_type=h100")
    assert (name, why) == ("H100, TF32", "[resources.gpu_nodes] asks for 'h100'")


def test_a_site_that_does_not_name_its_gpus_is_told_what_is_assumed_and_how_to_say_it(smi):
    name, why = chosen("example-pyxis")
    assert name == "A100 80 GB, TF32"
    assert why.startswith("assumed, for the site 'example-pyxis' does not say which GPU it has. Set")
    assert "Set resources.gpu_nodes.device_name, or give --device; known: V100, A100 80 GB" in why
    smi("NVIDIA GeForce GTX 1080")
    assert "has ('NVIDIA GeForce GTX 1080' is not among those known)." in chosen("workstation")[1]
    smi("")
    assert "assumed, for the site 'workstation'" in chosen("workstation")[1]


def test_a_workstation_is_asked_for_its_gpu(smi):
    smi("NVIDIA GeForce RTX 4090")
    assert chosen("workstation") == ("RTX 4090, TF32", "nvidia-smi finds 'NVIDIA GeForce RTX 4090' here")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB"), ("Tesla V100-SXM2-32GB", "V100"),
        ("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA RTX A6000", "RTX A6000"), ("NVIDIA L40S", "L40S"),
        ("AMD Instinct MI300X", "MI300X"), ("b200", "B200"), ("NVIDIA A10", None), ("NVIDIA A1000", None),
        ("NVIDIA RTX 6000 Ada Generation", None), ("NVIDIA L40", None), ("", None),
    ],
)  # fmt: skip
def test_gpus_are_known_by_the_names_that_drivers_give_them(words, name):
    found = gpu_datasheets.match(words)
    assert (found.name if found else None) == name


def test_an_unknown_name_is_an_error_that_lists_all_known_wherever_it_stands():
    with pytest.raises(
        ConfigError, match=r"^--device 'T4' is none of those whose .*known: V100, fp32;.*; CPU"
    ) as one:
        chosen("local", device="T4")
    assert all(name in str(one.value) for name in names())
    where = r"^resources.gpu_nodes.device_name of the site 'example-a100' 'K80' is none of those"
    with pytest.raises(ConfigError, match=where):
        chosen("example-a100", "resources.gpu_nodes.device_name=K80")


def test_the_command_line_goes_before_the_profile():
    assert chosen("example-a100", device="4090, bf16") == ("RTX 4090, bf16", "")
    assert chosen("example-a100", device="cpu")[0] == "CPU, 8 cores a rank"
