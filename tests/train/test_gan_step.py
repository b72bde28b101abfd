"""One update of both networks: its gradients, its two engines, its precisions, and what it costs.

All in one process that is alone in its process group; `tests/train/test_stage.py` has ranks.
"""

import copy
import dataclasses
from collections import namedtuple

import pytest
import torch
from torch.nn.functional import softplus

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.errors import ConfigError, RunFailedError
from mammogan.losses import OBJECTIVES, PENALTIES
from mammogan.nets.networks import NETWORKS
from mammogan.train import adam, augment, build_networks
from mammogan.train.build_networks import build_generator
from mammogan.train.dataloader import Batch
from mammogan.train.distributed import ProcessGroup, join
from mammogan.train.gan_step import CriticLoss, GanStep, augmented, finite
from mammogan.train.label_encoding import one_hot
from mammogan.train.term_sums import TermSums
from tests.nets.test_double_backward import work
from tests.train.conftest import TINY

CPU = torch.device("cpu")
FIELDS = 'supervision.fields=["view", "density"]'
Moment = namedtuple("Moment", "gradients weights gan_step")


def new_gan_step(*overrides, stage=1, group=None):
    method = load_method("tour", (*TINY, *overrides))
    generator, critic = build_networks.fresh(method, stage)
    average = build_generator(method, stage)
    average.load_state_dict(generator.state_dict())
    nets = build_networks.Networks(generator, average, critic)
    return GanStep(method, schedule.plan(method)[stage], nets, group or join(), CPU)


def new_batch(gan_step, seed=0, changes=False, unknown=False):
    """Make a batch of random reals with labels of all classes."""
    method, noise = gan_step.method, torch.Generator().manual_seed(seed)
    critic, latent = gan_step.critic, method.network.latent_size
    size = gan_step.micro * gan_step.accumulation
    height, width = (side << critic.stage for side in method.ladder.base_px)
    counts = method.supervision.classes or (2,)

    def labels():
        drawn = [torch.randint(-1 if unknown else 0, count, (size,), generator=noise) for count in counts]
        return torch.stack(drawn, dim=1)

    def normal(*shape):
        return torch.randn(shape, generator=noise)

    rows = [augment.draw(method.augmentation, 0.8, size, noise, torch.zeros(size)) for _ in range(3)]
    return Batch(
        real_NCHW=normal(size, 1, height, width),
        labels_NF=labels(),
        critic_latents_NZ=normal(size, latent),
        mix_N=torch.rand(size, generator=noise),
        generator_latents_NZ=normal(size, latent),
        generator_labels_NF=labels(),
        critic_noise_N=torch.arange(size),
        generator_noise_N=torch.arange(size) + size,
        changes_NRP=torch.stack(rows, dim=1) if changes else torch.empty(size, 3, 0),
    )


def weights(net):
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def gradients(net):
    return {name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def moments(monkeypatch, gan_step):
    """Record both networks as they are just before the critic's, and just before the generator's, update."""
    recorded, step = {}, adam.take_step
    nets = {"critic": gan_step.critic, "generator": gan_step.generator}

    def recording(engine):
        whose = "critic" if engine is gan_step.critic_engine else "generator"
        recorded[whose] = Moment(
            {name: gradients(net) for name, net in nets.items()},
            {name: weights(net) for name, net in nets.items()},
            {name: copy.deepcopy(net) for name, net in nets.items()},
        )
        return step(engine)

    monkeypatch.setattr(adam, "take_step", recording)
    return recorded


# The gradients of the whole loss, written once more, in one piece.


def cross_entropy(logits, labels, counts):
    total, first = 0.0, 0
    for column, count in enumerate(counts):
        shares = torch.log(torch.softmax(logits[:, first : first + count], dim=1))
        known = (labels[:, column] >= 0).nonzero().flatten().tolist()
        total = total - sum(shares[i, labels[i, column]] for i in known)
        first += count
    return total / len(logits)


def critic_loss(method, critic, generator, batch, fade, number):
    loss, supervision = method.loss, method.supervision
    told = one_hot(batch.labels_NF, supervision.classes) if supervision.kind == "projection" else None
    with torch.no_grad():
        fake = generator(batch.critic_latents_NZ, one_hot(batch.labels_NF, supervision.classes), fade)
        real = augmented(batch.real_NCHW, batch.changes_NRP[:, 0])
        fake = augmented(fake, batch.changes_NRP[:, 1])
    (at_real, real_logits), (at_fake, fake_logits) = (critic(x, fade, told) for x in (real, fake))
    if loss.objective == "relativistic":
        total, where = softplus(at_fake - at_real).mean(), real
    elif loss.objective == "wgan-gp":
        total = (at_fake - at_real + loss.drift_weight * at_real**2).mean()
        mix = batch.mix_N.view(-1, 1, 1, 1)
        where = mix * fake + (1 - mix) * real
    else:
        hinges = (1 + at_fake).clamp(min=0) + (1 - at_real).clamp(min=0)
        total = (hinges if loss.objective == "hinge" else softplus(at_fake) + softplus(-at_real)).mean()
        where = real
    if supervision.kind == "auxiliary":
        for logits in (real_logits, fake_logits):
            total = total + supervision.weight * cross_entropy(logits, batch.labels_NF, supervision.classes)
    if number % loss.penalty_every:
        return total
    where = where.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(where, fade, told)[0].sum(), where, create_graph=True)
    squares = (slope**2).sum(dim=(1, 2, 3))
    norms = squares.sqrt() - loss.penalty_target
    penalty = (norms**2 / loss.penalty_target**2) if loss.objective == "wgan-gp" else squares / 2
    return total + loss.penalty_every * loss.penalty_weight * penalty.mean()


