"""Batches: functions of seed, stage and images shown alone, whoever takes which part of them."""

import dataclasses
from contextlib import closing

import numpy as np
import pytest
import torch

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.nets.layers import upsample
from mammogan.train import augment
from mammogan.train.dataloader import Batch, BatchLoader, faded, random_numbers, to_float, to_uint16
from mammogan.train.distributed import ProcessGroup
from mammogan.train.label_encoding import numbers_of
from tests.train.conftest import TINY

CPU = torch.device("cpu")
FIELDS = [field.name for field in dataclasses.fields(Batch)]
AUGMENTED = ("augmentation.kind=fixed", "augmentation.probability=0.5", "augmentation.flip_cc=true")


@pytest.fixture
def feed(tiny_shards):
    """Make feeds of one stage for one of several ranks."""
    made = []

    def make(*overrides, stage=1, rank=0, count=1, salt=0, **changes):
        method = load_method("tour", (*TINY, *overrides))
        planned = dataclasses.replace(schedule.plan(method)[stage], **changes)
        reader = ShardSet(tiny_shards).reader(planned.height_px, planned.width_px, "train")
        made.append(BatchLoader(reader, method, planned, ProcessGroup(rank, count), CPU, salt))
        return made[-1]

    yield make
    for each in made:
        each.close()


def differing(one, other):
    return [name for name in FIELDS if not torch.equal(getattr(one, name), getattr(other, name))]


def joined(parts):
    return Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in FIELDS))


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("overrides", [(), AUGMENTED])
def test_the_ranks_parts_side_by_side_are_the_whole_batch(feed, count, overrides):
    """More ranks than the one shard, too: nobody waits for a shard of their own."""
    alone = feed(*overrides)
    assert len(alone.reader._paths) == 1
    ranks = [feed(*overrides, rank=rank, count=count) for rank in range(count)]
    for images in (0, 8, 16, 88):
        assert not differing(alone.batch(images), joined([each.batch(images) for each in ranks]))


def test_micro_batches_are_the_batch_in_order(feed):
    batch = feed(*AUGMENTED).batch(8)
    parts = list(batch.split(4))
    assert [len(part.mix_N) for part in parts] == [4, 4]
    assert not differing(batch, joined(parts))


def test_a_batch_is_the_same_read_ahead_read_at_once_and_after_a_resume(feed):
    ahead = feed(*AUGMENTED)
    shown = {images: ahead.batch(images) for images in range(0, 96, 8)}
    for images in (0, 40, 88):
        assert not differing(shown[images], feed(*AUGMENTED).batch(images)), "resumed"
    for images in (88, 8, 8, 0):
        assert not differing(shown[images], ahead.batch(images)), "not what was read ahead"


def test_nothing_is_read_beyond_the_end_of_a_stage(feed):
    each = feed()
    each.batch(88)
    assert each._ahead is None
    each.batch(80)
    assert each._ahead[0] == 88


@pytest.mark.parametrize("batch", [8, 32])
def test_every_image_is_shown_equally_often(feed, batch):
    """Batches that don't divide the set, and batches larger than it."""
    each = feed(stage=0, batch=batch, stable_images=10**6)
    every = each.reader.read(np.arange(len(each.reader)))
    names = {image.tobytes(): number for number, image in enumerate(every)}
    assert len(names) == len(each.reader) and len(each.reader) % batch
    epochs, shown = 8, []
    for images in range(0, epochs * len(names), batch):
        pixels = to_uint16(each.batch(images).real_NCHW)
        shown += [names[image.tobytes()] for image in pixels]
    for epoch in range(epochs):
        part = shown[epoch * len(names) : (epoch + 1) * len(names)]
        assert sorted(part) == list(range(len(names)))
    assert shown[: len(names)] != shown[len(names) : 2 * len(names)], "every epoch has an order of its own"


