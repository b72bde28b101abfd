"""The report's part on quality: whatever was measured stands on the page, in words and pictures."""

import re
from dataclasses import asdict

import numpy as np
import pytest

from mammogan.metrics.comparison.measure import Measure
from mammogan.report import quality_section
from mammogan.report.interval_plot import format_number, interval_plot, verdict
from mammogan.report.measure_labels import HEADLINES, MOMENTS, MeasureLabel, load_labels
from mammogan.report.moments_plots import histograms, pairs
from mammogan.report.quality_section import Quality, groups
from mammogan.report.report_page import page
from mammogan.report.spectrum_plots import spectra
from tests.report.test_report_page import Elements, findings, greys

ANISOTROPY = {
    "octaves": ["2-4px", "4-8px"],
    "anisotropy": {"real": [1.0, 1.1], "synthetic": [7.5, None], "train": [1.0, 1.0]},
}
PNG = b"\x89PNG\r\n\x1a\n"


def measure(group="joint", name="c2st_auc", of="breast_moments", view="CC", value=0.6, **more):
    null = {"mean": 0.5, "low": 0.4, "high": 0.55}
    nothing = dict.fromkeys(("matched", "real", "train", "ideal"))
    ci = {"mean": 0.6, "low": 0.5, "high": 0.7}
    facts = {"group": group, "name": name, "of": of, "view": view, "value": value, "ci": ci, "null": null}
    return facts | nothing | {"note": ""} | more


def curves(**more):
    lists = ("real", "synthetic", "train", "ratio", "ratio_low", "ratio_high", "null_low", "null_high")
    facts = {"cycles_px": [0.1, 0.2, 0.3], "cycles_mm": None, "band_px": [0.1, 0.2], "side_px": 8}
    return facts | {name: [0.0, -1.0, -2.0] for name in lists} | more


def quality(**more):
    random = np.random.default_rng(0)
    labels = load_labels()
    columns = [name for name in labels.quantities if "_" in name or name in ("clipped", "beta")]
    measures = [measure(group, name, of, view) for view in ("CC", "MLO") for group, name, of in HEADLINES] + [
        measure("distribution", name, "all_sd") for name in labels.measures["distribution"]
    ]
    counts = {"images": 40, "patients": 20, "flat": 1}
    pair = {"view": "CC", "number": 3, "other": 9, "correlation": 0.91, "ratio": 0.4, "flipped": True}
    tree = {
        "measures": measures,
        "spectra": {"CC": curves(), "MLO": curves(cycles_mm=[0.5, 1.0, 1.5], **ANISOTROPY)},
        "sets": {view: dict.fromkeys(("synthetic", "real", "train"), counts) for view in ("CC", "MLO")},
        "held_out": "test",
        "patients": "known",
        "spacing_mm": 0.2,
        "skipped": ["MLO: there are 1 synthetic images, and it takes 2"],
    } | more
    sources = [(source, view) for source in ("real", "synthetic") for view in ("CC", "MLO")]
    images = {key: {name: random.normal(size=40) for name in columns} for key in sources}
    image_HW = greys(1)[0]
    return Quality(tree, images, [(pair, image_HW, image_HW)], [(pair, image_HW, image_HW)])


@pytest.fixture(scope="module")
def text():
    return page(findings(quality=quality()))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"value": 0.5}, "like"),
        ({"value": 0.56}, "unlike"),
        ({"value": 0.9, "matched": 0.5}, "like"),
        ({"value": 0.5, "matched": 0.9}, "unlike"),
        ({"value": 0.9, "ideal": 1.0}, "closer"),
        ({"value": 0.2, "ideal": 1.0}, "unlike"),
        ({"value": 0.9, "null": None}, ""),
        ({"value": 0.9, "null": {"mean": 0.5, "low": None, "high": None}}, ""),
        ({"value": None}, ""),
    ],
)
def test_a_verdict_compares_as_few_images_with_reals_beside_reals(facts, said):
    assert verdict(measure(**facts)) == said


def test_an_interval_plot_puts_the_value_where_it_lies_and_says_it_in_words():
    drawn = interval_plot(measure(value=0.7))
    at = {float(x) for x in re.findall(r"M([\d.]+) [\d.]+l", drawn)}
    assert at == {172.0}  # the largest number of all, at the right margin
    assert 'aria-label="value 0.7, 95 % interval 0.5 to 0.7, reals beside reals 0.4 to 0.55"' in drawn
    assert interval_plot(measure(value=None, ci=None, null=None)) == ""


@pytest.mark.parametrize(
    ("number", "said"), [(None, "unknown"), (0.12345, "0.123"), (12345.6, "12,346"), (0, "0")]
)
def test_numbers_have_the_digits_that_count(number, said):
    assert format_number(number) == said


