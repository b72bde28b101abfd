"""Who looks at what: balanced, shared by all as far as asked, in another order for each."""

from collections import Counter
from itertools import pairwise

import pytest

from mammogan.errors import ConfigError
from mammogan.study.review.review_plan import plan
from mammogan.study.review.review_settings import ReviewFile
from mammogan.study.web.image_store import Picture

VIEWS = ("CC", "MLO")


def offered(each=30):
    return [
        Picture(key=f"{source[0]}{view}{number:03d}", source=source, view=view)
        for source in ("real", "synthetic")
        for view in VIEWS
        for number in range(each)
    ]


def strata(keys):
    return Counter((key[0], key[1:-3]) for key in keys)


@pytest.mark.parametrize(("reviewers", "overlap"), [(1, 0), (2, 0), (2, 40), (3, 41), (2, 1000)])
def test_overlap_is_seen_by_all_and_every_other_image_by_one(reviewers, overlap):
    pictures = offered()
    found = plan(7, pictures, reviewers, overlap)
    seen = Counter(key for series in found.series for key in series)
    assert set(seen) == set(found.owners) == {picture.key for picture in pictures}
    assert len(found.shared) == min(overlap, len(pictures))
    assert all(count == (reviewers if key in found.shared else 1) for key, count in seen.items())
    assert all(key in found.series[owner] for key, owner in found.owners.items())


def test_sources_and_views_are_balanced_in_overlap_shares_and_ownership():
    found = plan(3, offered(), 2, 40)
    assert set(strata(found.shared).values()) == {10}
    for reviewer, series in enumerate(found.series):
        assert set(strata(set(series) - found.shared).values()) == {10}
        owned = [key for key, owner in found.owners.items() if owner == reviewer]
        assert set(strata(owned).values()) == {15}


def test_orders_are_shuffled_each_by_itself():
    found = plan(3, offered(), 2, 1000)
    assert found.series[0] != found.series[1]
    assert set(found.series[0]) == set(found.series[1])
    for series in found.series:
        runs = sum(one[0] != other[0] for one, other in pairwise(series))
        assert 40 < runs < 80  # of 119 neighbours about half change the source


def test_the_plan_follows_from_its_seed_and_from_nothing_else():
    pictures = offered()
    assert plan(1, pictures, 2, 20) == plan(1, pictures[::-1], 2, 20)
    assert plan(1, pictures, 2, 20).sha256 != plan(2, pictures, 2, 20).sha256


def test_kinds_of_artefacts_are_data():
    kinds = ReviewFile().artefact
    assert len(kinds) == 11
    assert [kind.key for kind in kinds[:9]] == list("123456789")
    assert "checkerboard" in {kind.name for kind in kinds}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key": "n"}, "key 'artefact.0.key' is 'n': the page uses it itself"),
        ({"key": "12"}, "key 'artefact.0.key' is '12'"),
        ({"name": "Two words"}, "key 'artefact.0.name' is 'Two words'"),
        ({"shape": "round"}, "unknown key 'artefact.0.shape'"),
    ],
)
def test_a_wrong_kind_is_refused_by_key(change, told):
    from mammogan.config.settings import validate

    kind = {"name": "one", "label": "One", "look": "As one.", "key": "1"}
    with pytest.raises(ConfigError) as error:
        validate(ReviewFile, {"artefact": [kind | change]}, "review.toml")
    assert f"review.toml: {told}" in str(error.value)


def test_two_kinds_must_be_told_apart():
    from mammogan.config.settings import validate

    kind = {"name": "one", "label": "One", "look": "As one.", "key": "1"}
    with pytest.raises(ConfigError, match="two kinds of artefact have the key '1'"):
        validate(ReviewFile, {"artefact": [kind, kind | {"name": "two", "label": "Two"}]}, "review.toml")
