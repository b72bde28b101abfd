"""Networks and losses of users: the documents' example is trained, and what does not fit is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.errors import ConfigError
from mammogan.losses import objective_of
from mammogan.nets.networks import NETWORKS, NetworkPair, pair_of
from mammogan.nets.pair_check import check_pair
from mammogan.train import checkpoint
from tests.train.conftest import TINY, train

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's module, where Python finds it, and the settings that name it."""
    page = PAGE.read_text(encoding="utf-8")
    module, toml = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "toml"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "smooth_gan.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    yield tuple(
        f"{table}.{key}={value}"
        for table, rest in re.findall(r"\[(\w+)\]\n(.*?)(?=\n\[|\Z)", toml, re.DOTALL)
        for key, value in re.findall(r'(\w+) = "(.*?)"', rest)
    )
    sys.modules.pop("smooth_gan", None)


def test_the_example_of_the_documents_fits_and_trains_and_grows(example, make_run, tmp_path):
    method = load_method("tour", (*TINY, *example))
    check_pair(pair_of(method), method)
    assert type(objective_of(method.loss)).__name__ == "LeastSquares"
    run = make_run("own", *example)
    train(run, "train-0", "train-1", PYTHONPATH=str(tmp_path / "mine"))
    last = schedule.plan(method)[-1]
    tensors = checkpoint.at(run, last.index, last.images).tensors("average")
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("network.kind", "no_such:PAIR", "the module 'no_such' can't be imported: ModuleNotFoundError"),
        ("network.kind", "smooth_gan:PEAR", "the module 'smooth_gan' has no 'PEAR'"),
        ("network.kind", "smooth_gan:LeastSquares", "has no 'critic' that makes one"),
        ("loss.objective", "smooth_gan:PAIR", "does not follow the protocol of an objective"),
        ("loss.objective", "smooth_gan:SmoothGenerator", "does not follow the protocol of an objective"),
    ],
)
def test_a_name_behind_which_is_something_else_is_refused(example, key, name, message):
    method = load_method("tour", (*TINY, f"{key}={name}"))
    with pytest.raises(ConfigError, match=message):
        check_pair(pair_of(method), method) if key == "network.kind" else objective_of(method.loss)


@pytest.mark.parametrize("name", ["hinges", "a b:c", "os.path"])
def test_an_objective_of_no_table_and_no_module_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match=rf"there is no objective '{name}'.*hinge.*package\.module:Class"):
        load_method("tour", (f"loss.objective={name}",))


PGGAN = NETWORKS["pggan"]


class Wide(nn.Module):
    """A critic that scores a picture twice."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.stage = inner, inner.stage

    def forward(self, *images, **options):
        scores_N, logits_NL = self.inner(*images, **options)
        return torch.stack([scores_N, scores_N], dim=1), logits_NL


class Renamed(nn.Module):
    """A critic whose layers are called otherwise in each stage."""

    def __init__(self, inner, stage):
        super().__init__()
        self.stage = stage
        self.add_module(f"stage{stage}", inner)

    def forward(self, *images, **options):
        return next(self.children())(*images, **options)


def failing(*_):
    raise ZeroDivisionError("nothing")


def next_stage(method, stage, recompute):
    return PGGAN.generator(method, stage + 1, recompute)


def renamed(method, stage, recompute):
    return Renamed(PGGAN.critic(method, stage, recompute), stage)


def wide(*arguments):
    return Wide(PGGAN.critic(*arguments))


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((failing, PGGAN.critic), "its generator of stage 0 can't be made: ZeroDivisionError"),
        ((lambda *_: 3, PGGAN.critic), "its generator is no torch.nn.Module but a 'int'"),
        ((PGGAN.critic, PGGAN.critic), "its generator has no '"),
        ((PGGAN.generator, wide), r"its critic scores '\(4, 2\)', and not \(4,\)"),
        ((PGGAN.generator, PGGAN.generator), "a pass through its networks fails: "),
        ((next_stage, PGGAN.critic), "a pass through|its generator draws"),
        ((PGGAN.generator, renamed), "its critic of stage 1 shares no key of its state_dict"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused_with_what_was_expected(pair, message):
    method = load_method("tour", TINY)
    check_pair(PGGAN, method)
    with pytest.raises(ConfigError, match=message) as error:
        check_pair(NetworkPair(*pair), method)
    assert "network.kind 'pggan': " in str(error.value) and "docs/extending.md" in str(error.value)