def test_every_measure_stands_on_the_page_under_its_name(text):
    Elements(text)
    labels = load_labels()
    for group, name, _ in HEADLINES:
        assert labels.measures[group][name].name in text.replace("&#39;", "'")
    for group in {group for group, _, _ in HEADLINES} - {"distribution"}:
        assert labels.groups[group]["title"] in text
    assert "Not measured: MLO: there are 1 synthetic images" in text
    assert "correlation 0.910" in text and "ratio 0.40, mirrored" in text
    assert "40 held-out real\n(test split, 20 patients)" in text


def test_the_page_with_measures_needs_nothing_but_itself_and_is_the_same_again(text):
    sources = [attributes["src"] for _, attributes in Elements(text).found if "src" in attributes]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"https?:|url\((?!#)|@import|<script", without_namespaces)
    assert page(findings(quality=quality())) == text


def test_curves_of_before_have_a_panel_less_than_those_with_anisotropy():
    with_it, without = (spectra(curves(**more)) for more in (ANISOTROPY, {}))
    assert with_it.count('<g id="axes_') == 3 and without.count('<g id="axes_') == 2


def test_unknown_patients_are_said_and_a_measure_without_a_label_keeps_its_name():
    told = quality(patients="unknown", measures=[measure("joint", "new_thing", "odd", value=0.31)])
    text = page(findings(quality=told))
    assert "intervals are too narrow" in text
    assert "new_thing" in text and "odd" in text and "0.31" in text


def test_a_pair_whose_numbers_nobody_could_compute_is_shown_without_them():
    image_HW = np.zeros((10, 8), np.uint16)
    same = quality()
    (pair, *_), *_ = same.closest
    bare = Quality(
        same.tree, same.images, [(pair | {"ratio": None, "correlation": None}, image_HW, image_HW)]
    )
    html = next(section for section in groups(bare) if section.anchor == "copies").html
    assert "correlation &ndash;" in html and "ratio &ndash;" in html


def test_a_pair_that_is_mirrored_is_shown_so():
    image_HW = np.zeros((10, 8), np.uint16)
    image_HW[:, 0] = 0xFFFF
    same = quality()
    (pair, *_), *_ = same.closest
    turned = Quality(same.tree, same.images, [(pair, image_HW, image_HW[:, ::-1])])
    as_is = Quality(same.tree, same.images, [(pair | {"flipped": False}, image_HW, image_HW)])
    galleries = [next(s for s in groups(each) if s.anchor == "copies").html for each in (turned, as_is)]
    assert galleries[0].replace(", mirrored", "") == galleries[1]


def test_a_moments_plot_shows_colours_of_both_and_survives_images_without_shape():
    random = np.random.default_rng(1)
    real_NM, fake_NM = random.normal(size=(2, 60, 5))
    fake_NM[0] = np.nan
    drawn = pairs(real_NM, fake_NM, MOMENTS)
    assert drawn.startswith(PNG)
    assert drawn == pairs(real_NM, fake_NM[1:], MOMENTS)
    assert drawn != pairs(fake_NM, real_NM, MOMENTS)
    assert pairs(real_NM[:0], fake_NM[:0], MOMENTS).startswith(PNG)
    constant = np.ones(9)
    assert histograms([("same", constant, constant), ("none", constant[:0], constant[:0])]).startswith("<svg")


class Sets:
    """Two kinds of images, as little as a measure needs."""

    view = "CC"

    def measure(self, name, value, group, of, **more):
        return Measure(group, name, of, self.view, value, **more)


def sharpness(sets):
    """Give a measure that no text has heard of, as a family of comparisons does."""
    yield sets.measure("sharpness", 0.77, "sharp", "features")


def test_a_new_measure_stands_on_the_page_with_what_its_label_says(monkeypatch):
    labels = load_labels()
    labels.measures["sharp"] = {"sharpness": MeasureLabel("edge sharpness", "Mean gradient by the reals'.")}
    monkeypatch.setattr(quality_section, "load_labels", lambda: labels)
    given = quality(measures=[asdict(found) for found in sharpness(Sets())])
    text = page(findings(quality=given))
    Elements(text)
    assert '<h2 id="sharp">sharp</h2>' in text and '<a href="#sharp">sharp</a>' in text
    assert "edge sharpness" in text and "Mean gradient by the reals&#39;." in text and "<b>0.77</b>" in text
    labels.groups["sharp"] = {"title": "Is it sharp?", "shows": "Edges.", "not_shown": "Anything else."}
    assert '<h2 id="sharp">Is it sharp?</h2>' in page(findings(quality=given))


def test_a_measure_of_a_group_without_any_text_is_not_left_out():
    given = quality(measures=[asdict(found) for found in sharpness(Sets())])
    text = page(findings(quality=given))
    assert '<h2 id="sharp">sharp</h2>' in text and "sharpness" in text


def test_every_text_is_of_a_measure_or_group_that_has_a_title():
    labels = load_labels()
    assert set(labels.measures) - {"distribution"} == set(labels.groups)
    for group in labels.groups.values():
        assert set(group) == {"title", "shows", "not_shown"}
