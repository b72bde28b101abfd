"""Without looking at the pictures nobody can tell which are synthetic: not by anything else that arrives."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from mammogan.config.pixel_settings import Pixels
from mammogan.data.breast_mask import find_breast
from mammogan.steps.study_images import outline_by
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.reading_plan import Plan
from mammogan.study.reader.study_folder import create
from mammogan.study.reader.study_settings import StudyFile
from mammogan.study.web.answer_store import peek
from mammogan.study.web.image_store import ImageStore, Picture, Window, fill
from tests.study.made_study import VIEWS, breast
from tests.study.people import Person
from tests.study.served import Served

SIZE = (96, 80)
PER_VIEW = 40
PEOPLE = 14
MARGIN_SD = 3.5
"""Standard errors of a chance AUC that a fair set may be off: once in 4,000 runs."""


outline = outline_by(Pixels())


def whole(image_HW):
    """Plant a leak: leave the background as it came."""
    return np.ones(image_HW.shape, dtype=bool)


def levels(source, number):
    """Draw the same breasts for both sources; what a generator draws has some noise in its background."""
    image_HW = breast(number, SIZE)
    rng = np.random.default_rng(number)
    haze_HW = rng.integers(0, 600, SIZE).astype(np.uint16)
    return np.where(image_HW == 0, haze_HW, image_HW) if source == "synthetic" else image_HW


def make(folder, outline):
    folder.mkdir()
    offered = []
    for source in ("real", "synthetic"):
        for view in VIEWS:
            for _ in range(PER_VIEW):
                number = len(offered)
                picture = Picture(key=f"{source[0]}{number:03d}", source=source, view=view)
                offered.append((picture, partial(levels, source, number)))
    index = fill(folder, offered, outline, Window(), 3)
    create(folder, StudyFile(), index, "model", "test", filtered=False)
    return folder


def arrived(folder):
    """Let people take part; give all that arrived with each picture, which it was, and what it was."""
    with Served(folder) as server, ThreadPoolExecutor(2) as threads:
        people = list(
            threads.map(lambda seed: Person(server.url, server.tokens["reader"], seed).run(), range(PEOPLE))
        )
    plans = {}
    for row in peek(folder, TABLES).rows("SELECT plan, participant FROM participants"):
        sides = peek(folder, TABLES).rows("SELECT trial, side FROM answers WHERE participant = ?", row[1])
        plans[tuple(sorted((r["trial"], r["side"]) for r in sides))] = Plan.model_validate_json(row["plan"])
    found = []
    for person in people:
        plan = plans[tuple(sorted(person.sides.items()))]
        for trial, side, name, body, headers, spent in person.seen:
            pair = plan.at(trial)
            found.append((name, body, headers, spent, pair.shown(side), side == pair.synthetic_side))
    return found


def features(name, body, headers, spent):
    """Measure what a client has without looking: address, headers, size, time, borders and background."""
    text = "".join(f"{key}: {value}\n" for key, value in headers.items())
    grey_HW = np.frombuffer(body, np.uint8)[: math.prod(SIZE)].reshape(SIZE).astype(float)
    away_HW = grey_HW[:, -SIZE[1] // 5 :]
    borders = [grey_HW[0], grey_HW[-1], grey_HW[:, -1]]
    return [
        len(name), sum(map(ord, name)), len(text), sum(map(ord, text)), len(headers.keys()), len(body), spent,
        away_HW.var(), away_HW.mean(), *(row.mean() for row in borders), *(row.var() for row in borders),
        grey_HW[grey_HW > 0].min(),
    ]  # fmt: skip


def auc(rows, labels, groups):
    """Cross-validate a classifier; pictures that it learns from are others than those that it is tried on."""
    forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0)
    scores = cross_val_predict(forest, rows, labels, groups=groups, cv=GroupKFold(6), method="predict_proba")
    return roc_auc_score(labels, scores[:, 1])


def judged(found, change=lambda row, label: row):
    rows = [change(features(*each[:4]), each[5]) for each in found]
    labels, groups = [each[5] for each in found], [each[4] for each in found]
    return auc(np.array(rows), np.array(labels), groups)


def chance():
    """Give the standard error of an AUC of one half, by images and not by times that they were shown."""
    return math.sqrt((1 / (2 * PER_VIEW) + 1 / (2 * PER_VIEW)) / 12)


@pytest.fixture(scope="module")
def fair(tmp_path_factory):
    return arrived(make(tmp_path_factory.mktemp("leaks") / "fair", outline))


def test_sizes_headers_times_borders_and_background_tell_nothing(fair):
    assert len(fair) == PEOPLE * 24
    found = judged(fair)
    assert found < 0.5 + MARGIN_SD * chance(), found
    assert {len(body) for _, body, *_ in fair} == {math.prod(SIZE)}
    assert len({tuple(sorted(headers.items())) for _, _, headers, *_ in fair}) == 1
    assert len({len(name) for name, *_ in fair}) == 1
    assert len({name for name, *_ in fair}) == len(fair)  # nobody's address is another's
    names = {key.lower() for _, _, headers, *_ in fair for key in headers}
    assert not names & {"etag", "last-modified", "date", "server", "content-encoding", "set-cookie"}


def test_the_background_is_exactly_black_in_both_arms(fair):
    for _, body, *_ in fair:
        grey_HW = np.frombuffer(body, np.uint8).reshape(SIZE)
        assert not grey_HW[~outline(grey_HW.astype(np.uint16) * 257)].any()
        assert not grey_HW[:, -8:].any() and not grey_HW[0].any() and not grey_HW[-1].any()


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(lambda row, label: [*row[:5], row[5] + 7 * label, *row[6:]], id="size"),
        pytest.param(lambda row, label: [*row[:2], row[2] + 1 * label, *row[3:]], id="header"),
        pytest.param(lambda row, label: [*row[:6], row[6] + 0.05 * label, *row[7:]], id="time"),
        pytest.param(lambda row, label: [*row[:7], row[7] + 0.1 * label, *row[8:]], id="background"),
    ],
)
def test_the_classifier_would_find_a_leak(fair, leak):
    assert judged(fair, leak) > 0.5 + MARGIN_SD * chance()


@pytest.mark.parametrize("seed", range(3))
def test_the_rim_of_both_arms_is_cut_alike(seed):
    real_HW, synthetic_HW = levels("real", seed), levels("synthetic", seed)
    generous_HW = find_breast(synthetic_HW, 0.02, 0.01)
    rim_HW = generous_HW & (real_HW == 0)
    assert synthetic_HW[rim_HW].any()  # the outline that shards are cut by lets haze through
    cut_HW = [np.where(outline(image_HW), image_HW, 0) for image_HW in (real_HW, synthetic_HW)]
    assert (cut_HW[0] == cut_HW[1]).all()


def test_a_background_left_as_the_generator_drew_it_is_found(tmp_path, fair):
    make(tmp_path / "leaky", whole)
    image_store, kept = ImageStore(tmp_path / "leaky"), {each[4]: each for each in fair}
    records = {picture.key: image_store.read(number) for number, picture in enumerate(image_store.pictures)}
    leaky = [(name, records[key], *rest, key, label) for key, (name, _, *rest, _, label) in kept.items()]
    assert judged(leaky) > 0.95