def test_each_image_comes_with_its_own_labels(feed):
    each = feed('supervision.fields=["view", "density", "vendor"]', stage=0)
    every = each.reader.read(np.arange(len(each.reader)))
    labels = numbers_of(each.reader, each.supervision)
    batch = each.batch(16)
    assert len(np.unique(batch.labels_NF, axis=0)) > 1
    for image, row in zip(to_uint16(batch.real_NCHW), batch.labels_NF.tolist(), strict=True):
        (number,) = np.flatnonzero((every == image).all(axis=(1, 2)))
        assert labels[number].tolist() == row


def test_the_generators_labels_follow_the_reals_marginal(feed):
    each = feed('supervision.fields=["view", "density"]', stage=0, batch=20_000, stable_images=40_000)
    batch = each.batch(0)
    assert not torch.equal(batch.generator_labels_NF, batch.labels_NF), "drawn by themselves"
    drawn, drawn_counts = np.unique(batch.generator_labels_NF, axis=0, return_counts=True)
    known, counts = np.unique(each.labels_NF, axis=0, return_counts=True)
    assert drawn.tolist() == known.tolist()
    expected = counts / counts.sum()
    deviations = np.sqrt(expected * (1 - expected) / 20_000)
    assert (np.abs(drawn_counts / 20_000 - expected) < 4 * deviations).all()


def test_noise_is_normal_mixes_are_uniform_and_nothing_is_drawn_twice(feed):
    batch = feed(stage=0, batch=20_000, stable_images=40_000).batch(0)
    for latents in (batch.critic_latents_NZ, batch.generator_latents_NZ):
        assert latents.mean().abs() < 0.01 and latents.std().item() == pytest.approx(1, abs=0.01)
    assert 0 <= batch.mix_N.min() < 0.001 and 0.999 < batch.mix_N.max() < 1
    assert batch.mix_N.mean().item() == pytest.approx(0.5, abs=0.01)
    both = torch.cat([batch.critic_latents_NZ, batch.generator_latents_NZ])
    assert len(both.unique(dim=0)) == 40_000


