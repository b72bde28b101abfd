"""Adam: its updates by hand, what it passes over, its loss scale, and its moments with and without ZeRO."""

import copy
import math

import pytest
import torch

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.train import accelerator, adam, adam_state, checkpoint
from mammogan.train.adam import SkipNonFiniteAdam
from mammogan.train.checkpoint_retention import Retention
from mammogan.train.distributed import ProcessGroup
from mammogan.train.training_loop import train_stage
from tests.train.conftest import new_run
from tests.train.test_gan_step import critic_loss, moments, new_batch, new_gan_step, same, weights


def new_adam(*values, scaled=False, **options):
    parameter = torch.nn.Parameter(torch.tensor(values))
    options = {"lr": 0.5, "betas": (0.0, 0.99), "eps": 1e-8} | options
    return parameter, SkipNonFiniteAdam([parameter], scaled=scaled, partitioned=False, **options)


def step(parameter, optimiser, *gradient):
    parameter.grad = torch.tensor(gradient)
    optimiser.step()


def test_two_updates_by_hand():
    """Kingma and Ba 2015, algorithm 1, with beta1 0 and beta2 0.99: the second moment's bias is taken out."""
    parameter, optimiser = new_adam(1.0, -2.0, eps=0.5)
    step(parameter, optimiser, 3.0, -4.0)
    torch.testing.assert_close(parameter.data, torch.tensor([1 - 0.5 * 3 / 3.5, -2 + 0.5 * 4 / 4.5]))
    assert optimiser.norm == 5
    assert optimiser.skipped == 0
    step(parameter, optimiser, 1.0, 0.0)
    second = ((0.99 * 0.01 * 9 + 0.01 * 1) / (1 - 0.99**2)) ** 0.5
    torch.testing.assert_close(parameter.data[0].item(), 1 - 0.5 * 3 / 3.5 - 0.5 / (second + 0.5))


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), float("nan")])
def test_a_gradient_that_is_not_finite_changes_nothing_but_the_scale(bad):
    parameter, optimiser = new_adam(1.0, 2.0, scaled=True)
    step(parameter, optimiser, 64.0, 128.0)
    before = parameter.detach().clone(), {k: v.clone() for k, v in optimiser.state[parameter].items()}
    step(parameter, optimiser, 1.0, bad)
    assert torch.equal(parameter, before[0])
    assert same(before[1], optimiser.state[parameter])
    assert (float(optimiser.norm), float(optimiser.skipped)) == (0, 1)
    step(parameter, optimiser, 1.0, 1.0)
    assert optimiser.skipped == 0
    assert optimiser.state[parameter]["step"] == 2


def test_the_loss_scale_is_pggans():
    """64 at first; its logarithm to base 2 gains 0.0005 by a good update and loses 1 by a bad one."""
    parameter, optimiser = new_adam(1.0, scaled=True)
    assert optimiser.scale == 64
    step(parameter, optimiser, 1.0)
    assert optimiser.log2_scale.item() == pytest.approx(6.0005, abs=1e-6)
    step(parameter, optimiser, float("inf"))
    assert optimiser.log2_scale.item() == pytest.approx(5.0005, abs=1e-6)


def test_a_scaled_gradient_gives_the_update_and_the_norm_of_the_unscaled_one():
    plain, scaled = new_adam(1.0, 2.0, eps=0.5), new_adam(1.0, 2.0, eps=0.5, scaled=True)
    for _ in range(3):
        factor = float(scaled[1].scale)
        step(*plain, 3.0, 4.0)
        step(*scaled, 3.0 * factor, 4.0 * factor)
        torch.testing.assert_close(scaled[0], plain[0])
        assert float(scaled[1].norm) == pytest.approx(5)


def test_without_a_scale_a_loss_is_left_alone():
    assert new_adam(1.0)[1].scale == 1.0


