"""A run whose networks are real, though nobody has trained them, and the commands on it."""

import numpy as np
import torch
from typer.testing import CliRunner

from mammogan import schedule, steps
from mammogan.cli import app
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import load_site
from mammogan.files import write
from mammogan.steps.licence_notice import TERMS, terms
from mammogan.tracking import Journal
from mammogan.train import checkpoint
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import Model, preview
from mammogan.train.export_model import export
from mammogan.train.label_encoding import LabelTable
from tests.steps import scored
from tests.train.conftest import TINY

DENSITIES = ('supervision.fields=["view", "density"]',)
BOTH = ((0, 1), (1, 1), (1, 2))
ONLY_CC = ((0, 1), (0, 2))


def make_run(folder, *overrides, labels=((0,), (1,))):
    """Make a run of fresh networks with the ticks' sheets of both stages and an exported model."""
    method = load_method("tour", (*TINY, "sampling.images_per_view=20", *overrides))
    recipe = load_recipe("phantom", ())
    site = load_site("local", ("tracking.uri=off",))
    claim(folder, merge(method, (recipe,), site, folder / "shards", "identity", "test"))
    table = LabelTable.of(np.array(labels))
    for stage in schedule.plan(method):
        torch.manual_seed(stage.index)
        net = build_generator(method, stage.index)
        journal = Journal(folder, f"train-{stage.index}")
        for images in (16, stage.images):
            net.bias.data.add_(1)  # as if something had been learned
            journal.metrics({"kimg": stage.kimg(images)}, stage.images_before + images)
            sheet = preview(Model(net, method, table, stage.fade(images)))
            journal.picture(sheet, "samples", stage.images_before + images)
        parts = {"average": net.state_dict(), "labels": table.tensors()}
        last = checkpoint.save(folder, stage.index, stage.images, parts, {})
    export(last, method, folder / "model")
    write(folder / "model" / TERMS, terms(Run.load(folder)))
    scored.choice(scored.score(last.images, 20.0, stage=last.stage)).write(folder / "selection.json")
    return folder


def make_sampled_run(folder):
    """Make a run as `make_run` does, with its pool."""
    made = make_run(folder)
    for node in steps.graph(Run.load(made)):
        for task in range(node.tasks) if node.step == "sample" else ():
            steps.run(made, node.name, task)
    return made


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(kind, *arguments):
    result = run(*arguments)
    assert isinstance(result.exception, kind), (result.output, result.exception)
    return str(result.exception)