@pytest.mark.parametrize(
    "change", [{"salt": 1}, {"stage": 0}, {"overrides": ("method.seed=7",)}, {"images": 8}]
)
def test_another_salt_stage_seed_or_counter_makes_another_batch(feed, change):
    overrides, images = change.pop("overrides", ()), change.pop("images", 0)
    one, other = feed(*AUGMENTED).batch(0), feed(*AUGMENTED, *overrides, **change).batch(images)
    noise = ("critic_latents_NZ", "mix_N", "generator_latents_NZ", "changes_NRP")
    for name in (*noise, "real_NCHW"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.shape != theirs.shape or not torch.equal(mine, theirs), name


def test_salts_of_their_own_make_batches_of_their_own(feed):
    """Augmentation too, even where all images have the same (unknown) view."""
    batches = [feed(*AUGMENTED[:2], "supervision.kind=none", salt=salt).batch(0) for salt in range(3)]
    for name in ("critic_latents_NZ", "changes_NRP", "real_NCHW"):
        one, two, three = (getattr(batch, name) for batch in batches)
        assert not (torch.equal(one, two) or torch.equal(one, three) or torch.equal(two, three)), name


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_ranks_augmentation_is_its_part_of_the_global_draw(feed, count):
    """Drawn once more, from the same purpose; of the reals' labels twice, then of the generator's."""
    whole = feed(*AUGMENTED).batch(24)
    noise = random_numbers(1000, "augment", 1, 24)
    settings = load_method("tour", (*TINY, *AUGMENTED)).augmentation
    views = whole.labels_NF[:, 0], whole.labels_NF[:, 0], whole.generator_labels_NF[:, 0]
    expected = torch.stack([augment.draw(settings, 0.5, 8, noise, view) for view in views], dim=1)
    assert expected[..., :-1].any() and len(expected[..., -1].unique()) == 2
    ranks = [feed(*AUGMENTED, rank=rank, count=count).batch(24).changes_NRP for rank in range(count)]
    assert torch.equal(torch.cat(ranks), expected)


def test_a_probability_that_changes_meets_the_very_next_batch(feed):
    """Although its images were read ahead already."""
    changed, from_scratch = feed(*AUGMENTED), feed(*AUGMENTED)
    changed.batch(0)
    changed.probability = from_scratch.probability = 0.0
    assert not differing(changed.batch(8), from_scratch.batch(8))
    assert not changed.batch(16).changes_NRP[..., :-1].any()


@pytest.mark.parametrize("supervision", ["supervision.kind=none", 'supervision.fields=["density"]'])
def test_of_an_unknown_view_only_what_suits_every_view_is_drawn(feed, supervision):
    changes = feed(*AUGMENTED[:2], supervision).batch(0).changes_NRP
    assert changes[..., -1].all() and not changes[..., 0].any()


def test_without_augmentation_there_are_no_parameters(feed):
    assert feed().batch(0).changes_NRP.shape == (8, 3, 0)


def test_reals_are_blended_with_their_halved_and_doubled_copy():
    image = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    assert faded(image, 0.25, upsample).tolist() == [[[[3.25, 3.75], [4.25, 4.75]]]]  # their mean is 4
    assert torch.equal(faded(image, 0.0, upsample), torch.full((1, 1, 2, 2), 4.0))
    assert faded(image, 1.0, upsample) is image


def test_reals_fade_in_as_the_stage_does(feed):
    each = feed()
    sharp = feed(fade_images=0, stable_images=96)
    for images in (0, 16, 40):
        fade = each.stage.fade(images)
        torch.testing.assert_close(
            each.batch(images).real_NCHW, faded(sharp.batch(images).real_NCHW, fade, upsample)
        )
    assert each.stage.fade(16) == 0.5


def test_grey_goes_to_floats_and_back_without_a_loss():
    greys = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    floats = to_float(greys, CPU)
    assert (floats.min(), floats.max()) == (-1, 1)
    assert np.array_equal(to_uint16(floats), greys)
    beyond = to_uint16(torch.tensor([[[[-1.5, 1.5]]]]))
    assert beyond.tolist() == [[[0, 65535]]]


def test_a_closed_feed_has_no_thread_left(feed):
    with closing(feed()) as each:
        each.batch(0)
        threads = list(each._reader._threads)
    assert threads and not any(thread.is_alive() for thread in threads)


def test_a_shard_that_cannot_be_read_ahead_fails_the_batch_that_needs_it(feed, monkeypatch):
    each = feed()
    each.batch(0)

    def fail(positions):
        raise OSError("gone")

    each._ahead[1].result()
    monkeypatch.setattr(each.reader, "read", fail)
    each.batch(8)
    with pytest.raises(OSError, match="gone"):
        each.batch(16)


def test_exactly_black_lies_below_black_for_the_networks_and_is_black_again_when_drawn(feed):
    images_NHW = np.array([[[0, 1], [32768, 65535]]], np.uint16)
    plain, shown = to_float(images_NHW, CPU), to_float(images_NHW, CPU, 0.08)
    assert shown[0, 0, 0, 0].item() == pytest.approx(-1.08)
    assert torch.equal(shown.flatten()[1:], plain.flatten()[1:]), "every other grey stays"
    assert np.array_equal(to_uint16(shown), images_NHW)
    reals = feed("network.black_margin=0.08").batch(88).real_NCHW
    before = feed("network.black_margin=0").batch(88).real_NCHW
    assert (before == -1).any()
    assert torch.equal(reals, torch.where(before == -1, torch.tensor(-1.08), before))


def test_without_a_margin_the_bits_are_those_of_before():
    levels = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    expected = torch.from_numpy(levels).to(torch.float32).div(32767.5).sub(1)[:, None]
    assert torch.equal(to_float(levels, CPU), expected)
