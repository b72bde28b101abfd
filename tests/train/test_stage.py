"""A stage trained for real: resumed exactly, the same on any number of ranks and for every ZeRO stage."""

import json
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mammogan import schedule, tracking
from mammogan.config.run_config import Run
from mammogan.run_records import Rollback
from mammogan.train import alarms, checkpoint, rollback
from mammogan.train.checkpoint_retention import KEPT_TO_RESUME
from tests.patience import PATIENCE_S
from tests.train.conftest import start, train

PARTS = ("generator", "average", "critic", "generator_adam", "critic_adam")


def end_of(run, stage):
    last = schedule.plan(Run.load(run).method)[stage]
    return checkpoint.at(run, stage, last.images)


def first_scored(run, stage):
    return schedule.plan(Run.load(run).method)[stage].checkpoints()[0]


def assert_same(one, other, stage, **tolerance):
    for part in PARTS:
        mine, theirs = end_of(one, stage).tensors(part), end_of(other, stage).tensors(part)
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            if tolerance:
                torch.testing.assert_close(
                    tensor, theirs[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}"
                )
            else:
                assert torch.equal(tensor, theirs[name]), f"{part}: {name}"


def test_training_changes_both_networks_and_keeps_the_checkpoints_to_be_scored(undisturbed):
    method = Run.load(undisturbed).method
    for stage in schedule.plan(method):
        saved = {c.images for c in checkpoint.saved(undisturbed, stage.index)}
        assert saved >= set(stage.checkpoints())
        assert len(saved - set(stage.checkpoints())) <= KEPT_TO_RESUME
    first, last = (checkpoint.at(undisturbed, 1, i) for i in schedule.plan(method)[1].checkpoints())
    for part in ("generator", "average", "critic"):
        before, after = first.tensors(part), last.tensors(part)
        assert not torch.equal(before["blocks.0.0.weight"], after["blocks.0.0.weight"])


def test_a_stage_grows_from_the_one_before(undisturbed):
    """After one batch at a tiny fade the old layers have moved by no more than Adam's step."""
    old, new = end_of(undisturbed, 0).tensors("generator"), end_of(undisturbed, 1).tensors("generator")
    assert set(old) < set(new)
    (rate,) = Run.load(undisturbed).method.optimiser.learning_rate
    steps = schedule.plan(Run.load(undisturbed).method)[1].steps
    assert (new["dense.weight"] - old["dense.weight"]).abs().max() < 10 * rate * steps


def test_two_ranks_end_in_the_weights_of_one(undisturbed, make_run):
    run = make_run("two", after=undisturbed)
    train(run, "train-1", ranks=2)
    assert_same(undisturbed, run, 1, rtol=1e-3, atol=2e-5)


def test_accumulated_micro_batches_end_in_the_weights_of_whole_batches(undisturbed, make_run):
    run = make_run("micro", "engine.micro_batch=[4]", after=undisturbed)
    train(run, "train-1")
    assert_same(undisturbed, run, 1, rtol=1e-3, atol=2e-5)


@pytest.mark.slow  # ten seconds; DeepSpeed alone
@pytest.mark.parametrize("zero_stage", [1, 2])
def test_zero_goes_on_from_plain_adams_checkpoint_to_the_same_weights(undisturbed, make_run, zero_stage):
    """Resumed in mid-stage from plain Adam's checkpoint, so that the moments cross both ways."""
    run = make_run("zero", f"engine.zero_stage={zero_stage}", after=undisturbed, stages=2)
    for done in checkpoint.saved(undisturbed, 1):
        if done.images > first_scored(run, 1):
            shutil.rmtree(checkpoint.at(run, 1, done.images).folder)
    train(run, "train-1", ranks=2)
    assert_same(undisturbed, run, 1, rtol=1e-3, atol=2e-5)


