"""The public Python API draws what the commands draw, and says what it can't."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys

import numpy as np
import pytest

import mammogan
from mammogan.data.synthetic.synthetic_pool import read_image
from mammogan.errors import ConfigError, DataError
from tests.cli.made import BOTH, DENSITIES, ONLY_CC, make_run, make_sampled_run

NAMES = {
    "mammogan": ["Model", "Projection", "__version__", "datasets", "load", "metrics"],
    "mammogan.datasets": ["Mixed", "Shards", "Synthetic", "webdataset_decoder"],
    "mammogan.metrics": [
        "SlicedWasserstein", "classifier_two_sample_auc", "dense_share", "frechet_distance", "gather",
        "image_moments", "kernel_distance", "ms_ssim", "precision_recall_density_coverage",
        "random_network_features", "self_similarity", "sliced_wasserstein_distance",
    ],
}  # fmt: skip
PARAMETERS = {
    "draw": ["n", "view", "seed", "first", "truncation", "labels", "as_iterator"],
    "pairs": ["n", "seed", "first", "truncation", "labels"],
    "interpolate": ["start", "end", "steps", "view", "seed", "truncation", "labels"],
    "project": ["image_HW", "view", "seed", "starts", "steps"],
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    return make_sampled_run(tmp_path_factory.mktemp("ended") / "run")


@pytest.fixture(scope="module")
def model(ended):
    return mammogan.load(ended)


@pytest.mark.parametrize("module", NAMES)
def test_public_names_stay(module):
    found = __import__(module, fromlist=["x"])
    assert sorted(found.__all__) == NAMES[module]
    for name in found.__all__:
        assert name == "__version__" or getattr(found, name).__doc__


def test_parameters_of_a_model_stay():
    assert list(inspect.signature(mammogan.load).parameters) == ["source", "device"]
    for name, expected in PARAMETERS.items():
        parameters = inspect.signature(getattr(mammogan.Model, name)).parameters
        assert list(parameters)[1:] == expected
    assert {"size_px", "labels", "seed", "card", "terms"} <= {*dir(mammogan.Model), "terms"}


def test_the_package_imports_nothing_heavy_until_it_is_asked():
    code = (
        "import mammogan, sys; print('torch' in sys.modules, 'numpy' in sys.modules, mammogan.load.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "load"]
    with pytest.raises(AttributeError, match="has no attribute 'lood'"):
        mammogan.lood  # noqa: B018


def test_drawn_arrays_are_the_pools_images(ended, model):
    for view in model.labels["view"]:
        drawn_NHW = model.draw(3, view=view, first=5)
        assert drawn_NHW.dtype == np.uint16 and drawn_NHW.shape == (3, *model.size_px)
        for image_HW, number in zip(drawn_NHW, range(5, 8), strict=True):
            pooled = read_image(ended / "samples" / "png" / f"{view.lower()}-{number:07d}.png")
            np.testing.assert_array_equal(image_HW, pooled)


def test_an_iterator_draws_the_same_one_after_the_other(model):
    drawn = model.draw(10_000_000, view="mlo", as_iterator=True)
    first = np.stack(list(itertools.islice(drawn, 3)))
    np.testing.assert_array_equal(first, model.draw(3, view="MLO"))
    assert model.draw(0).shape == (0, *model.size_px)


def test_pairs_are_the_views_of_one_latent(model):
    pairs_NVHW = model.pairs(2, seed=4)
    for place, view in enumerate(model.labels["view"]):
        np.testing.assert_array_equal(pairs_NVHW[:, place], model.draw(2, view=view, seed=4))


def test_an_interpolation_begins_and_ends_at_its_images(model):
    frames_THW = model.interpolate(2, 9, 5, view="CC")
    assert frames_THW.shape == (5, *model.size_px)
    np.testing.assert_array_equal(frames_THW[0], model.draw(1, view="CC", first=2)[0])
    still = model.interpolate(2, 2, 3, view="CC")
    np.testing.assert_array_equal(still[0], still[-1])
    steps_T = np.abs(np.diff(frames_THW.astype(int), axis=0)).mean(axis=(1, 2))
    assert (steps_T > 0).all()


def test_a_projection_of_what_it_drew_comes_near(model):
    image_HW = model.draw(1, view="CC", first=3)[0]
    near = model.project(image_HW, view="CC", starts=2, steps=20)
    start = model.project(image_HW, view="CC", starts=2, steps=1)
    assert near.error < start.error and near.image_HW.shape == model.size_px
    assert near.labels["view"] == "CC"
    floats = model.project(image_HW / 65535, view="CC", starts=1, steps=1)
    assert floats.error == model.project(image_HW, view="CC", starts=1, steps=1).error


def test_labels_are_asked_for_by_name(tmp_path):
    model = mammogan.load(make_run(tmp_path / "run", *DENSITIES, labels=BOTH))
    assert set(model.labels) == {"view", "density"}
    one, other = (model.draw(2, view="MLO", labels={"density": density}) for density in "bc")
    assert (one != other).any()
    for labels, message in (
        ({"density": "e"}, "was not taught the density 'e'"),
        ({"vendor": "x"}, "was not taught the label 'vendor'"),
        ({"view": "CC"}, "the view, 'CC', is given by itself"),
    ):
        with pytest.raises(ConfigError, match=message):
            model.draw(1, labels=labels)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"n": -1}, "n '-1' and first '0' count images"),
        ({"n": 1, "view": "ML"}, "view 'ML': there is no such view"),
        ({"n": 1, "truncation": 1.5}, "truncation '1.5' is not from 0"),
    ],
)
def test_what_can_not_be_drawn_is_refused(model, words, message):
    with pytest.raises(ConfigError, match=message):
        model.draw(**words)


def test_a_model_of_one_view_has_no_pairs(tmp_path):
    model = mammogan.load(make_run(tmp_path / "run", *DENSITIES, labels=ONLY_CC))
    with pytest.raises(ConfigError, match="Pairs are of CC and MLO"):
        model.pairs(1)
    with pytest.raises(ConfigError, match="was not taught the view MLO"):
        model.draw(1, view="MLO")


def test_an_image_of_another_size_or_type_is_refused(model):
    height, width = model.size_px
    with pytest.raises(DataError, match=f"this model draws {height} x {width}"):
        model.project(np.zeros((3, 4), np.uint16))
    for image in (np.zeros(model.size_px, np.uint8), np.full(model.size_px, 2.0)):
        with pytest.raises(DataError, match="give uint16, or floats from 0 to 1"):
            model.project(image)


def test_the_card_is_that_which_came_with_it_or_says_what_is_known(ended, model):
    assert f"{model.size_px[0]} x {model.size_px[1]} pixels" in model.card
    assert f"mammogan.load('{ended}').draw(4)" in model.card and model.terms.strip() in model.card
    assert repr(model).startswith("Model('tour', ")
    (ended / "model" / "README.md").write_text("# A card\n")
    try:
        assert model.card == "# A card\n"
    finally:
        (ended / "model" / "README.md").unlink()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/place", "There is no model 'no/such/place'"),
        ("models:/nobody/1", "'models:/nobody/1' can't be had from MLflow"),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_what_could_be(source, message, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DataError, match=message):
        mammogan.load(source)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no model of MammoGAN: there is no 'generator.json' in it"):
        mammogan.load(tmp_path)


def test_a_folder_around_a_model_is_opened(ended, model, tmp_path):
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "inner").symlink_to(ended / "model")
    again = mammogan.load(str(tmp_path / "snapshot" / "inner"), device="cpu")
    np.testing.assert_array_equal(again.draw(2), model.draw(2))
