"""Who sees what: even, matched, unpredictable, and the same whenever it is asked for."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from scipy.stats import binom

from mammogan.errors import ConfigError
from mammogan.study.reader.reading_plan import Plans, plans
from tests.study.made_study import pictures

PICTURES = [picture for picture, _ in pictures(images_per_view=13)]
BY_KEY = {picture.key: picture for picture in PICTURES}


def some(count, seed=1, of=PICTURES, scored=5, practice=1):
    return list(islice(plans(seed, of, scored, practice), count))


def test_a_plan_is_a_function_of_seed_pictures_and_number_alone():
    first = some(20)
    assert some(20, of=PICTURES[::-1]) == first
    assert Plans(plans(1, PICTURES, 5, 1))[19] == first[19]
    assert len({plan.sha256 for plan in (*first, *some(20, seed=2))}) == 40


def test_the_hash_of_a_plan_never_changes():
    assert some(1)[0].sha256 == "5e80b96e64479ec4fb17b93a2e3ccaa81b16cb4fe9bd595eb098ad753dde7222"


@pytest.mark.parametrize("laterality", ["", "LR", "LLR"])
def test_a_pair_is_of_one_view_and_no_picture_comes_twice(laterality):
    of = [picture for picture, _ in pictures(images_per_view=24, laterality=laterality)]
    known = {picture.key: picture for picture in of}
    for plan in some(30, of=of):
        trials = [pair.trial for pair in plan.pairs]
        assert trials == [-2, -1, *range(1, 11)]
        assert Counter(pair.view for pair in plan.pairs if pair.trial > 0) == {"CC": 5, "MLO": 5}
        assert Counter(pair.view for pair in plan.pairs if pair.trial < 0) == {"CC": 1, "MLO": 1}
        keys = [key for pair in plan.pairs for key in (pair.real, pair.synthetic)]
        assert len(set(keys)) == 24
        for pair in plan.pairs:
            real, synthetic = known[pair.real], known[pair.synthetic]
            assert (real.source, synthetic.source) == ("real", "synthetic")
            assert pair.view == real.view == synthetic.view
            assert real.laterality == synthetic.laterality
            assert {pair.shown("left"), pair.shown("right")} == {pair.real, pair.synthetic}
            assert pair.shown(pair.synthetic_side) == pair.synthetic


def test_every_picture_is_shown_as_often_as_any_other_to_one():
    shown, last = Counter(), 0
    for number, plan in enumerate(some(60)):
        shown.update(key for pair in plan.pairs if pair.trial > 0 for key in (pair.real, pair.synthetic))
        for source in ("real", "synthetic"):
            for view in ("CC", "MLO"):
                counts = [shown[p.key] for p in PICTURES if (p.source, p.view) == (source, view)]
                assert max(counts) - min(counts) <= 1
        last = number
    assert last == 59


def test_sides_are_fair_coins_independent_of_each_other():
    sides = np.array([[p.synthetic_side == "left" for p in plan.pairs if p.trial > 0] for plan in some(400)])
    low, high = binom.ppf([0.0005, 0.9995], sides.size, 0.5)
    assert low <= sides.sum() <= high
    lefts = np.bincount(sides.sum(axis=1), minlength=11)
    expected = 400 * binom.pmf(np.arange(11), 10, 0.5)
    # Balanced sides would put all 400 at five; coins spread like Bin(10, 1/2).
    assert ((lefts - expected)[2:9] ** 2 / expected[2:9]).sum() < 24
    assert abs(np.corrcoef(sides[:, :-1].ravel(), sides[:, 1:].ravel())[0, 1]) < 0.06


def test_the_order_of_views_tells_nothing():
    firsts = Counter(next(p.view for p in plan.pairs if p.trial == 1) for plan in some(400))
    assert 150 < firsts["CC"] < 250


def test_too_few_pictures_are_told_before_anybody_is_asked():
    of = [picture for picture, _ in pictures(images_per_view=5)]
    with pytest.raises(ConfigError, match=r"sees 6 pairs of view 'CC'.*there are 5 real and 5 fitting"):
        some(1, of=of)
    assert some(1, of=of, practice=0)
    of = [p for p in PICTURES if not (p.source == "real" and p.view == "MLO")]
    with pytest.raises(ConfigError, match="no real picture of view 'MLO'"):
        some(1, of=of)
    of = [picture for picture, _ in pictures(images_per_view=13, laterality="L" * 9 + "R" * 4)]
    with pytest.raises(ConfigError, match="there are 13 real and 4 fitting"):
        some(1, of=of)