def generator_loss(method, critic, generator, batch, fade):
    supervision, shared = method.supervision, method.loss.shared_fakes
    labels = batch.labels_NF if shared else batch.generator_labels_NF
    told = one_hot(labels, supervision.classes)
    fake = generator(batch.critic_latents_NZ if shared else batch.generator_latents_NZ, told, fade)
    fake = augmented(fake, batch.changes_NRP[:, 2])
    scores, logits = critic(fake, fade, told if supervision.kind == "projection" else None)
    total = softplus(-scores).mean() if method.loss.objective == "non-saturating" else -scores.mean()
    if method.loss.objective == "relativistic":
        with torch.no_grad():
            reals, _ = critic(augmented(batch.real_NCHW, batch.changes_NRP[:, 0]), fade)
        total = softplus(reals - scores).mean()
    if supervision.kind == "auxiliary":
        total = total + supervision.weight * cross_entropy(logits, labels, supervision.classes)
    return total


def assert_gradients(found, loss, net):
    loss.backward()
    scale = torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]).max()
    for name, p in net.named_parameters():
        expected = torch.zeros_like(p) if p.grad is None else p.grad
        mine = torch.zeros_like(p) if found[name] is None else found[name]
        assert (mine - expected).norm() <= 1e-4 * expected.norm() + 1e-6 * scale, name


AUGMENTED = ("augmentation.kind=fixed", "augmentation.scale=0.2")
CASES = {
    "wgan-gp": (),
    "wgan-gp in two": ("engine.micro_batch=[4]",),
    "non-saturating": ("loss.objective=non-saturating",),
    "non-saturating in two": ("loss.objective=non-saturating", "engine.micro_batch=[4]"),
    "hinge": ("loss.objective=hinge",),
    "hinge in two": ("loss.objective=hinge", "engine.micro_batch=[4]"),
    "relativistic": ("loss.objective=relativistic",),
    "relativistic in two": ("loss.objective=relativistic", "engine.micro_batch=[4]"),
    "another target and weights": (
        "loss.penalty_target=30", "loss.penalty_weight=3", "loss.drift_weight=0.5", "supervision.weight=7",
    ),
    "penalty every third": ("loss.penalty_every=3",),
    "two fields in two": (FIELDS, "engine.micro_batch=[4]"),
    "projection": ("supervision.kind=projection", FIELDS),
    "projection in two": ("supervision.kind=projection", FIELDS, "engine.micro_batch=[4]"),
    "no labels": ("supervision.kind=none",),
    "shared fakes": ("loss.shared_fakes=true",),
    "shared fakes in two": ("loss.shared_fakes=true", "engine.micro_batch=[4]"),
    "recomputed": ("engine.recompute=[true]",),
    "augmented": AUGMENTED,
    "augmented, shared fakes in two": (*AUGMENTED, "loss.shared_fakes=true", "engine.micro_batch=[4]"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "number"),
    [*((case, 3) for case in CASES), ("penalty every third", 4), ("penalty every third", 5)],
)
def test_the_parts_in_turn_are_one_way_back_from_the_whole_loss(monkeypatch, case, number):
    gan_step = new_gan_step(*CASES[case])
    batch = new_batch(gan_step, changes="augmented" in case, unknown="fields" in case)
    assert gan_step.accumulation == (2 if "in two" in case else 1)
    before, recorded = (
        copy.deepcopy((gan_step.critic, gan_step.generator)),
        moments(monkeypatch, gan_step),
    )
    gan_step.step(batch, 0.5, number)
    method = gan_step.method
    assert_gradients(
        recorded["critic"].gradients["critic"], critic_loss(method, *before, batch, 0.5, number), before[0]
    )
    # The generator meets the critic as it is after its update.
    critic, generator = (recorded["generator"].gan_step[name] for name in ("critic", "generator"))
    for net in (critic, generator):
        net.zero_grad(set_to_none=True)
    loss = generator_loss(method, critic, generator, batch, 0.5)
    assert_gradients(recorded["generator"].gradients["generator"], loss, generator)


