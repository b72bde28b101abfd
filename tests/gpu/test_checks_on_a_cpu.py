"""The checks of a GPU, with a CPU in its place and tiny networks: all run, and tell what they should."""

import json
import stat
import sys
import time
import weakref
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from mammogan.cli import app, gpu_command
from mammogan.cost import device_tables
from mammogan.errors import ConfigError
from mammogan.train.device_checks import check_cases, device_trial, pace_checks, supervise
from mammogan.train.device_checks.check_outcomes import Kernel, Machine, Outcome, Pace, append, ended, read


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Do all checks once, as `mammogan doctor --gpu --device cpu` does."""
    out = tmp_path_factory.mktemp("gpu") / "out"
    begin = time.monotonic()
    result = CliRunner().invoke(
        app, ["doctor", "--gpu", "--device", "cpu", "--out", str(out), "--minutes", "5"]
    )
    return out, result, time.monotonic() - begin


@pytest.mark.slow  # half a minute of checks
def test_all_checks_run_and_none_fails(checked):
    out, result, _ = checked
    assert result.exit_code == 0, result.output
    assert "A CPU stands in for the GPU" in result.output
    outcomes = ended(read(out / "results.jsonl"))
    assert {outcome.status for outcome in outcomes} == {"ok", "skipped"}
    by_check = {outcome.check for outcome in outcomes}
    assert by_check == {
        *("deepspeed", "machine", "parity", "deterministic", "batches", "waiting"),
        *("rung", "price", "layout", "compile"),
    }
    assert {o.check for o in outcomes if o.status == "skipped"} == {"waiting", "compile"}
    assert all(o.found for o in outcomes)


@pytest.mark.slow  # half a minute of checks
def test_every_rung_is_timed_in_both_arithmetics_and_says_how_much_fits(checked):
    paces = device_tables.paces(read(checked[0] / "results.jsonl"))
    rungs = {(p.method, p.precision): [] for p in paces}
    for p in paces:
        rungs[p.method, p.precision].append(p.resolution)
    sizes = ["5x4", "10x8"]
    assert rungs == {
        ("mammogan", "TF32"): sizes,
        ("mammogan", "bf16"): sizes,
        ("mammogan-plus", "bf16"): sizes,
    }
    for p in paces:
        assert p.largest_batch == 32 and p.largest_stopped_by == "no more was tried"
        assert p.images_per_s == pytest.approx(1000 * p.batch / p.step_ms)
        listed = p.precision == "bf16"
        assert 1 <= len(p.kernels) <= 10 if listed else not p.kernels
        assert p.kernels_from == ("operators on the host" if listed else "")
        assert [k.ms for k in p.kernels] == sorted((k.ms for k in p.kernels), reverse=True)


@pytest.mark.slow  # half a minute of checks
def test_it_leaves_tables_and_calibrations_that_cost_takes(checked):
    out, result, _ = checked
    page = (out / "results.md").read_text()
    assert page.count("| mammogan | 10x8 |") >= 2
    assert "`aten::" in page
    table = [line for line in result.output.splitlines() if line.startswith("| mammogan | 10x8 | bf16 |")]
    assert len(table) == 1
    path = out / "calibration-mammogan-bf16.json"
    assert [rung["height_px"] for rung in json.loads(path.read_text())["rungs"]] == [5, 10]
    told = CliRunner().invoke(
        app, ["cost", "--method", "mammogan", "--calibration", str(path), "--images", "100"]
    )
    assert told.exit_code == 0, told.output


@pytest.mark.slow  # half a minute of checks
def test_what_a_cpu_measured_does_not_get_into_the_docs(checked, tmp_path):
    page = tmp_path / "cost.md"
    page.write_text("before")
    with pytest.raises(
        ConfigError, match=r"results.jsonl' holds no measurement of a GPU: make one with `make gpu`"
    ):
        gpu_command.write_page(checked[0] / "results.jsonl", page)
    assert page.read_text() == "before"


MACHINE = Machine(
    device="NVIDIA H200", kind="cuda", torch="2.11.0+cu130", python="3.12.3", cuda="13.0", cudnn="91300",
    driver="580", deepspeed="0.19.8", tflops={"fp32": 50, "TF32": 400, "bf16": 800}, tb_s=4.3,
)  # fmt: skip
PACE = Pace(
    method="mammogan", precision="bf16", stage=8, height_px=1280, width_px=1024, batch=8, step_ms=100,
    images_per_s=80, image_s=0.012, beside_s=0.004, largest_batch=64,
    largest_stopped_by="memory ends before 128", memory_gb=101.5,
    kernels=(Kernel(name="void cutlass|gemm", ms=12.5, share=0.125, calls=30),),
)  # fmt: skip


def measured(folder):
    path = folder / "results.jsonl"
    append(path, Outcome(check="machine", subject="", status="ok", machine=MACHINE))
    append(
        path,
        Outcome(check="rung", subject="", status="ok", pace=PACE.model_copy(update={"largest_batch": 0})),
    )
    append(path, Outcome(check="rung", subject="", status="ok", pace=PACE))
    append(path, Outcome(check="compile", subject="cuda-graphs", status="refused", found="no | Triton"))
    return path


def test_what_a_gpu_measured_replaces_the_estimate(tmp_path):
    page = tmp_path / "cost.md"
    page.write_text(f"# Cost\n\n{device_tables.BEGIN}\nestimated\n{device_tables.END}\n\nrest\n")
    gpu_command.write_page(measured(tmp_path), page)
    text = page.read_text()
    assert text.startswith("# Cost\n") and text.endswith("rest\n") and "estimated" not in text
    assert "NVIDIA H200, torch 2.11.0+cu130" in text
    arithmetic, bandwidth = device_tables.fractions(PACE, MACHINE)
    assert arithmetic == pytest.approx(8 * 1.811e12 / 0.1 / 800e12, rel=0.02), (
        "docs/cost.md counts 1811 GFLOP"
    )
    assert 0.1 < bandwidth < 1.2
    cells = f"| 8 | 100.0 | 80 | {arithmetic:.2f} | {bandwidth:.2f} | 64 | 101.5 | memory ends before 128 |"
    assert f"| mammogan | 1280x1024 | bf16 {cells}" in text
    assert "| `void cutlass/gemm` |" in text
    assert "| compile cuda-graphs | refused | no / Triton |" in text
    gpu_command.write_page(measured(tmp_path), page)
    assert page.read_text().count("NVIDIA H200, torch") == 1


def test_a_page_without_a_place_for_it_says_what_to_write(tmp_path):
    (tmp_path / "cost.md").write_text("# Cost\n")
    with pytest.raises(
        ConfigError, match=r"has no place for it: write '<!-- GPU, measured by make gpu -->' and"
    ):
        gpu_command.write_page(measured(tmp_path), tmp_path / "cost.md")


DYING = """#!/bin/sh
out=$3
begun() {{ printf '{{"check":"%s","subject":"","status":"begun"}}\\n' "$1" >>"$out"; }}
ok() {{ printf '{{"check":"%s","subject":"","status":"ok","found":"fine"}}\\n' "$1" >>"$out"; }}
if ! grep -q first "$out" 2>/dev/null; then begun first; ok first; begun second; {death}; fi
begun third; ok third
"""


@pytest.mark.parametrize(
    ("death", "why"),
    [
        ("kill -SEGV $$", "its process ended with code -11"),
        ("exec sleep 60", "it came to no end within 1 s, or memory ran out, and was killed"),
    ],
)
def test_a_check_that_kills_its_process_or_hangs_is_told_of_and_the_next_one_runs(
    tmp_path, monkeypatch, death, why
):
    program = tmp_path / "python"
    program.write_text(DYING.format(death=death))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    heard = []
    supervise.supervise(tmp_path / "r.jsonl", "cuda:0", 1, heard.append, stalled_s=1)
    found = [(o.check, o.status, o.found) for o in ended(heard)]
    assert found == [("first", "ok", "fine"), ("second", "failed", why), ("third", "ok", "fine")]


def test_a_process_whose_gpu_answers_no_more_hands_over_without_a_failure_of_its_own(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(DYING.format(death="ok second; exit 70"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    heard = []
    supervise.supervise(tmp_path / "r.jsonl", "cuda:0", 1, heard.append)
    assert [(o.check, o.status) for o in ended(heard)] == [("first", "ok"), ("second", "ok"), ("third", "ok")]


def test_a_device_that_answers_no_more_ends_its_process_behind_the_failure(tmp_path, monkeypatch):
    def broken(trial):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(check_cases, "cases", lambda trial: [check_cases.Case("one", broken)])
    monkeypatch.setattr(device_trial.Trial, "usable", lambda trial: False)
    with pytest.raises(SystemExit) as stopped:
        supervise.check(tmp_path / "r.jsonl", "cpu", 60)
    assert stopped.value.code == supervise.UNUSABLE
    (outcome,) = ended(read(tmp_path / "r.jsonl"))
    assert (outcome.status, outcome.check) == ("failed", "one")
    assert outcome.found == "RuntimeError: CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_the_largest_batch_is_found_by_doubling_until_memory_ends(monkeypatch, error):
    trial, tried = device_trial.Trial(torch.device("cpu"), time.monotonic() + 100), []

    def step(gan_step, batch):
        tried.append(batch)
        if batch > 16:
            raise error
        return lambda: None

    monkeypatch.setattr(pace_checks, "_step", step)
    engine = SimpleNamespace(optimizer=SimpleNamespace(zero_grad=lambda: None))
    gan_step = SimpleNamespace(critic_engine=engine, generator_engine=engine)
    assert pace_checks._largest(trial, gan_step, 4) == (16, "memory ends before 32", 0.0)
    assert tried == [8, 16, 32]


def test_an_error_that_is_not_of_memory_is_not_taken_for_a_limit(monkeypatch):
    trial = device_trial.Trial(torch.device("cpu"), time.monotonic() + 100)

    def step(gan_step, batch):
        raise RuntimeError("expected scalar type Float but found Half")

    monkeypatch.setattr(pace_checks, "_step", step)
    with pytest.raises(RuntimeError, match="expected scalar type"):
        pace_checks._largest(trial, None, 4)


def test_checks_that_cannot_even_begin_say_so_and_end(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    heard = []
    supervise.supervise(tmp_path / "r.jsonl", "cuda:0", 1, heard.append)
    assert [(o.check, o.status, o.found) for o in heard] == [
        ("start", "failed", "its process ended with code 3")
    ]


def test_no_check_is_begun_once_time_is_up_and_each_says_what_it_would_take(tmp_path, monkeypatch):
    monkeypatch.setattr("mammogan.train.device_checks.device_trial.Trial.tiny", False)
    monkeypatch.setattr("mammogan.train.device_checks.device_trial.Trial.left_s", 5.0)
    supervise.check(tmp_path / "r.jsonl", "cpu", 5, "compile")
    outcomes = ended(read(tmp_path / "r.jsonl"))
    assert [o.found for o in outcomes] == 2 * ["no time was left: it takes 40 s; give more minutes"]


def test_a_device_that_is_not_there_is_refused_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match=r"--device 'cuda:0': PyTorch .* sees 0 GPUs here. Allowed: cpu\.$"):
        gpu_command.check_gpu(tmp_path, "cuda:0", 1)
    assert gpu_command._found("") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [gpu_command._found(name) for name in ("", "cuda", "cuda:1", "cpu")] == [
        *("cuda:0", "cuda:0", "cuda:1", "cpu")
    ]
    with pytest.raises(ConfigError, match=r"--device 'gpu': .* Allowed: cpu, cuda:0, cuda:1\.$"):
        gpu_command.check_gpu(tmp_path, "gpu", 1)


def test_a_failing_check_is_one_line_and_the_exit_code_says_so(tmp_path, monkeypatch):
    def failing(out, device, minutes, on_outcome):
        bad = Outcome(check="parity", subject="mammogan bf16", status="failed", found="weights are off")
        on_outcome(bad)
        return [bad]

    monkeypatch.setattr("mammogan.train.device_checks.supervise.supervise", failing)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    result = CliRunner().invoke(app, ["doctor", "--gpu", "--device", "cuda:0", "--out", str(tmp_path)])
    assert "✗ parity mammogan bf16: weights are off" in result.output
    assert result.exit_code != 0
    assert "1 checks of 'cuda:0' failed" in f"{result.output}{result.exception}"


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    path = measured(tmp_path)
    count = len(read(path))
    with path.open("a") as file:
        file.write('{"check":"rung","subj')
    assert len(read(path)) == count


def test_the_networks_of_a_check_are_let_go_so_that_the_next_one_has_the_memory():
    trial = device_trial.Trial(torch.device("cpu"), time.monotonic() + 100)
    method = trial.method("mammogan")
    gan_step = trial.gan_step(method, device_trial.alone(method, 0, 8))
    gan_step.step(device_trial.noise_batch(method, gan_step.stage, 8, trial.device), 1.0, 0)
    nets = (gan_step.generator, gan_step.critic, gan_step.average)
    left = [weakref.ref(parameter) for net in nets for parameter in net.parameters()]
    device_trial.end(gan_step)
    del gan_step, nets
    trial.free()
    assert left and not [one for one in left if one() is not None]
