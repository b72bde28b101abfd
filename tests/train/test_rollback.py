"""Alarms that are obeyed, ticks that are kept for it, and what a kill in between must not change."""

import json
import shutil
from unittest import mock

import pytest
import torch

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.errors import DataError, RunFailedError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Rollback
from mammogan.train import alarms, checkpoint, checkpoint_retention, rollback, training_loop
from mammogan.train.alarms import Alarm
from mammogan.train.diagnostics import Diagnostics
from mammogan.train.training_loop import train_stage
from tests.train.conftest import new_run
from tests.train.test_gan_step import new_gan_step
from tests.train.test_stage import assert_same

QUIET = tuple(f"alarms.{name}.patience=0" for name in alarms.WATCHES)
PLANTED = ("alarms.gradients.bound=1e-6", "alarms.gradients.patience=1")
"""Every tick that has three before it sets off this alarm: of stage 1 the fourth, after 64 images."""
BACK = ("alarms.action=roll-back", *PLANTED)
GOES_BACK = ("alarms.action=roll-back", "alarms.gradients.patience=2")
"""With a judge of the test's own: where it is asked for a patience of 1, it is asked what is pending."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory, tiny_shards):
    """Train stage 0, which every method here has in common; and stage 1 without a disturbance."""
    folder = new_run(tmp_path_factory.mktemp("begun") / "run", tiny_shards, *QUIET)
    for stage in (0, 1):
        train_stage(folder, Run.load(folder), stage, lambda *told: None)
    return folder


@pytest.fixture
def run(tmp_path, tiny_shards, begun):
    def make(*overrides, name="run"):
        folder = new_run(tmp_path / name, tiny_shards, *QUIET, *overrides)
        shutil.copytree(begun / "stages" / "0", folder / "stages" / "0")
        return folder

    return make


@pytest.fixture
def starts(monkeypatch):
    """Record with which learning rate and salt the stage was begun, and from where."""
    found = []
    make = training_loop.BatchLoader

    def recorded(reader, method, stage, group, device, salt):
        found.append([stage.learning_rate, salt])
        return make(reader, method, stage, group, device, salt)

    monkeypatch.setattr(training_loop, "BatchLoader", recorded)
    return found


@pytest.fixture
def alarm_at(monkeypatch):
    """Let an alarm go off after so many images of stage 1, as often as asked, with so many bad ticks."""

    def plant(images, times=1, ticks=1):
        left = [times]

        def judge(settings, past):
            bad = ticks - (images - past[-1]["images"]) // 16
            pending = settings.gradients.patience == 1 and 0 < bad <= ticks
            if not pending and (past[-1]["images"] != images or not left[0]):
                return ()
            left[0] -= not pending
            return (Alarm("gradients", "Alarm 'gradients': planted.", 9.0, 1.0, bad),)

        monkeypatch.setattr(alarms, "judge", judge)

    return plant


def train(folder, stage=1):
    train_stage(folder, Run.load(folder), stage, lambda *told: None)


def counts(folder):
    return sorted(saved.images for saved in checkpoint.saved(folder, 1))


def test_an_alarm_goes_back_slower_with_other_noise_and_at_last_fails(run, starts):
    folder = run(*BACK, "alarms.rollbacks=2", "alarms.rollback_rate=0.5")
    with pytest.raises(
        RunFailedError,
        match=r"^Stage 1 ends after 64 images \(alarms\.action\)\. Alarm 'gradients': .* allows no more than "
        r"1e-06; so it was for 1 tick\. Lower optimiser\.learning_rate",
    ):
        train(folder)
    assert rollback.noted(folder, 1) == [Rollback(at=64, to=48)] * 2
    assert starts == [[0.002, 0], [0.001, 1], [0.0005, 2]]
    last = checkpoint.newest_valid(folder, 1)
    assert last.images == 64
    assert last.facts["rolled_back"] == 2
    ticks = [(tick["images"], tick["rolled_back"]) for tick in last.facts["ticks"]]
    assert ticks == [(16, 0), (32, 0), (48, 0), (64, 2)]


def test_after_the_last_time_the_same_command_fails_again(run, starts):
    folder = run(*BACK, "alarms.rollbacks=0")
    for _ in range(2):
        with pytest.raises(RunFailedError, match="Stage 1 ends after 64 images"):
            train(folder)
    assert counts(folder)[-1] == 64
    assert rollback.noted(folder, 1) == []


def test_going_back_once_ends_well_and_elsewhere(run, begun, alarm_at, starts):
    folder = run(*GOES_BACK)
    alarm_at(80)
    train(folder)
    assert rollback.noted(folder, 1) == [Rollback(at=80, to=64)]
    assert starts == [[0.002, 0], [0.001, 1]]
    end, other = (checkpoint.at(where, 1, 96) for where in (folder, begun))
    assert [tick["rolled_back"] for tick in end.facts["ticks"]] == [0, 0, 0, 0, 1, 1]
    common = checkpoint.at(begun, 1, 64).tensors("critic"), checkpoint.at(folder, 1, 64).tensors("critic")
    assert all(torch.equal(tensor, common[1][name]) for name, tensor in common[0].items())
    assert not torch.equal(end.tensors("critic")["last.weight"], other.tensors("critic")["last.weight"])
    # What is launched again trains nothing anew.
    before = (end.folder / "state.json").stat().st_mtime_ns
    train(folder)
    assert (end.folder / "state.json").stat().st_mtime_ns == before


def test_going_back_to_the_start_of_a_stage_grows_it_again(run, begun, alarm_at, starts):
    """As many bad ticks as there are; the start is no checkpoint of this stage."""
    folder = run(*GOES_BACK, "alarms.rollback_rate=1")
    alarm_at(48, ticks=3)
    train(folder)
    assert rollback.noted(folder, 1) == [Rollback(at=48, to=0)]
    assert starts == [[0.002, 0], [0.002, 1]]
    ticks = checkpoint.at(folder, 1, 96).facts["ticks"]
    assert [(tick["images"], tick["rolled_back"]) for tick in ticks] == [(n, 1) for n in range(16, 97, 16)]
    mine, theirs = (checkpoint.at(where, 1, 96).tensors("critic") for where in (folder, begun))
    assert not torch.equal(mine["last.weight"], theirs["last.weight"]), "at the same rate, with other noise"


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def killed(*arguments, **options):
    raise KilledError


def killed_at_the_second_call(function):
    """Give `function`, which is called at a stage's start first."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return killed() if len(calls) == 2 else function(*arguments)

    return counted