def test_the_sums_are_the_terms_of_the_whole_loss():
    """Over two steps and two parts of each; by name, so that no slice is one off."""
    gan_step = new_gan_step(
        "engine.micro_batch=[4]", "loss.drift_weight=0.5", "optimiser.learning_rate=1e-12"
    )
    batch = new_batch(gan_step)
    critic, generator = copy.deepcopy((gan_step.critic, gan_step.generator))
    for number in range(2):
        gan_step.step(batch, 1.0, number)
    means = {name: total / 2 for name, total in gan_step.sums.totals(ProcessGroup(0, 1)).items()}
    told = one_hot(batch.labels_NF, (2,))
    with torch.no_grad():
        real, real_logits = critic(batch.real_NCHW)
        fake, fake_logits = critic(generator(batch.critic_latents_NZ, told))
        other, other_logits = critic(
            generator(batch.generator_latents_NZ, one_hot(batch.generator_labels_NF, (2,)))
        )
    expected = {
        "critic/drift": 0.5 * (real**2).mean(),
        "critic/label_real": cross_entropy(real_logits, batch.labels_NF, (2,)),
        "critic/label_fake": cross_entropy(fake_logits, batch.labels_NF, (2,)),
        "critic/score_real": real.mean(),
        "critic/score_fake": fake.mean(),
        "critic/adversarial": fake.mean() - real.mean(),
        "generator/adversarial": -other.mean(),
        "generator/label": cross_entropy(other_logits, batch.generator_labels_NF, (2,)),
        "critic/skipped": 0,
        "generator/skipped": 0,
    }
    for name, value in expected.items():
        assert means[name] == pytest.approx(float(value), rel=1e-4, abs=1e-6), name
    assert set(means) - set(expected) == {"critic/penalty", "critic/gradient_norm", "generator/gradient_norm"}
    whole = critic_loss(gan_step.method, critic, generator, batch, 1.0, 0)
    parts = ("critic/drift", "critic/label_real", "critic/label_fake", "critic/adversarial", "critic/penalty")
    assert sum(means[name] for name in parts) == pytest.approx(whole.item(), rel=1e-4)
    whole.backward()
    norm = torch.stack([p.grad.norm() for p in critic.parameters() if p.grad is not None]).norm()
    assert means["critic/gradient_norm"] == pytest.approx(norm.item(), rel=1e-3)


@pytest.mark.parametrize("part", ["real", "fake"])
def test_every_term_that_an_objective_returns_is_in_the_loss_and_logged(monkeypatch, part):
    class Extra(OBJECTIVES["hinge"]):
        def real(self, scores_N):
            return super().real(scores_N) | {"consistency": scores_N.new_tensor(1000.0)}

        def fake(self, scores_N):
            return super().fake(scores_N) | {"consistency": scores_N.new_tensor(1000.0)}

        def generator(self, scores_N):
            return super().generator(scores_N) | {"consistency": scores_N.new_tensor(500.0)}

    plain = new_gan_step("loss.objective=hinge")
    monkeypatch.setitem(OBJECTIVES, "throw-away", Extra)
    loss = plain.method.loss.model_copy(update={"objective": "throw-away"})
    method = plain.method.model_copy(update={"loss": loss})
    images, labels = torch.randn(4, 1, 10, 8), torch.zeros(4, 1, dtype=torch.long)
    added = CriticLoss(plain.critic, method)(part, images, labels, 1.0)[0]
    before = CriticLoss(plain.critic, plain.method)(part, images, labels, 1.0)[0]
    assert (added - before).item() == pytest.approx(1000, rel=1e-4)
    nets = build_networks.Networks(plain.generator, plain.average, plain.critic)
    gan_step = GanStep(method, schedule.plan(method)[1], nets, join(), CPU)
    gan_step.step(new_batch(gan_step), 1.0, 0)
    totals = gan_step.sums.totals(ProcessGroup(0, 1))
    assert totals["critic/consistency"] == 2000 and totals["generator/consistency"] == 500


