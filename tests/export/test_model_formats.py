"""Exports: opened again without this package, with the same pixels, a card, and the terms."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

import mammogan
from mammogan.cli.command_table import ENTRIES
from mammogan.config.run_config import Run
from mammogan.errors import ConfigError, DataError
from mammogan.export.exported_model import open_exported
from mammogan.export.model_formats import MODEL_FORMATS, export
from mammogan.nets.plain_generator import latents, noise_numbers
from tests.cli.made import BOTH, DENSITIES, done, make_run, refused
from tests.patience import PATIENCE_S

KINDS = {
    "pggan": (),
    "bilinear-noise": ('network.kind="bilinear-noise"', "network.skip_outputs=true", *DENSITIES),
}
SIZES = (1, 3, 16)
READERS = {"onnx": ("onnxruntime",), "monai-bundle": ("monai",)}
ALONE = """
import os, sys
class NoMammogan:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mammogan":
            raise ModuleNotFoundError("mammogan is not to be imported", name=name)
sys.meta_path.insert(0, NoMammogan())
import numpy as np
def draw(session, inputs):
    if hasattr(session, "run"):
        return session.run(None, inputs)[0]
    return session(**{name: torch.from_numpy(value) for name, value in inputs.items()}).detach().numpy()
for folder, code in zip(sys.argv[1::2], sys.argv[2::2]):
    os.chdir(folder)
    given = np.load("inputs.npz")
    exec(code)
    for size in (1, 3, 16):
        np.save(f"drawn-{size}.npy", draw(session, {name: given[name][:size] for name in given.files}))
assert "mammogan" not in sys.modules
"""
BUNDLE = """
import torch
from monai.bundle import ConfigParser, verify_net_in_out
sys.path.insert(0, folder)
for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
    del sys.modules[name]
places = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.json"}
verify_net_in_out("network_def", device="cpu", **places)
parser = ConfigParser()
parser.read_config("configs/inference.json")
parser["device"] = "cpu"
session = parser.get_parsed_content("network")
parser.get_parsed_content("initialize")
parser.get_parsed_content("run")
assert np.load("eval/images.npy").dtype == np.uint16
"""
MEDIGAN = """
import importlib, json, torch
(entry,) = json.load(open("metadata.json")).values()
name = entry["execution"]["package_name"]
sys.path.insert(0, folder)
sys.modules.pop(name, None)
sys.modules.pop(name + ".modeling_mammogan", None)
package = importlib.import_module(name)
generate = getattr(package, entry["execution"]["generate_method"]["name"])
file = f"{name}/{entry['execution']['model_name']}{entry['execution']['extension']}"
custom = entry["execution"]["generate_method"]["args"]["custom"] | {"seed": 5}
first = generate(file, 3, "drawn", False, **custom)
generate(file, 2, "drawn", True, **custom)
from PIL import Image
again = [np.asarray(Image.open(f"drawn/synthetic-{number:07d}.png")) for number in (3, 4)]
whole = generate(file, 5, "drawn", False, **(custom | {"first": 0}))
assert (np.stack([*first, *again]) == np.stack(whole)).all() and whole[0].dtype == np.uint16
session = package.MammoganGenerator.from_pretrained(name)
"""
OPENED = {
    "monai-bundle": BUNDLE,
    "medigan": MEDIGAN,
    "huggingface": "import torch; sys.path.insert(0, folder); sys.modules.pop('modeling_mammogan', None); "
    "from modeling_mammogan import MammoganGenerator; "
    "session = MammoganGenerator.from_pretrained('.')",
    "torchscript": "import torch; session = torch.jit.load('model.ts')",
    "pt2": "import torch; session = torch.export.load('model.pt2').module()",
    "onnx": "import onnxruntime; session = onnxruntime.InferenceSession('model.onnx')",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: make_run(folder / kind, *settings, labels=BOTH if DENSITIES[0] in settings else ((0,), (1,)))
        for kind, settings in KINDS.items()
    }


@pytest.fixture(params=KINDS)
def run(request, runs):
    return runs[request.param]


def exported_with_inputs(run, form, out):
    """Export a run with inputs beside it; give what our own generator draws of them, by batch size."""
    exported = open_exported(run)
    export(exported, form, out)
    model, plain = exported.model, exported.plain()
    numbers = range(4, 4 + max(SIZES))
    labels_NF = model.labels(9, numbers, None)
    inputs = {
        "latents": latents(9, numbers, plain.latent_size),
        "labels": plain.one_hot(labels_NF),
        "noise": noise_numbers(9, numbers),
    }
    np.savez(out / "inputs.npz", **{name: inputs[name].numpy() for name in plain.inputs})
    return {
        size: model.images(inputs["latents"][:size], labels_NF[:size], 1.0, inputs["noise"][:size]).numpy()
        for size in SIZES
    }


SLOW = ("pt2", "onnx", "monai-bundle")
QUICK = tuple(name for name in OPENED if name not in SLOW)


@pytest.mark.parametrize(
    "forms",
    [
        tuple(name for name in OPENED if name not in SLOW),
        *(pytest.param((name,), marks=pytest.mark.slow) for name in SLOW),
    ],
    ids="-".join,
)
def test_an_export_draws_the_same_pixels_without_this_package(runs, forms, tmp_path):
    expected, arguments = {}, []
    for form, (kind, run) in itertools.product(forms, runs.items()):
        for package in (*MODEL_FORMATS[form].needs, *READERS.get(form, ())):
            pytest.importorskip(package)
        out = tmp_path / form / kind
        expected[out] = exported_with_inputs(run, form, out)
        arguments += [str(out), OPENED[form]]
    subprocess.run([sys.executable, "-c", ALONE, *arguments], cwd=tmp_path, check=True, timeout=PATIENCE_S)
    for out, by_size in expected.items():
        for size, images_NCHW in by_size.items():
            np.testing.assert_allclose(np.load(out / f"drawn-{size}.npy"), images_NCHW, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["huggingface", "safetensors"])
def test_this_package_opens_its_own_export_and_draws_the_pool(run, form, tmp_path):
    export(open_exported(run), form, tmp_path / "out")
    again, model = mammogan.load(tmp_path / "out"), mammogan.load(run)
    np.testing.assert_array_equal(again.draw(5, seed=2), model.draw(5, seed=2))
    assert again.card.startswith("---\nlicense: other") and again.terms == model.terms
    done("draw", tmp_path / "out", tmp_path / "drawn", "--images", "1")
    export(open_exported(tmp_path / "out"), "huggingface", tmp_path / "twice")
    assert (tmp_path / "twice" / "model.safetensors").read_bytes() == (
        run / "model" / "generator.safetensors"
    ).read_bytes()


def test_the_card_tells_what_is_known_and_what_is_not(run, tmp_path):
    said = done("export", run, tmp_path / "out")
    assert "README.md is its card" in said and "modeling_mammogan.py" in said
    card = (tmp_path / "out" / "README.md").read_text()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    height, width = config["size_px"]
    recipe = Run.load(run).recipes[0].dataset
    for text in (
        f"{height} x {width} pixels",
        "**Not for diagnosis,**",
        f"{recipe.title} (`{recipe.name}`), licence: {recipe.licence}",
        f"{sum(config['counts'])} images to learn from",
        "- images by view: CC 1, MLO ",
        "Unknown: the report of its run was not there",
        "Unknown: no artefact review was given",
        "Unknown: where it was exported, its run's shard set was no longer",
        f"> {recipe.terms}",
    ):
        assert text in card


def test_terms_that_forbid_it_stop_an_export_unless_somebody_permits(run, tmp_path):
    forbidden = (
        run / "model" / "TERMS.txt"
    ).read_text().rstrip() + " Models learned from these images must not be released.\n"
    copy = tmp_path / "model"
    copy.mkdir()
    for path in (run / "model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "TERMS.txt").write_text(forbidden)
    message = refused(ConfigError, "export", copy, tmp_path / "out")
    assert f"'{forbidden.rstrip()}'" in message and "--i-have-permission" in message
    assert not (tmp_path / "out").exists()
    done("export", copy, tmp_path / "out", "--i-have-permission", "The owner, 1 May")
    assert "as who exported it says: The owner, 1 May" in (tmp_path / "out" / "README.md").read_text()


def test_what_can_not_be_exported_is_refused(run, tmp_path, monkeypatch):
    assert "--format 'onx': there is no such format. Did you mean 'onnx'?" in refused(
        ConfigError, "export", run, tmp_path / "out", "--format", "onx"
    )
    assert "holds no model that can be read" in refused(DataError, "export", tmp_path, tmp_path / "out")
    monkeypatch.setattr("mammogan.export.model_formats.find_spec", lambda name: None)
    assert "--format 'onnx' needs the package 'onnx', which is not installed: pip install" in refused(
        ConfigError, "export", run, tmp_path / "out", "--format", "onnx"
    )
    monkeypatch.setattr("mammogan.export.exported_model.KINDS", ())
    assert "is a network of your own" in refused(ConfigError, "export", run, tmp_path / "out")


def test_every_format_is_named_in_the_commands_help():
    assert "export" in ENTRIES
    said = " ".join(done("export", "--help").replace("│", " ").split())
    for name in MODEL_FORMATS:
        assert name in said
