"""The bench's own arithmetic: counted work, turns, bounds, and that contenders do what they are said to."""

import re
import subprocess
import sys
from functools import partial
from itertools import repeat
from types import SimpleNamespace

import pytest
import torch

from mammogan.config.method import load_method
from mammogan.cost import gpu_datasheets
from mammogan.cost.flops import work
from mammogan.cost.gpu_datasheets import GPUS
from mammogan.schedule import plan
from mammogan.train.build_networks import fresh
from tests.bench import cost, step, turns
from tests.bench.cost import counted
from tests.bench.estimate import Rung, bound, hours, usable
from tests.bench.flops import Work, count, unit
from tests.bench.memory import Peak, slope
from tests.bench.ours import PLUS, SAVINGS, UNLABELLED, method_of
from tests.bench.peers import PlainCritic, PlainGenerator, Shape, plain

FULL = Shape((5, 4), 8, 4)
TINY = Shape((5, 4), 1, 4, channels_base=32, channels_max=8)
A100 = GPUS[1]
SAME_STEPS = """
import torch
from tests.bench.ours import gan_step_of, batch_of, method_of
from tests.bench.peers import Shape
shape = Shape((5, 4), 1, 4, channels_base=32, channels_max=8)
# With an epsilon of 1e-8 the rounding noise of a gradient of 0 would move a weight by the whole rate.
method, found = method_of(shape, "optimiser.epsilon=1e-3"), []
for bare in (True, False):
    both = gan_step_of(shape, method, torch.device("cpu"), bare=bare)
    torch.manual_seed(0)
    labels = torch.zeros(4, 1, dtype=torch.int64)
    for number in range(3):
        both.step(batch_of(shape, shape.reals(), labels), 1.0, number)
    parameters = [*both.average.parameters(), *both.generator.parameters(), *both.critic.parameters()]
    found.append(torch.cat([p.detach().flatten() for p in parameters]))
print("differ by", (found[0] - found[1]).abs().max().item())
"""


def test_a_forward_pass_has_the_operations_of_its_layers():
    """By hand: dense, first convolution, two of the block, one to the image; 2 for each multiply and add."""
    dense, first = 8 * 8 * 20, 20 * 8 * 8 * 9
    block = 80 * (8 * 8 * 9 + 8 * 8 * 9)
    assert unit(TINY) == 2 * TINY.batch * (dense + first + block + 80 * 8)


def test_the_plain_step_is_eighteen_forward_passes():
    assert count(plain(FULL, "meta")).flops / unit(FULL) == pytest.approx(18.0, abs=0.01)


def test_the_exact_step_of_full_width_is_seventeen_forward_passes():
    """Of 18 the generator has 4; its doubling convolutions do 4 products of 9 where that pays."""
    assert cost.counted(FULL, *UNLABELLED).flops / unit(FULL) == pytest.approx(16.99, abs=0.01)


def test_both_savings_leave_fourteen_and_a_quarter_forward_passes():
    assert cost.counted(FULL, *UNLABELLED, *SAVINGS).flops / unit(FULL) == pytest.approx(14.24, abs=0.01)


def test_counting_on_the_meta_device_and_doing_it_agree():
    assert count(plain(TINY)) == count(plain(TINY, "meta"))


def test_the_plain_networks_are_as_large_as_ours():
    """But for the layers to and from the image of rungs below, which ours keep for fading in."""
    method = load_method("mammogan", UNLABELLED)
    with torch.device("meta"):
        for mine, other in zip(fresh(method, 8), (PlainGenerator(FULL), PlainCritic(FULL)), strict=True):
            of = [sum(p.numel() for p in net.parameters()) for net in (mine, other)]
            assert of[0] == pytest.approx(of[1], rel=1e-3)


def test_the_step_without_deepspeed_is_the_same_arithmetic():
    ran = subprocess.run([sys.executable, "-c", SAME_STEPS], capture_output=True, text=True, check=True)
    assert float(re.search(r"differ by (.*)", ran.stdout)[1]) < 1e-6


