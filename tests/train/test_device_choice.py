"""CUDA or nothing: what a class of the site's profile says of its device holds, or the job ends at once."""

import logging
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import claim, merge
from mammogan.config.site import load_site
from mammogan.errors import ClusterError
from mammogan.train import accelerator, device_choice, distributed
from mammogan.train.device_choice import VARIABLE, computing_on

HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def environ(monkeypatch):
    device_choice._note_idle.cache_clear()
    for name in (VARIABLE, "LOCAL_RANK", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def gpus(monkeypatch):
    """Let PyTorch see so many GPUs, and note which of them is chosen."""
    chosen = []

    def see(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(device.index))
        return chosen

    see(0)
    return see


def broken(monkeypatch, error, cuda="12.8"):
    """Let PyTorch be a build for CUDA that can't begin."""

    def init():
        raise error

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "init", init)


def site(*settings):
    return load_site("local", settings)


CUDA = site("resources.gpu_one.device=cuda", "resources.gpu_one.gpus_per_node=1")


def refused(claimed=CUDA, resource="gpu_one", device=""):
    with pytest.raises(ClusterError) as caught, computing_on(claimed, resource, device):
        pytest.fail("nothing was to be computed")
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", "container.nv"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "newer driver"),
        ("No CUDA GPUs are available", "gpus_per_node"),
        (
            "CUDA unknown error - this may be due to an incorrectly set up environment",
            "nodes whose GPUs work",
        ),
    ],
)
def test_a_gpu_that_is_not_there_ends_the_job_in_the_words_of_torch(gpus, environ, error, remedy):
    broken(environ, RuntimeError(error))
    words = refused()
    assert words.startswith(
        f"resources.gpu_one.device of the site 'local' is 'cuda', and there is no usable GPU on '{HOST}': "
    )
    assert error.rstrip(".") in words and remedy in words
    assert "--set resources.gpu_one.device=cpu" in words


def test_torch_without_cuda_and_a_job_that_was_given_no_gpu_are_called_so(gpus, environ):
    environ.setattr(torch.version, "cuda", None)
    assert f"PyTorch {torch.__version__} is built without CUDA. Run in an image" in refused()
    broken(environ, RuntimeError("No CUDA GPUs are available"))
    environ.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is ''. Ask for GPUs: gpus_per_node" in refused()


def test_a_gpu_that_this_torch_can_do_nothing_with_is_none(gpus, environ):
    gpus(1)

    def ones(*_, **__):
        raise RuntimeError(
            "CUDA error: no kernel image is available\nCUDA kernel errors might be reported later"
        )

    environ.setattr(torch, "ones", ones)
    assert "no kernel image is available. Run on newer GPUs" in refused()


def test_more_processes_than_gpus_are_refused(gpus, environ):
    keys = ("device=cuda", "gpus_per_node=2", "tasks_per_node=4")
    words = refused(site(*(f"resources.gpu_nodes.{key}" for key in keys)), "gpu_nodes")
    assert "resources.gpu_nodes.tasks_per_node of the site 'local' is '4', and gpus_per_node '2'" in words
    gpus(2)
    environ.setenv("LOCAL_RANK", "2")
    with pytest.raises(ClusterError, match=rf"Process 2 of '{HOST}' .* sees 2 .* tasks_per_node .* to 2"):
        accelerator.local_device()


@pytest.mark.parametrize(("count", "rank", "index"), [(4, "3", 3), (1, "0", 0), (1, "3", 0)])
def test_a_rank_takes_its_own_gpu_of_all_or_the_only_one_that_it_sees(gpus, environ, count, rank, index):
    chosen = gpus(count)
    environ.setenv("LOCAL_RANK", rank)
    assert accelerator.local_device() == torch.device("cuda", index)
    assert chosen == [index]
    assert accelerator.collectives() == "nccl"