def test_deepspeed_clips_no_gradients_and_updates_as_plain_adam_does(monkeypatch):
    """With an epsilon of 1, so that a gradient's size matters to Adam."""
    gan_step = new_gan_step("optimiser.epsilon=1", "loss.penalty_weight=1000")
    recorded = moments(monkeypatch, gan_step)
    nets = {"critic": gan_step.critic, "generator": gan_step.generator}
    plain = {name: copy.deepcopy(net) for name, net in nets.items()}
    adams = {
        name: torch.optim.Adam(net.parameters(), lr=0.002, betas=(0.0, 0.99), eps=1.0)
        for name, net in plain.items()
    }
    for number in range(3):
        gan_step.step(new_batch(gan_step, number), 0.5, number)
        for name, net in plain.items():
            found = recorded[name].gradients[name]
            if name == "critic":
                norm = torch.stack([g.norm() for g in found.values() if g is not None]).norm()
                assert norm > 10
            for key, p in net.named_parameters():
                p.grad = found[key]
            adams[name].step()
            for key, tensor in weights(nets[name]).items():
                torch.testing.assert_close(tensor, weights(net)[key], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("micro", [4, 8])
def test_half_precision_trains_and_keeps_in_full_what_must_be(monkeypatch, precision, micro):
    gan_step = new_gan_step(f"engine.precision={precision}", f"engine.micro_batch=[{micro}]")
    seen = []
    gan_step.critic.register_forward_hook(lambda net, given, told: seen.append(told[0].dtype))
    gan_step.critic.blocks[0][0].register_forward_hook(lambda net, given, made: seen.append(made.dtype))
    batch, recorded = new_batch(gan_step), moments(monkeypatch, gan_step)
    full = copy.deepcopy((gan_step.critic, gan_step.generator))
    gan_step.step(batch, 0.5, 0)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert set(seen) == {torch.float32, half}, "scores are fp32, convolutions are not"
    assert seen[1::2] == [torch.float32] * (len(seen) // 2)
    for net in (gan_step.generator, gan_step.average, gan_step.critic):
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in net.parameters())
    means = gan_step.sums.totals(ProcessGroup(0, 1))
    assert all(map(math.isfinite, means.values()))
    assert means["critic/skipped"] == means["generator/skipped"] == 0
    # The gradients are those of full precision, but for rounding and the loss scale.
    critic_loss(gan_step.method, *full, batch, 0.5, 0).backward()
    expected = torch.cat([p.grad.flatten() for p in full[0].parameters() if p.grad is not None])
    found = recorded["critic"].gradients["critic"]
    mine = torch.cat([found[n].flatten() for n, p in full[0].named_parameters() if p.grad is not None])
    scale = 64 if precision == "fp16" else 1
    assert torch.nn.functional.cosine_similarity(mine, expected, dim=0) > 0.99
    assert mine.norm().item() == pytest.approx(scale * expected.norm().item(), rel=0.1)
    assert means["critic/gradient_norm"] == pytest.approx(expected.norm().item(), rel=0.1)


POISONED = {"critic": "real_NCHW", "generator": "generator_latents_NZ"}


@pytest.mark.parametrize("whose", POISONED)
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize(("precision", "zero"), [("fp32", 0), ("fp16", 0), ("fp32", 1), ("fp16", 2)])
def test_an_update_that_is_not_finite_is_skipped_and_counted(whose, value, precision, zero):
    """One number of one image of the second part; weights, moments, count of steps and means stay."""
    gan_step = new_gan_step(
        f"engine.precision={precision}", f"engine.zero_stage={zero}", "engine.micro_batch=[4]"
    )
    gan_step.step(new_batch(gan_step), 0.5, 0)
    nets = {"critic": gan_step.critic, "generator": gan_step.generator}
    engines = {"critic": gan_step.critic_engine, "generator": gan_step.generator_engine}

    def moments_of(name):
        return {k: v for k, v in adam_state.gather(engines[name]).items() if k != "log2_scale"}

    before = {name: (weights(net), moments_of(name)) for name, net in nets.items()}
    batch = new_batch(gan_step, 1)
    getattr(batch, POISONED[whose])[6].view(-1)[0] = value
    gan_step.sums.reset()
    gan_step.step(batch, 0.5, 1)
    means = gan_step.sums.totals(ProcessGroup(0, 1))
    for name, net in nets.items():
        kept = same(before[name][0], weights(net))
        kept_moments = same(before[name][1], moments_of(name))
        assert kept == kept_moments == (name == whose), name
        assert means[f"{name}/skipped"] == float(name == whose)
        scale = 2.0 ** (6 + 0.0005 + (-1 if name == whose else 0.0005)) if precision == "fp16" else 1.0
        assert float(adam.optimiser_of(engines[name]).scale) == pytest.approx(scale)
    assert means[f"{whose}/gradient_norm"] == 0
    assert all(map(math.isfinite, gan_step.sums.totals(ProcessGroup(0, 1)).values()))
    # The next update finds nothing of it.
    gan_step.step(new_batch(gan_step, 2), 0.5, 2)
    assert not same(before[whose][0], weights(nets[whose]))
    assert all(p.isfinite().all() for net in nets.values() for p in net.parameters())


# Its moments, gathered, scattered and reset.


def engines(gan_step):
    return gan_step.critic_engine, gan_step.generator_engine


def trained(*overrides, steps=2):
    gan_step = new_gan_step(*overrides)
    for number in range(steps):
        gan_step.step(new_batch(gan_step, number), 0.5, number)
    return gan_step


@pytest.mark.parametrize("zero", [0, 1, 2])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_was_gathered_comes_back_bit_by_bit(zero, precision):
    """The loss scale too: ZeRO has to take a step of no weight to get moments, which must not count."""
    options = f"engine.zero_stage={zero}", f"engine.precision={precision}"
    source = trained(*options)
    gathered = [adam_state.gather(engine) for engine in engines(source)]
    target = new_gan_step(*options)
    before = weights(target.critic)
    for engine, tensors in zip(engines(target), gathered, strict=True):
        adam_state.scatter(engine, tensors)
        again = adam_state.gather(engine)
        assert tensors["step"] == 2
        assert ("log2_scale" in tensors) == (precision == "fp16")
        assert same(tensors, {name: again[name] for name in tensors})
        assert not any(again[name].any() for name in set(again) - set(tensors))
    assert same(before, weights(target.critic)), "scattering moves no weight"


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_after_a_reset_an_update_is_a_first_one(zero):
    gan_step = trained(f"engine.zero_stage={zero}", "optimiser.epsilon=1e-8")
    for engine in engines(gan_step):
        adam_state.reset(engine)
        state = adam_state.gather(engine)
        assert state["step"] == 0
        assert not any(tensor.any() for name, tensor in state.items() if name != "log2_scale")
    before = weights(gan_step.generator)
    gan_step.step(new_batch(gan_step, 9), 0.5, 9)
    # The first update of Adam with beta1 0 is the learning rate, whatever the gradient.
    moved = torch.cat([(p - before[n]).abs().flatten() for n, p in gan_step.generator.named_parameters()])
    assert moved[moved > 0].median().item() == pytest.approx(0.002, rel=1e-3)
    assert adam_state.gather(gan_step.generator_engine)["step"] == 1


def test_moments_are_forgotten_when_a_stage_begins_and_when_its_fade_ends(tiny_shards, tmp_path, monkeypatch):
    """Two steps a tick: of stage 0 four in all, of stage 1 four in its fade and eight after it."""
    monkeypatch.setattr(Retention, "while_training", lambda *arguments, **options: None)
    folder = new_run(tmp_path / "run", tiny_shards)
    run = Run.load(folder)
    counts = {}
    for stage in schedule.plan(run.method):
        train_stage(folder, run, stage.index, lambda *told: None)
        for saved in checkpoint.saved(folder, stage.index):
            parts = [saved.tensors(f"{name}_adam") for name in ("critic", "generator")]
            assert parts[0]["step"] == parts[1]["step"]
            counts[stage.index, saved.images] = int(parts[0]["step"])
            assert all((len(tensors) > 1) == (tensors["step"] > 0) for tensors in parts)
    assert counts == {
        (0, 16): 2, (0, 32): 4,
        (1, 16): 2, (1, 32): 0, (1, 48): 2, (1, 64): 4, (1, 80): 6, (1, 96): 8,
    }  # fmt: skip


@pytest.mark.parametrize("quick", [True, False])
def test_where_it_is_left_open_bf16_trains_on_devices_that_are_quick_in_it_and_fp32_draws(monkeypatch, quick):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: quick)
    gan_step = new_gan_step("engine.precision=auto")
    assert gan_step.precision == ("bf16" if quick else "fp32")
    with accelerator.compute_in("auto", torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
    seen = []
    convolve = torch.nn.functional.conv2d
    spy = lambda x, *rest, **options: seen.append(x.dtype) or convolve(x, *rest, **options)  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.functional, "conv2d", spy)
        gan_step.step(new_batch(gan_step), 1.0, 0)
    assert (torch.bfloat16 in seen) == quick