def test_contenders_alternate_and_another_begins_each_round(monkeypatch):
    called = []
    ways = {name: lambda name=name: called.append(name) for name in "abc"}
    seen = turns.in_turns(ways, 3, lambda name: called.append(name.upper()))
    assert "".join(called) == "AaBbCc" + "BbCcAa" + "CcAaBb"
    assert {name: len(times) for name, times in seen.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    case = step.Case(Shape((4, 4), 1, 4), {"plain": 1.6})
    spent = {"plain": [2.0, 40.0, 2.0], "exact": [1.0, 10.0, 1.0]}
    line = list(step.verdicts(case, spent))[2]
    assert line == "| exact | 14400.0 | plain: 7200.0 | 2.00 | 1.6 | yes |"


def test_a_missed_bound_is_written_in_bold():
    assert step.bounded(18.5, most=18.1) == "18.50, at most 18.1: **no**"
    assert step.bounded(0.8, least=0.75) == "0.80, at least 0.75: yes"


def test_bf16_is_timed_only_where_it_is_computed():
    assert turns.computes_bf16({"fp32": 110, "bf16": 212})
    assert not turns.computes_bf16({"fp32": 113, "bf16": 35})
    assert "only emulates bf16" in turns.machine({"fp32": 113, "bf16": 35})


def test_work_splits_into_that_of_images_and_that_of_steps():
    image, rest = Work(10, 100, 7).by_image(Work(18, 160, 7), 4, 8)
    assert (image.flops, image.traffic) == (2, 15)
    assert (rest.flops, rest.traffic, rest.calls) == (2, 40, 7)


def test_memory_an_image_is_what_the_second_adds():
    assert slope(Peak(5.3, 1), Peak(10.1, 1)) == pytest.approx(4.8)


@pytest.mark.parametrize(("batch", "gpus", "ranks"), [(32, 8, 8), (32, 128, 8), (512, 128, 128), (4, 8, 1)])
def test_only_whole_groups_are_split(batch, gpus, ranks):
    assert usable(batch, gpus, 4) == ranks


@pytest.fixture
def rung():
    stage = plan(load_method("mammogan"))[8]
    return Rung(stage, Work(2e12, 50e9, 0), Work(0, 1e9, 2000), 2e8)


def test_half_the_images_a_rank_take_half_the_time(rung):
    eight, sixteen = (bound(rung, 64, n, A100, "TF32") for n in (8, 16))
    assert sixteen.arithmetic == eight.arithmetic / 2
    assert eight.arithmetic == pytest.approx(8 * 2e12 / (156e12 * gpu_datasheets.SUSTAINED))
    assert sixteen.launches == eight.launches == pytest.approx(2000 * gpu_datasheets.LAUNCH_S)


def test_one_rank_reduces_nothing_and_many_twice_the_gradients(rung):
    assert bound(rung, 64, 1, A100, "TF32").reduction == 0
    assert bound(rung, 4096, 1024, A100, "TF32").reduction == pytest.approx(
        4e8 / gpu_datasheets.LINK_BYTES_S, rel=2e-3
    )


def test_bf16_halves_what_images_move_but_not_what_adam_does(rung):
    single, half = (bound(rung, 8, 8, A100, precision) for precision in ("TF32", "bf16"))
    per_s = A100.bytes_s * gpu_datasheets.STREAMED
    assert single.traffic == pytest.approx(51e9 / per_s)
    assert half.traffic == pytest.approx(26e9 / per_s)
    assert single.limit == "traffic" and single.total == single.traffic + single.reduction


def test_gpus_without_a_group_of_their_own_save_no_time_unless_the_batch_grows(rung):
    of = {grown: [hours(rung, n, A100, "TF32", 4, grown=grown) for n in (8, 128)] for grown in (False, True)}
    assert of[False][0] == of[False][1] == of[True][0]
    assert of[True][1] < of[False][1] / 8


def test_the_page_holds_what_was_measured_in_the_order_of_the_sections():
    results = {name: {"machine": "Here.", "text": f"{name}!\n"} for name in ("memory", "karras-8")}
    text = step.page(results)
    assert re.findall(r"\w+-?\w*!", text) == ["karras-8!", "memory!"]
    assert text.startswith("### Karras width, 8x8, batch 4\n\nHere.\n")


def test_what_is_measured_anew_replaces_its_section_of_the_page_and_no_other():
    old = step.page({name: {"machine": "There.", "text": f"{name}!\n"} for name in ("memory", "karras-8")})
    text = step.page({"memory": {"machine": "Here.", "text": "less!\n"}}, old)
    assert text == old.replace("There.\n\nmemory!", "Here.\n\nless!")


def test_a_missing_peer_is_told_of(monkeypatch):
    monkeypatch.setattr(step, "find_spec", lambda name: None)
    told = list(step.absent(step.CASES["karras-8"], SimpleNamespace(zoo=None)))
    assert told == ["pro-gan-pth was not installed.", "pytorch_GAN_zoo was not at hand (`--gan-zoo`)."]


def test_an_unknown_section_is_answered_with_those_that_there_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["step", "--only", "karras-9"])
    with pytest.raises(SystemExit):
        step.main()
    assert "no section karras-9; there are karras-8, karras-16" in capsys.readouterr().err


@pytest.mark.parametrize("stage", [3, 5])
@pytest.mark.parametrize(
    "overrides",
    [(), SAVINGS, PLUS, (*PLUS, "network.critic_mean=between"), (*PLUS, "network.skip_outputs=true")],
)
def test_the_formulae_of_a_steps_work_are_torchs_own_count(stage, overrides):
    shape = Shape((5, 4), stage, 4)
    method = method_of(shape, *overrides)
    found = work(method, plan(method)[stage])
    with_it, without = (counted(shape, *overrides, numbers=partial(repeat, number)) for number in (0, 1))
    every = method.loss.penalty_every
    flops = (with_it.flops + (every - 1) * without.flops) / every
    assert found.flops * shape.batch == pytest.approx(flops, rel=0.02)
    generator, critic = fresh(method, stage)
    assert found.parameters == sum(p.numel() for p in generator.parameters())
    assert found.critic_parameters == sum(p.numel() for p in critic.parameters())
