"""The generator that travels alone draws what ours draws, and needs torch alone."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mammogan.config.label_fields import UNKNOWN
from mammogan.config.method import load_method
from mammogan.export.exported_model import ExportedModel
from mammogan.nets import plain_generator
from mammogan.train.build_networks import build_generator
from mammogan.train.draw_images import Model
from mammogan.train.label_encoding import LabelTable
from tests.train.conftest import TINY

BILINEAR, SKIP = 'network.kind="bilinear-noise"', "network.skip_outputs=true"
DENSITY = 'supervision.fields=["view", "density"]'
CASES = {
    "pggan": ((), 3, 1.0),
    "pggan of one stage": ((), 0, 1.0),
    "pggan fading, transposed convolutions": (("network.channels_max=4",), 4, 0.3),
    "bilinear": ((BILINEAR,), 3, 1.0),
    "bilinear fading": ((BILINEAR,), 2, 0.3),
    "skip": ((BILINEAR, SKIP), 3, 1.0),
    "skip fading": ((BILINEAR, SKIP), 3, 0.6),
    "two labels": ((BILINEAR, DENSITY), 2, 1.0),
    "no labels": (('supervision.kind="none"',), 2, 1.0),
    "odd base": ((BILINEAR, "ladder.base_px=[5, 3]"), 0, 1.0),
}


def make(overrides, stage, fade):
    method = load_method("tour", (*TINY, "ladder.stages=5", *overrides))
    with torch.random.fork_rng():
        torch.manual_seed(stage)
        generator = build_generator(method, stage).requires_grad_(False).eval()
        for name, value in generator.named_parameters():
            if "bias" in name:  # far from 0, where pixel norm blows rounding up until ours differs from ours
                value.normal_(2.0, 0.5)
            elif "noise" in name:  # which training moves away from 0
                value.normal_(std=0.1)
    labels = [[0, 0], [0, 1], [1, 1], [1, UNKNOWN]] if DENSITY in overrides else [[0], [0], [1]]
    return ExportedModel(Model(generator, method, LabelTable.of(np.array(labels)), fade), "", Path())


@pytest.mark.parametrize("case", CASES)
def test_it_draws_the_pixels_of_ours_for_any_batch(case):
    exported = make(*CASES[case])
    model, plain = exported.model, exported.plain()
    for size in (1, 3, 16):
        numbers = range(5, 5 + size)
        latents_NZ, noise_N = model.latents(7, numbers), model.noise(7, numbers)
        labels_NF = model.labels(7, numbers, None)
        assert torch.equal(latents_NZ, plain_generator.latents(7, numbers, plain.latent_size))
        assert torch.equal(noise_N, plain_generator.noise_numbers(7, numbers))
        if plain.fields:
            assert torch.equal(labels_NF, plain.labels_of(7, numbers))
        labels_NL = plain.one_hot(plain.labels_of(7, numbers))
        for truncation in (1.0, 0.4):
            ours = model.images(latents_NZ, labels_NF, truncation, noise_N)
            drawn = plain.images(latents_NZ, labels_NL, noise_N, truncation)
            torch.testing.assert_close(drawn, ours, rtol=0, atol=1e-5)
    assert torch.equal(plain(latents_NZ, labels_NL, noise_N), plain.images(latents_NZ, labels_NL, noise_N))
    if plain.kind == "bilinear-noise" and plain.stage:
        assert (plain(latents_NZ, labels_NL) - plain(latents_NZ, labels_NL, noise_N)).abs().max() > 1e-3


def test_its_images_are_those_of_a_pool_by_number_and_label():
    exported = make(*CASES["two labels"])
    model, plain = exported.model, exported.plain()
    for labels, view, others in (
        ({"view": "MLO"}, 1, {}),
        ({"density": "b"}, None, {"density": 1}),
        ({}, None, {}),
    ):
        pool_NHW = np.stack(list(model.draw(3, range(20), view, 0.7, others)))
        drawn_NHW = plain.draw(range(20), 3, labels, 0.7)
        assert drawn_NHW.dtype == np.uint16
        assert np.abs(drawn_NHW.astype(int) - pool_NHW).max() <= 1
    assert plain.draw([], 3).shape == (0, *model.size_px)
    assert (plain.draw([2], labels={"view": "CC", "density": "d"}) > 0).any()  # never seen together
    with pytest.raises(ValueError, match="label 'density=e': this model knows"):
        plain.draw([0], 3, {"density": "e"})


def test_its_file_imports_torch_and_the_standard_library_alone():
    tree = ast.parse(Path(plain_generator.__file__).read_text(encoding="utf-8"))
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert names - sys.stdlib_module_names == {"torch", "safetensors"}
    assert not [node for node in ast.walk(tree) if getattr(node, "attr", "") == "Function"]
