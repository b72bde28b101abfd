"""Gradients that go around the ranks during the last pass back are the means that they are without."""

import os

import pytest

from tests.forked import Forked
from tests.patience import PATIENCE_S
from tests.train.conftest import free_port

RANK = """
import sys, torch
from mammogan.train import accelerator, gradient_reduction
from mammogan.train.distributed import join
from tests.train.test_gan_step import new_batch, new_gan_step, weights

overrides, group = sys.argv[1:], join()
left_early = []
send = gradient_reduction.GradientReduction._send

def noted(self):
    left_early.append(self._in_pass)
    send(self)

def trained(*more):
    gan_step = new_gan_step(*overrides, *more, group=group)
    for name in ("critic", "generator"):
        reduction = getattr(gan_step, f"{name}_engine").gradient_reduction
        if reduction is not None:
            reduction._bucket_numbers, reduction._in_pass = 200, False
            engine = getattr(gan_step, f"{name}_engine")
            engine.backward = watched(engine.backward, reduction)
    for number in range(4):
        batch = new_batch(gan_step, 10 * number + group.rank)
        gan_step.step(batch, 0.5, number)
    return {**weights(gan_step.critic), **{f"g {k}": v for k, v in weights(gan_step.generator).items()}}

def watched(backward, reduction):
    def run(loss):
        reduction._in_pass = True
        backward(loss)
        reduction._in_pass = False
    return run

plain = trained()
assert not left_early
gradient_reduction.GradientReduction._send = noted
overlapped = trained("engine.overlap_communication=true")
off = [name for name in plain if not torch.equal(plain[name], overlapped[name])]
print("reduced", len(plain), off, sum(left_early), len(left_early))
"""


@pytest.mark.slow  # ten seconds a case
@pytest.mark.parametrize(
    "overrides",
    [
        ("loss.penalty_every=2", "engine.micro_batch=[4]", "schedule.batch=[16]"),
        pytest.param(
            ("loss.objective=relativistic", "loss.penalty=r1-r2", "loss.shared_fakes=true"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["micro-batches", "relativistic"],
)
def test_two_ranks_end_in_the_same_bits_with_and_without_overlap(overrides):
    """Of two ranks' numbers there is one sum; of more, the order of adding may differ by bucket."""
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common |= {"OMP_NUM_THREADS": "1"}
    processes = [
        Forked(RANK, *overrides, environment=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    for process in processes:
        out = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 0, out
        words = out.splitlines()[-1].split()
        assert words[0] == "reduced"
        assert words[2] == "[]", out
        early, all_buckets = map(int, words[3:])
        assert early > 0.6 * all_buckets * 3 / 4, "the first step alone, of four, learns the order"
