"""How a GPU computes, set and set back where none is; and batches on their way to it, as a CPU can tell."""

import os
from contextlib import closing
from functools import partial

import pytest
import torch

from mammogan.config.method import load_method
from mammogan.train import accelerator, dataloader
from mammogan.train.accelerator import Arithmetic, Uploads
from tests.train.test_dataloader import AUGMENTED, differing, feed  # noqa: F401 - a fixture

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Leave arithmetic as it was."""
    backends, filled = torch.backends, torch.utils.deterministic.fill_uninitialized_memory
    before, mode = Arithmetic.current(), torch.get_deterministic_debug_mode()
    benchmark, tf32 = backends.cudnn.benchmark, backends.cuda.matmul.allow_tf32
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    before.apply()
    torch.set_deterministic_debug_mode(mode)
    backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory = benchmark, filled
    accelerator._multiply(tf32=tf32)


def flags():
    cudnn = torch.backends.cudnn
    return {
        "deterministic": (cudnn.deterministic, torch.are_deterministic_algorithms_enabled()),
        "benchmark": cudnn.benchmark,
        "convolution": cudnn.conv.fp32_precision,
        "product": torch.backends.cuda.matmul.fp32_precision,
    }


DRAWN = {"deterministic": (True, True), "benchmark": False, "convolution": "ieee", "product": "ieee"}


def test_training_is_deterministic_and_in_tf32_unless_told_otherwise():
    engine = load_method("mammogan").engine
    accelerator.prepare(GPU, engine)
    assert flags() == DRAWN | {"convolution": "tf32", "product": "tf32"}
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.utils.deterministic.fill_uninitialized_memory
    fast = load_method("mammogan", ("engine.deterministic=false", "engine.tf32=false")).engine
    accelerator.prepare(GPU, fast)
    assert flags() == DRAWN | {"deterministic": (False, False), "benchmark": True}


def test_a_process_that_draws_or_scores_is_exact():
    Arithmetic(deterministic=False, tf32=True).apply()
    accelerator.prepare(GPU)
    assert flags() == DRAWN


@pytest.mark.parametrize("how", [Arithmetic(False, True), Arithmetic(False, False), Arithmetic(True, True)])
def test_drawing_is_exact_in_the_midst_of_any_training_which_goes_on_as_before(how):
    how.apply()
    before = flags()
    with accelerator.drawing(GPU):
        assert flags() == DRAWN
    assert flags() == before
    with accelerator.drawing(GPU, tf32=True):
        assert flags() == DRAWN | {"convolution": "tf32", "product": "tf32"}
    with pytest.raises(ZeroDivisionError), accelerator.drawing(GPU):
        _ = 1 / 0
    assert flags() == before


@pytest.mark.parametrize("tf32", [True, False])
def test_torchs_old_and_new_names_for_tf32_agree_so_that_whoever_asks_by_either_gets_an_answer(tf32):
    """Torch raises an error where they don't, as in torch.backends.cudnn.flags."""
    Arithmetic(tf32=tf32).apply()
    assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == tf32
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    assert torch.backends.mkldnn.matmul.fp32_precision == "ieee", "a CPU's products are not meant"
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
        pass


def test_a_workspace_that_the_site_has_set_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    accelerator.prepare(GPU)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_cpu_is_left_as_it_is():
    before = flags()
    with accelerator.drawing(CPU):
        assert flags() == before
    accelerator.prepare(CPU, load_method("mammogan").engine)
    assert flags() == before


def test_a_device_without_nvml_tells_the_rest(monkeypatch):
    """A container may hold torch for CUDA and no pynvml."""
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**30)
    used = accelerator.usage()
    assert used["system/device_memory_peak_gb"] == 1
    assert "system/device_busy_percent" not in used


@pytest.mark.parametrize("overrides", [(), (*AUGMENTED, "engine.decode_threads=3")])
def test_batches_from_buffers_that_are_used_again_are_those_from_new_ones(feed, monkeypatch, overrides):  # noqa: F811
    plain = feed()
    expected = [plain.batch(images) for images in range(0, 48, 8)] if not overrides else None
    if overrides:
        threaded = feed(*overrides[:-1])
        expected = [threaded.batch(images) for images in range(0, 48, 8)]
    monkeypatch.setattr(dataloader, "Uploads", partial(Uploads, reuse=True))
    with closing(feed(*overrides)) as reused:
        found = [reused.batch(images) for images in range(0, 48, 8)]
        first, second = reused._uploads._sets
    assert first["images"].data_ptr() != second["images"].data_ptr()
    for one, other in zip(found, expected, strict=True):
        assert not differing(one, other)


def test_more_threads_decode_where_a_gpu_leaves_the_cores_free():
    assert [accelerator.decoding_threads(0, device) for device in (CPU, GPU)] == [1, 4]
    assert accelerator.decoding_threads(7, GPU) == 7