def killed_after(function):
    def last(*arguments, **options):
        function(*arguments, **options)
        killed()

    return last


class KilledAmidDeletions(checkpoint_retention.Retention):
    """Dies once the first checkpoint that was left behind is gone."""

    def after_rollback(self, to, times):
        with mock.patch.object(checkpoint_retention.shutil, "rmtree", killed_after(shutil.rmtree)):
            super().after_rollback(to, times)


MOMENTS = {
    "before the note": lambda: (rollback, "note", killed),
    "before the deletions": lambda: (rollback, "forget", killed_at_the_second_call(rollback.forget)),
    "amid the deletions": lambda: (rollback, "Retention", KilledAmidDeletions),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("tick", [80, 96])
def test_killed_while_it_goes_back_it_ends_all_the_same(run, alarm_at, monkeypatch, moment, tick):
    """Of two checkpoints behind the tick gone back to, the newer is deleted first. 96 is the stage's end."""
    undisturbed, folder = run(*GOES_BACK, name="one"), run(*GOES_BACK)
    alarm_at(tick, ticks=2)
    train(undisturbed)
    # Without a note nobody knows that the alarm was heard: it is heard again.
    alarm_at(tick, times=2 if moment == "before the note" else 1, ticks=2)
    with monkeypatch.context() as patch:
        patch.setattr(*MOMENTS[moment]())
        with pytest.raises(KilledError):
            train(folder)
    assert (tick in counts(folder)) == (moment != "amid the deletions")
    assert tick - 16 in counts(folder), "what is to be deleted"
    train(folder)
    assert rollback.noted(folder, 1) == rollback.noted(undisturbed, 1) == [Rollback(at=tick, to=tick - 32)]
    assert_same(undisturbed, folder, 1)


def test_stop_fails_with_the_alarms_message_and_keeps_the_tick_before(run):
    folder = run("alarms.action=stop", *PLANTED)
    with pytest.raises(RunFailedError, match=r"Stage 1 ends after 64 images .* Alarm 'gradients': the "):
        train(folder)
    assert counts(folder) == [48, 64]
    assert not RunFolder(folder).rollbacks(1).exists()


def test_log_only_warns(run, begun, caplog):
    folder = run(*PLANTED)
    train(folder)
    assert [r for r in caplog.messages if "stage 1 after 64 images: Alarm 'gradients'" in r]
    assert_same(begun, folder, 1)


def test_a_failed_last_tick_does_not_count_as_an_end(run, monkeypatch):
    """Neither by an alarm nor by divergence: the same command fails with the same words."""
    folder = run("alarms.action=stop")
    judge = alarms.judge
    planted = Alarm("labels", "Alarm 'labels': planted.", 1.0, 0.9, 1)
    monkeypatch.setattr(
        alarms,
        "judge",
        lambda settings, past: (planted,) if past[-1]["images"] == 96 else judge(settings, past),
    )
    for _ in range(2):
        with pytest.raises(RunFailedError, match=r"Stage 1 ends after 96 images .*planted"):
            train(folder)


def test_the_last_two_those_to_be_scored_and_the_tick_before_a_pending_alarm_are_kept(run):
    """The alarm is pending from the fourth tick on, and would go back to the third."""
    folder = run("alarms.gradients.bound=1e-6", "alarms.gradients.patience=10")
    train(folder)
    assert schedule.plan(Run.load(folder).method)[1].checkpoints() == (64, 96)
    assert counts(folder) == [48, 64, 80, 96]


def test_without_a_pending_alarm_no_more_is_kept(begun):
    assert counts(begun) == [64, 80, 96]


def test_what_was_saved_since_is_not_forgotten(tmp_path, begun):
    """Only what is behind the newest time's tick and was saved before that time."""
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    rollback.forget(folder, 1)
    assert counts(folder) == [64, 80, 96], "never rolled back"
    state = checkpoint.at(folder, 1, 80).folder / "state.json"
    facts = json.loads(state.read_text())
    facts["facts"]["rolled_back"] = 1
    state.write_text(json.dumps(facts))
    rollback.note(folder, 1, at=96, to=64)
    assert counts(folder) == [64, 80]
    rollback.note(folder, 1, at=80, to=64)
    assert counts(folder) == [64]


def test_the_rate_falls_with_every_time(begun):
    method = Run.load(begun).method
    stage = schedule.plan(method)[1]
    assert rollback.slowed(stage, method, 0) == stage
    assert rollback.slowed(stage, method, 3).learning_rate == pytest.approx(0.002 * 0.5**3)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("alarms.images=6",),
        ("alarms.images=2",),
        ("alarms.images=10", "engine.micro_batch=[4]"),
        ('supervision.fields=["density"]',),
        ("supervision.kind=none",),
        ("supervision.kind=projection",),
    ],
)
def test_sheets_of_any_size_are_scored_in_whole_groups_under_any_supervision(tiny_shards, overrides):
    gan_step = new_gan_step("augmentation.kind=adaptive", *overrides)
    sizes = []
    gan_step.critic.register_forward_hook(lambda net, given, told: sizes.append(len(given[0])))
    readers = [ShardSet(tiny_shards).reader(10, 8, split) for split in ("train", "validation")]
    method = gan_step.method
    diagnostics = Diagnostics(method, schedule.plan(method)[1], gan_step, *readers)
    assert torch.tensor(diagnostics.overfit(0.5, 96)).isfinite()
    size = min(method.alarms.images, len(readers[0]))
    assert sum(sizes) == 3 * (size - size % min(4, size))
    assert max(sizes) <= gan_step.micro and all(n % 4 == 0 or n == 2 for n in sizes)
    assert set(diagnostics.observe(0.5)) >= {"alarm/distance", "alarm/deviation_fake", "alarm/ms_ssim_real"}


def test_damaged_list_of_rollbacks_is_named(tmp_path):
    path = RunFolder(tmp_path).rollbacks(1)
    path.parent.mkdir(parents=True)
    path.write_text('[{"at": 64}]')
    with pytest.raises(DataError, match=r"rollbacks\.json' is damaged \(.*to.*Copy it back"):
        rollback.noted(tmp_path, 1)