@pytest.mark.parametrize("objective", ["wgan-gp", "non-saturating", "hinge", "relativistic"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_any_penalty_goes_with_any_objective(objective, penalty):
    gan_step = new_gan_step(f"loss.objective={objective}", f"loss.penalty={penalty}")
    before = weights(gan_step.critic)
    gan_step.step(new_batch(gan_step), 0.5, 0)
    totals = gan_step.sums.totals(ProcessGroup(0, 1))
    assert totals["critic/penalty"] > 0 and totals["critic/skipped"] == 0
    assert not same(before, weights(gan_step.critic))


def test_a_pair_of_networks_is_taken_by_its_name(monkeypatch):
    pair = NETWORKS["pggan"]
    made = []

    def generator(method, stage, recompute):
        made.append(stage)
        return pair.generator(method, stage, recompute)

    monkeypatch.setitem(NETWORKS, "throw-away", pair._replace(generator=generator))
    gan_step = new_gan_step("network.kind=throw-away")
    gan_step.step(new_batch(gan_step), 0.5, 0)
    assert set(made) == {1}
    with pytest.raises(ConfigError, match=r"There is no pair of networks 'pgan' \(network.kind\).*pggan"):
        new_gan_step("network.kind=pgan")


def test_sums_of_version_0_1_are_gone_on_with():
    sums = TermSums(CPU)
    sums.load([float(i) for i in range(13)])
    sums.add("real", ["critic/adversarial", "critic/drift"], torch.tensor([100.0, 200.0]))
    totals = sums.totals(ProcessGroup(0, 1))
    assert totals["critic/adversarial"] == 103 and totals["critic/drift"] == 200
    assert totals["critic/penalty"] == 6 and totals["generator/skipped"] == 12


# Two engines.


@pytest.mark.parametrize("shared", ["true", "false"])
@pytest.mark.parametrize("micro", [4, 8])
def test_neither_engine_leaves_gradients_on_the_other_or_moves_its_weights(monkeypatch, shared, micro):
    gan_step = new_gan_step(f"loss.shared_fakes={shared}", f"engine.micro_batch=[{micro}]")
    recorded = moments(monkeypatch, gan_step)
    for number in range(2):
        begin = weights(gan_step.critic), weights(gan_step.generator)
        gan_step.step(new_batch(gan_step, number), 0.5, number)
        at_critics, at_generators = recorded["critic"], recorded["generator"]
        assert not any(g is not None and g.any() for g in at_critics.gradients["generator"].values())
        assert not any(g is not None and g.any() for g in at_generators.gradients["critic"].values())
        assert same(at_critics.weights["critic"], begin[0]), "the critic moves with its own update"
        assert same(at_generators.weights["generator"], begin[1]), "the critic's update moved the generator"
        assert same(at_generators.weights["critic"], weights(gan_step.critic)), "the other way round"
        assert not same(begin[0], weights(gan_step.critic))
        assert not same(begin[1], weights(gan_step.generator))
        for net in (gan_step.critic, gan_step.generator):
            assert not any(g is not None and g.any() for g in gradients(net).values()), "nothing is left over"
            assert all(p.requires_grad for p in net.parameters())
        assert not any(p.requires_grad for p in gan_step.average.parameters())


def test_shared_fakes_in_two_parts_end_in_the_weights_of_one():
    whole, parts = (
        new_gan_step("loss.shared_fakes=true", f"engine.micro_batch=[{micro}]") for micro in (8, 4)
    )
    for number in range(3):
        for gan_step in (whole, parts):
            gan_step.step(new_batch(gan_step, number), 0.5, number)
    for name in ("critic", "generator", "average"):
        theirs = weights(getattr(parts, name))
        for key, tensor in weights(getattr(whole, name)).items():
            torch.testing.assert_close(
                tensor, theirs[key], rtol=1e-3, atol=2e-5, msg=lambda m, k=key: f"{k} {m}"
            )


def test_the_average_follows_the_generator_by_its_decay():
    gan_step = new_gan_step("ema.decay=0.75")
    expected = weights(gan_step.average)
    for number in range(3):
        gan_step.step(new_batch(gan_step, number), 1.0, number)
        now = weights(gan_step.generator)
        expected = {name: 0.75 * tensor + 0.25 * now[name] for name, tensor in expected.items()}
    for name, tensor in weights(gan_step.average).items():
        torch.testing.assert_close(tensor, expected[name])


# Supervision.


@pytest.mark.parametrize("kind", ["auxiliary", "projection", "none"])
@pytest.mark.parametrize("fields", ['["view"]', '["view", "density", "age_band", "vendor"]'])
def test_labels_matter_where_they_are_told_and_only_there(kind, fields):
    other_real, other_drawn = [], []
    for change in ("", "labels_NF", "generator_labels_NF"):
        gan_step = new_gan_step(f"supervision.kind={kind}", f"supervision.fields={fields}")
        batch = new_batch(gan_step)
        if change:
            batch = dataclasses.replace(batch, **{change: 1 - getattr(batch, change).clamp(max=1)})
        gan_step.step(batch, 0.5, 0)
        assert all(p.isfinite().all() for p in gan_step.generator.parameters())
        other_real.append(weights(gan_step.critic))
        other_drawn.append(weights(gan_step.generator))
    told = kind != "none"
    assert same(other_real[0], other_real[1]) is not told
    assert same(other_real[0], other_real[2]), "the critic's update knows nothing of the generator's labels"
    assert same(other_drawn[0], other_drawn[2]) is not told


def test_a_told_critics_embeddings_are_learned():
    gan_step = new_gan_step("supervision.kind=projection")
    before = weights(gan_step.critic)["projection.weight"]
    gan_step.step(new_batch(gan_step), 1.0, 0)
    after = weights(gan_step.critic)["projection.weight"]
    assert (after != before).any(dim=1).all()
    images = torch.randn(4, 1, 10, 8)
    cc, mlo = (gan_step.critic(images, 1.0, torch.eye(2)[[view] * 4])[0] for view in (0, 1))
    assert (cc != mlo).all()


def test_what_is_not_finite_adds_nothing_to_a_mean():
    terms = torch.tensor([1.0, float("nan"), float("inf"), -float("inf"), -2.0])
    assert finite(terms).tolist() == [1, 0, 0, 0, -2]


def test_without_augmentation_images_are_not_even_copied():
    images = torch.randn(4, 1, 5, 4)
    assert augmented(images, torch.empty(4, 0)) is images


# Work, and errors.


def test_a_step_costs_4_passes_of_the_generator_and_14_of_the_critic_or_3_and_12_with_both_savings():
    """Without: generator 4 (twice forth, once back), critic 14 (3 + 3 reals and fakes, 6 penalty, 2)."""
    size = ("ladder.stages=4", "network.channels_base=512", "network.channels_max=64")
    for options, of_generator, of_critic in (
        (("loss.shared_fakes=false", "loss.penalty_holds_stddev=false"), 4, 14),
        (("loss.shared_fakes=true", "loss.penalty_holds_stddev=true"), 3, 12),
    ):
        gan_step = new_gan_step(*size, *options, stage=3)
        batch = new_batch(gan_step)
        with torch.no_grad():
            told = one_hot(batch.labels_NF, (2,))
            drawing = work(lambda a=gan_step, b=batch, t=told: a.generator(b.critic_latents_NZ, t))
            scoring = work(lambda a=gan_step, b=batch: a.critic(b.real_NCHW))
        step = work(lambda a=gan_step, b=batch: a.step(b, 1.0, 0))
        assert step == pytest.approx(of_generator * drawing + of_critic * scoring, rel=0.02)
        assert drawing < scoring  # by the convolutions that double at once


def test_a_penalty_that_is_not_due_costs_nothing():
    gan_step = new_gan_step("loss.penalty_every=2", "network.channels_max=16", "network.channels_base=64")
    batch = new_batch(gan_step)
    due, not_due = (work(lambda n=number: gan_step.step(batch, 1.0, n)) for number in (0, 1))
    assert not_due / due == pytest.approx(12 / 18, rel=0.05)


def test_ranks_that_cannot_share_the_batch_are_told_which_can():
    with pytest.raises(
        RunFailedError,
        match=r"^Stage 1: a global batch of 8 can't be split on 3 ranks into whole groups of 4; numbers of "
        r"ranks that can: 1, 2\. Change resources\.gpu_nodes at the site, or schedule\.batch\.$",
    ):
        new_gan_step(group=ProcessGroup(0, 3))
