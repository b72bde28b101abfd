"""`mammogan report`: a finished run's measures and page, made again on demand."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.config.run_config import Run
from mammogan.errors import ConfigError
from mammogan.steps import graph, is_done
from mammogan.steps.report_measures import read
from tests.metrics.noise import picture
from tests.steps import assessed


def images(seed, count=14):
    dice = np.random.default_rng(seed)
    return {view: np.stack([picture(40, 32, dice) for _ in range(count)]) for view in ("CC", "MLO")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("reported")
    shards = assessed.make_shards(place / "set", {"train": images(1), "validation": images(2)})
    return assessed.make_run(place / "run", shards, images(3))


def command(*words):
    told = CliRunner().invoke(app, ["report", *map(str, words)], env={"COLUMNS": "200"})
    if told.exit_code:
        raise told.exception
    return " ".join(told.output.split())


def test_tasks_measure_their_share_and_the_command_alone_does_the_rest_and_the_page(folder):
    assert "5 of 10 parts are measured" in command(folder, "--tasks", 2, "--task", 1)
    assert not (folder / "report").exists()
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "assess").iterdir()}
    said = command(folder)
    assert "real beside real" in said and " MLO " in said and "index.html shows all of it" in said
    assert (folder / "report" / "index.html").stat().st_size > 1000
    assert len(before) == 5
    assert all((folder / "assess" / name).stat().st_mtime_ns == time for name, time in before.items())
    nodes = {node.name: node for node in graph(Run.load(folder))}
    assert is_done(folder, nodes["compare"], 0) and is_done(folder, nodes["report"], 0)


def test_a_users_network_adds_its_distances_and_leaves_the_runs_own_parts(folder, tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(2))
    with pytest.warns(DeprecationWarning, match="torch.jit.trace"):
        torch.jit.trace(network.eval(), torch.zeros(1, 3, 40, 32)).save(str(tmp_path / "n.pt"))
    command(folder, "--weights", tmp_path / "n.pt")
    names = {
        measure["name"] for measure in read(folder / "report")["measures"] if measure["group"] == "network"
    }
    assert {"frechet", "kid", "precision", "coverage"} <= names
    assert len([path for path in folder.iterdir() if path.name.startswith("assess")]) == 2


def test_what_cannot_be_is_explained(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no such file"):
        command(folder, "--weights", tmp_path / "none.pt")
    with pytest.raises(ConfigError, match=r"--task '2' is not below --tasks '2'"):
        command(folder, "--tasks", 2, "--task", 2)
    with pytest.raises(ConfigError, match=r"--tasks and --task go together"):
        command(folder, "--tasks", 2)
    assert json.loads((folder / "selection.json").read_text())["checkpoint"] == assessed.DIGEST
