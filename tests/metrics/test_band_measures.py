"""The report's measures of stripes, grain, blur and a veil, from what is measured of an image."""

import numpy as np
import pytest

from mammogan.config.scoring_settings import Assessment
from mammogan.metrics.comparison.band_measures import bands, curves
from mammogan.metrics.comparison.view_sets import Looks, ViewSets
from mammogan.metrics.image_features import look
from tests.metrics.noise import pictures

SIZE = (64, 52)
COUNT = 24


def looked(images):
    rows = [look(image, oblique=False) for image in images]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@pytest.fixture(scope="module")
def reals():
    return {"real": looked(pictures(COUNT, 0, *SIZE)), "train": looked(pictures(COUNT, 1, *SIZE))}


def compared(reals, images):
    groups = np.arange(COUNT)
    sources = {name: Looks(arrays, groups // 2) for name, arrays in reals.items()}
    sources["synthetic"] = Looks(looked(images), np.arange(len(images)))
    return ViewSets("CC", sources, Assessment(bootstraps=200, splits=40), 1)


def measured(reals, images):
    return {(m.name, m.of): m for m in bands(compared(reals, images))}


def inside(images, change):
    return np.where(images > 0, np.clip(images + change, 1, 65535), 0).astype(np.uint16)


def differs(measure):
    """Say whether a measure lies where halves of the reals don't, and its interval has no 1."""
    outside = not measure.null.low <= measure.matched <= measure.null.high
    return outside and not measure.ci.low <= 1 <= measure.ci.high


def test_a_set_beside_itself_is_1_and_has_its_background(reals):
    found = measured(reals, pictures(COUNT, 0, *SIZE))
    assert list(found) == [
        ("band_power", "2-4px"),
        ("anisotropy", "2-4px"),
        ("tissue_contrast", ""),
        ("background", ""),
    ]
    for measure in list(found.values())[:3]:
        assert measure.value == measure.ideal == 1 and measure.ci.low < 1 < measure.ci.high
        assert measure.null.low < 1 < measure.null.high and 0.5 < measure.train < 2
        assert (measure.group, measure.images, measure.patients, measure.note) == ("bands", 24, 12, "")
    assert found["background", ""].value == found["background", ""].real == 0


def test_fair_images_are_like_halves_of_the_reals(reals):
    found = measured(reals, pictures(COUNT, 5, *SIZE))
    assert not any(differs(measure) for measure in list(found.values())[:3])


def test_a_planted_fault_is_seen_by_its_measure(reals):
    fair = pictures(COUNT, 5, *SIZE)
    wave = 3000 * np.cos(2 * np.pi * 0.35 * np.arange(SIZE[1]))
    striped = measured(reals, inside(fair, wave))
    assert striped["anisotropy", "2-4px"].ci.low > 3 and differs(striped["anisotropy", "2-4px"])
    grainy = measured(reals, inside(fair, np.random.default_rng(0).normal(0, 2500, fair.shape)))
    assert grainy["band_power", "2-4px"].ci.low > 2 and differs(grainy["band_power", "2-4px"])
    assert not differs(grainy["anisotropy", "2-4px"])
    veiled = measured(reals, (12 * 257 + 0.5 * fair).astype(np.uint16))
    assert veiled["background", ""].value == pytest.approx(12, abs=0.1)
    assert veiled["background", ""].ci.low > veiled["background", ""].null.high == 0
    assert veiled["tissue_contrast", ""].value == pytest.approx(0.5, abs=0.15)
    assert veiled["anisotropy", "2-4px"].value == pytest.approx(1, abs=0.3)


def test_the_order_of_images_does_not_matter(reals):
    images = pictures(COUNT, 5, *SIZE)
    one, other = (measured(reals, each) for each in (images, images[::-1]))
    for key, measure in one.items():
        assert other[key].value == pytest.approx(measure.value, rel=1e-9)


def test_images_without_a_region_are_left_out_and_counted(reals):
    fair = pictures(COUNT, 5, *SIZE)
    some = measured(reals, np.concatenate([fair, np.zeros((3, *SIZE), np.uint16)]))
    assert some["anisotropy", "2-4px"].note == "no region of 8 pixels fits into the breast of 3 images"
    assert some["anisotropy", "2-4px"].value == pytest.approx(
        measured(reals, fair)["anisotropy", "2-4px"].value
    )
    none = measured(reals, np.zeros((3, *SIZE), np.uint16))
    assert np.isnan(none["band_power", "2-4px"].value) and none["band_power", "2-4px"].matched is None
    assert none["background", ""].value == 0


def test_the_figure_has_each_sources_anisotropy_by_octave(reals):
    drawn = curves(compared(reals, pictures(COUNT, 5, *SIZE)))
    assert drawn["octaves"] == ["2-4px"] and set(drawn["anisotropy"]) == {"real", "synthetic", "train"}
    assert 0.7 < drawn["anisotropy"]["real"][0] < 1.5


def test_a_lifted_background_is_no_breast_to_the_power():
    image = pictures(1, 3, 128, 104)[0]
    clean, veiled = (look(each, oblique=False) for each in (image, image + np.uint16(10 * 257)))
    assert veiled["band-power"] == pytest.approx(clean["band-power"], rel=0.1)
    assert veiled["power"] == pytest.approx(clean["power"], rel=0.1)
    assert veiled["background"] == pytest.approx(10) and clean["background"] == 0