def test_killed_in_mid_fade_and_resumed_it_ends_bit_identical(undisturbed, make_run):
    run = make_run("killed", after=undisturbed)
    (process,) = start(run, "train-1")
    deadline = time.monotonic() + PATIENCE_S
    while not list(checkpoint.saved(run, 1)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = checkpoint.newest_valid(run, 1)
    assert found is not None
    assert found.images < schedule.plan(Run.load(run).method)[1].images
    train(run, "train-1")
    assert_same(undisturbed, run, 1)


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_end_is_bit_identical(
    undisturbed, make_run, caplog
):
    run = make_run("damaged", after=undisturbed, stages=2)
    newest, older, *_ = checkpoint.saved(run, 1)
    path = newest.folder / "critic.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert newest.problem() == "critic.safetensors is damaged: its SHA-256 is not the recorded one"
    assert checkpoint.newest_valid(run, 1).images == older.images
    assert "passed over" in caplog.text
    train(run, "train-1")
    assert_same(undisturbed, run, 1)


@pytest.mark.parametrize(
    "overrides",
    [
        ("loss.shared_fakes=true", "loss.penalty_holds_stddev=true", "supervision.kind=projection"),
        ("augmentation.kind=adaptive", "augmentation.adjust_kimg=0.2", "loss.penalty_every=2"),
    ],
)
@pytest.mark.slow
def test_what_else_a_method_may_ask_for_ends_on_two_ranks_in_the_weights_of_one(make_run, overrides):
    runs = [make_run(name, *overrides) for name in ("one", "two")]
    for ranks, run in enumerate(runs, start=1):
        train(run, "train-0", ranks=ranks)
    assert_same(*runs, 0, rtol=1e-3, atol=2e-5)
    told = [end_of(run, 0).facts["augmentation"] for run in runs]
    assert told[0] == told[1]


@pytest.mark.slow
def test_an_alarm_makes_both_ranks_go_back_and_at_last_fail(undisturbed, make_run):
    quiet = [f"alarms.{name}.patience=0" for name in alarms.WATCHES]
    planted = "alarms.gradients.bound=1e-6", "alarms.gradients.patience=1", "alarms.rollbacks=1"
    run = make_run("back", *quiet, *planted, "alarms.action=roll-back", after=undisturbed)
    processes = start(run, "train-1", ranks=2)
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    assert all(process.returncode for process in processes)
    assert "Stage 1 ends after 64 images (alarms.action). Alarm 'gradients':" in said[0]
    assert "Stage 1 ends after 64 images (alarms.action). See the log of the leading rank." in said[1]
    assert rollback.noted(run, 1) == [Rollback(at=64, to=48)]


def test_asked_to_stop_all_ranks_save_and_leave_with_the_code_that_requeues(undisturbed, make_run, tmp_path):
    run, stop = make_run("stopped"), tmp_path / "stop"
    stop.touch()
    processes = start(run, "train-0", ranks=2, MAMMOGAN_STOP_FILE=str(stop))
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    assert all(
        "StopRequestedError: Stage 0 was asked to stop; it is saved after 8 images." in s for s in said
    )
    assert checkpoint.newest_valid(run, 0).images == 8
    stop.unlink()
    train(run, "train-0")
    assert_same(undisturbed, run, 0, rtol=1e-3, atol=2e-5)


def test_a_stage_whose_forerunner_is_missing_says_so(make_run):
    run = make_run("alone")
    (process,) = start(run, "train-1")
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert "Stage 1 grows from stage 0, which has not ended" in said
    assert process.returncode != 0


def test_diverged_training_fails_with_the_terms_and_the_way_out(make_run):
    run = make_run("diverged", "optimiser.learning_rate=1e30")
    (process,) = start(run, "train-0")
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert "Training diverged in stage 0" in said
    assert "optimiser.learning_rate" in said


@pytest.mark.parametrize("objective", ["non-saturating", "hinge"])
def test_other_objectives_train_with_a_penalty_now_and_then(make_run, objective):
    run = make_run(objective, f"loss.objective={objective}", "loss.penalty_every=2", "loss.penalty_weight=1")
    (process,) = start(run, "train-0")
    assert process.wait(timeout=PATIENCE_S) == 0, process.communicate()[1]
    ticks = [entry["metrics"] for entry in tracking.read(run, "train-0") if "metrics" in entry]
    assert all(tick["critic/penalty"] > 0 and "critic/drift" not in tick for tick in ticks)
    assert all(np.isfinite(list(tick.values())).all() for tick in ticks)


def test_scores_choice_and_pool_follow_from_the_checkpoints(undisturbed):
    """The rest of the graph on the trained run, in this process: no process group is needed."""
    from mammogan import steps
    from mammogan.steps.job_graph import graph

    run = Run.load(undisturbed)
    method = run.method
    for node in graph(run):
        if node.step in ("score", "select", "sample"):
            for task in range(node.tasks):
                steps.run(undisturbed, node.name, task)
                assert steps.is_done(undisturbed, node, task)
    choice = json.loads((undisturbed / "selection.json").read_text())
    assert choice["images"] in schedule.plan(method)[1].checkpoints()
    names = sorted(p.name for p in (undisturbed / "samples" / "png").iterdir())
    assert names == sorted(f"{v}-{i:07d}.png" for v in ("cc", "mlo") for i in range(5))
    for folder in ("samples", "model"):
        assert "Licence: CC0-1.0" in (undisturbed / folder / "TERMS.txt").read_text()
    exported = load_file(undisturbed / "model" / "generator.safetensors")
    chosen = checkpoint.at(undisturbed, 1, choice["images"]).tensors("average")
    assert all(torch.equal(exported[name], tensor) for name, tensor in chosen.items())