def test_deepspeed_is_given_the_number_of_the_gpu_and_not_of_the_process(gpus, environ):
    """It sets its device to LOCAL_RANK: 1 does not exist where a process sees but its own GPU."""
    gpus(1)
    for name, value in {"RANK": "1", "WORLD_SIZE": "1", "LOCAL_RANK": "1", "DS_ACCELERATOR": ""}.items():
        environ.setenv(name, value)
    seen = {}

    class DeepSpeed:
        ops = SimpleNamespace(__compatible_ops__={})

        def init_distributed(**given):
            seen.update(given, local_rank=os.environ["LOCAL_RANK"], kind=os.environ["DS_ACCELERATOR"])

    environ.setattr(distributed, "_import_deepspeed", lambda: DeepSpeed)
    environ.setattr(distributed.atexit, "register", lambda _: None)
    environ.setattr(distributed.dist, "is_initialized", lambda: False)
    environ.setattr(distributed.dist, "get_rank", lambda: 0)
    environ.setattr(distributed.dist, "get_world_size", lambda: 1)
    distributed.join()
    assert (seen["dist_backend"], seen["local_rank"], seen["kind"]) == ("nccl", "0", "cuda")


@pytest.mark.parametrize("own", [True, False])
def test_processes_that_share_a_gpu_are_told_so_and_not_those_that_see_one_each(gpus, environ, own):
    gpus(1)
    uuids = ["a", "b" if own else "a"]

    class Properties:
        uuid = "b" if own else "a"

    def gather(found, mine, group):
        assert mine == (HOST, Properties.uuid)
        found[:] = [(HOST, uuid) for uuid in uuids]

    environ.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    environ.setattr(distributed, "_control", lambda: None)
    environ.setattr(distributed.dist, "get_world_size", lambda: 2)
    environ.setattr(distributed.dist, "get_rank", lambda: 1)
    environ.setattr(distributed.dist, "all_gather_object", gather)
    distributed._check_own_gpus.cache_clear()
    if own:
        distributed._check_own_gpus()
    else:
        with pytest.raises(ClusterError, match=rf"2 processes on '{HOST}' have one GPU between them \(a\)"):
            distributed._check_own_gpus()
    distributed._check_own_gpus.cache_clear()


def test_the_cpu_is_kept_to_where_there_are_gpus_and_the_log_says_that_they_are_idle(gpus, caplog):
    gpus(2)
    with caplog.at_level(logging.INFO), computing_on(site(), "gpu_one"):
        assert accelerator.local_device() == torch.device("cpu")
        assert accelerator.collectives() == "gloo"
        accelerator.local_device()
    assert "computing on cpu, as resources.gpu_one.device of the site 'local' says" in caplog.text
    assert caplog.text.count("2 GPUs that PyTorch sees are left idle") == 1
    assert VARIABLE not in os.environ


def test_by_hand_another_device_than_the_sites_can_be_given(gpus):
    with computing_on(CUDA, "gpu_one", "cpu"):
        assert accelerator.local_device() == torch.device("cpu")
    assert "--device is 'cuda', and there is no usable GPU" in refused(site(), device="cuda")


def test_who_has_no_run_computes_on_what_there_is(gpus):
    """As `mammogan draw` on a laptop, of a run whose site says cuda."""
    assert accelerator.local_device() == torch.device("cpu")
    gpus(1)
    assert accelerator.local_device() == torch.device("cuda", 0)


STEPS = """
import sys
from mammogan import steps
from mammogan.cli import main
run = sys.argv[1]
for name in NAMES:
    steps.is_done = lambda run, node, task: node.name != name
    sys.argv = ["mammogan", "step", run, name]
    try:
        main()
    except SystemExit as left:
        print(name, left.code)
"""


def test_steps_end_with_exit_code_2_in_seconds_on_this_machine(tmp_path):
    """With what PyTorch really says where there is no GPU; `step` is what jobs do, in the foreground."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    classes = ("gpu_nodes", "gpu_one", "cpu_array")
    claimed = site(*(f"resources.{name}.device=cuda" for name in classes))
    method, recipe = load_method("tour"), load_recipe("phantom")
    claim(tmp_path, merge(method, (recipe,), claimed, tmp_path / "shards", "data", "0.1.0"))
    names = ("train-0", "score-0", "sample", "assess")
    code = STEPS.replace("NAMES", str(names))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [f"{name} 2" for name in names], done.stderr
    assert done.stderr.count("of the site 'local' is 'cuda', and there is no usable GPU on") == len(names)
