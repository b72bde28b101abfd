"""The schedule: all of it follows from the method and one counter."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammogan.config.method import load_method
from mammogan.schedule import Stage, ladder, plan, split_batch

METHOD = load_method(
    "tour",
    (
        "ladder.stages=4",
        "schedule.fade_kimg=[0, 4, 5, 6]",
        "schedule.stable_kimg=[8, 8, 10, 14]",
        "schedule.batch=[32, 32, 32, 16]",
        "engine.micro_batch=[32]",
    ),
)


@st.composite
def stages(draw):
    """Any stage that a method can describe."""
    batch = draw(st.integers(1, 64))
    batches = st.integers(1, 300)
    return Stage(
        index=1,
        height_px=10,
        width_px=8,
        batch=batch,
        micro_batch=batch,
        fade_images=batch * draw(st.integers(0, 200)),
        stable_images=batch * draw(batches),
        tick_images=batch * draw(batches),
        images_before=draw(st.integers(0, 10**6)),
        learning_rate=0.001,
        scored_checkpoints=draw(st.integers(1, 12)),
    )


def test_the_ladder_of_the_paper():
    readers = ladder((5, 4), 9)
    assert readers[:3] == ((5, 4), (10, 8), (20, 16))
    assert readers[-1] == (1280, 1024)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 8))
def test_each_rung_is_twice_the_one_before(height, width, count):
    readers = ladder((height, width), count)
    assert readers[0] == (height, width)
    assert len(readers) == count
    assert all(b == (2 * a[0], 2 * a[1]) for a, b in itertools.pairwise(readers))


def test_the_plan_of_a_method():
    first, second, _, last = plan(METHOD)
    assert (first.height_px, first.width_px) == (5, 4)
    assert (last.height_px, last.width_px) == (40, 32)
    assert first.fade_images == 0
    assert first.fade(0) == 1
    assert second.fade_images == 4000
    assert second.images_before == first.images == 8000
    assert last.batch == 16
    assert last.micro_batch == 16


def test_counts_are_rounded_up_to_whole_batches_and_never_to_none():
    lengths = {"fade_kimg": (0.0,), "stable_kimg": (0.001,), "tick_kimg": (0.033,)}
    method = METHOD.model_copy(update={"schedule": METHOD.schedule.model_copy(update=lengths)})
    stage = plan(method)[1]
    assert (stage.fade_images, stage.stable_images, stage.tick_images) == (0, 32, 64)
    assert stage.checkpoints() == (32,)


def test_the_last_entry_of_a_list_serves_all_later_stages():
    shorter = METHOD.schedule.model_copy(update={"batch": (32, 8)})
    method = METHOD.model_copy(update={"schedule": shorter})
    assert [stage.batch for stage in plan(method)] == [32, 8, 8, 8]


def test_the_count_of_images_runs_on_from_stage_to_stage():
    for before, after in itertools.pairwise(plan(METHOD)):
        assert after.images_before == before.images_before + before.images
        assert after.kimg(0) == before.kimg(before.images)


@given(stages())
def test_the_fade_rises_from_0_to_1_and_stays_there(stage):
    counters = [part * stage.images // 40 for part in range(41)] + [stage.fade_images]
    values = [stage.fade(images) for images in sorted(counters)]
    assert values == sorted(values)
    assert all(0 <= value <= 1 for value in values)
    assert stage.fade(stage.fade_images) == stage.fade(stage.images) == 1
    assert stage.fade(0) == (1 if stage.fade_images == 0 else 0)


@given(stages())
def test_checkpoints_lie_in_the_stable_phase_and_the_last_is_the_end(stage):
    marks = stage.checkpoints()
    assert marks[-1] == stage.images
    assert all(stage.fade_images < mark <= stage.images for mark in marks)
    assert all(mark % stage.batch == 0 for mark in marks)
    assert list(marks) == sorted(set(marks))
    assert len(marks) == min(stage.scored_checkpoints, stage.stable_images // stage.batch)


@given(stages())
def test_checkpoints_are_evenly_spaced(stage):
    gaps = [b - a for a, b in itertools.pairwise((stage.fade_images, *stage.checkpoints()))]
    assert max(gaps) - min(gaps) <= stage.batch


@given(stages())
def test_what_is_saved_is_reached_by_whole_steps_and_holds_every_checkpoint_and_tick(stage):
    saves = stage.saves()
    assert set(stage.checkpoints()) <= set(saves)
    assert set(range(stage.tick_images, stage.images + 1, stage.tick_images)) <= set(saves)
    assert saves[-1] == stage.images
    assert set(saves) <= set(range(0, stage.steps * stage.batch + 1, stage.batch))


@given(st.integers(1, 16), st.integers(1, 12), st.integers(1, 16), st.integers(1, 200))
@settings(max_examples=300)
def test_a_batch_splits_into_equal_whole_groups_no_larger_than_allowed(groups, group, ranks, most):
    batch = groups * ranks * group
    micro, accumulation = split_batch(batch, most, ranks, group)
    assert micro * accumulation * ranks == batch
    assert micro % group == 0
    assert micro <= max(group, most)
    larger = range(micro + group, min(batch // ranks, most) + 1, group)
    assert not any(batch // ranks % size == 0 for size in larger)


@pytest.mark.parametrize(
    ("batch", "ranks", "allowed"), [(16, 3, "1, 2, 4"), (16, 8, "1, 2, 4"), (24, 5, "1, 2, 3, 6")]
)
def test_numbers_of_ranks_that_would_break_groups_are_refused_with_those_that_can(batch, ranks, allowed):
    with pytest.raises(ValueError, match=rf"batch of {batch} can't be split on {ranks} ranks.*: {allowed}$"):
        split_batch(batch, 16, ranks, 4)


def test_the_rate_falls_by_half_a_cosine_over_the_end_of_the_last_stage_alone():
    method = load_method("tour", ("optimiser.cosine_decay=0.5", "optimiser.final_rate=0.1"))
    *earlier, last = plan(method)
    assert all(stage.rate(images) == 0.002 for stage in earlier for images in (0, stage.images))
    begin = last.images - last.decay_images
    assert last.decay_images == last.images / 2
    assert last.rate(0) == last.rate(begin) == 0.002
    assert last.rate(begin + last.decay_images // 2) == pytest.approx(0.002 * (0.1 + 0.9 / 2))
    assert last.rate(last.images) == pytest.approx(0.0002)
    rates = [last.rate(images) for images in range(begin, last.images, last.batch)]
    assert rates == sorted(rates, reverse=True)


def test_without_a_decay_the_rate_stays_to_the_last_image():
    last = plan(load_method("pggan"))[-1]
    assert last.rate(0) == last.rate(last.images) == last.learning_rate
