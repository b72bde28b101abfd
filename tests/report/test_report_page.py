"""The report: one page that needs nothing else, whatever it is given."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from matplotlib.image import imread

from mammogan.pages.html_helpers import Section
from mammogan.pages.image_sheet import GAP_PX, WHITE, png, sheet
from mammogan.report.report_page import REPORT_SECTIONS, Findings, contact, page
from tests.steps import scored

TICK = {
    "kimg": 1.0,
    "critic/wasserstein": -2.0,
    "critic/penalty": 0.1,
    "critic/label_real": 0.7,
    "generator/label": 0.6,
}

NOWHERE = {"value": None, "null": None, "off": None}


def greys(count, value=0x8000, shape=(10, 8)):
    return [np.full(shape, value + i, dtype=np.uint16) for i in range(count)]


def score(kimg, swd, checkpoint="abc"):
    return scored.score(int(1000 * kimg), swd, stage=0, kimg=kimg, checkpoint=checkpoint)


def findings(**changes):
    scores = changes.pop("scores", [[score(1, 30.0, "first"), score(2, 20.0, "second")]])
    facts = {
        "title": "MammoGAN: tour",
        "facts": [("run", "0123456789ab")],
        "views": ("CC", "MLO"),
        "real": [greys(3), greys(2)],
        "synthetic": [greys(4), greys(4)],
        "losses": [("5x4", [TICK, TICK | {"kimg": 2.0}]), ("10x8", [TICK | {"kimg": 3.0}])],
        "scores": scores,
        "choice": scored.choice(scores[-1][-1], margin=10.0, second=1000),
    }
    return Findings(**facts | changes)


class Elements(html.parser.HTMLParser):
    """Every element's name and attributes, in order; and that what is opened is closed."""

    VOID = ("meta", "img", "path", "use", "rect", "br")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text():
    return page(findings())


def test_a_sheet_lays_images_out_row_by_row_with_white_between():
    paper = sheet(greys(3, 100), columns=2, enlarge=2)
    assert paper.shape == (2 * 20 + GAP_PX, 2 * 16 + GAP_PX)
    assert paper.dtype == np.uint16
    assert np.unique(paper[:20, :16]) == 100
    assert np.unique(paper[:20, 16 + GAP_PX :]) == 101
    assert np.unique(paper[20 + GAP_PX :, :16]) == 102
    assert np.unique(paper[20 : 20 + GAP_PX]) == WHITE
    assert np.unique(paper[20 + GAP_PX :, 16:]) == WHITE


def test_enlarging_repeats_pixels():
    image = np.array([[1, 2], [3, 4]], dtype=np.uint16)
    np.testing.assert_array_equal(sheet([image], 1, 2)[:2, :], [[1, 1, 2, 2], [1, 1, 2, 2]])


def test_a_png_keeps_the_upper_eight_bits():
    image = np.array([[0, 0x80FF], [0xFFFF, 0x0100]], dtype=np.uint16)
    shown = np.round(imread(io.BytesIO(png(image)))[..., 0] * 255)
    np.testing.assert_array_equal(shown, [[0, 0x80], [0xFF, 0x01]])


def test_small_images_are_enlarged_for_the_page_and_large_ones_are_not():
    assert imread(io.BytesIO(contact(greys(8)))).shape[:2] == (170, 8 * 136 + 7 * GAP_PX)
    assert imread(io.BytesIO(contact(greys(1, shape=(300, 240))))).shape[0] == 300


def test_the_page_needs_nothing_but_itself(text):
    elements = Elements(text).found
    sources = [attributes["src"] for _, attributes in elements if "src" in attributes]
    assert len(sources) == 6
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    links = [v for _, attributes in elements for k, v in attributes.items() if k.endswith("href")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in elements}
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"https?:|url\((?!#)|@import", without_namespaces)


def test_the_same_findings_give_the_same_page(text):
    assert page(findings()) == text


def test_the_page_shows_as_many_of_both_kinds_of_each_view_and_then_the_pool(text):
    pictures = [base64.b64decode(found) for found in re.findall(r'base64,([^"]+)"', text)]
    pairs = [contact(images) for images in (greys(3), greys(4)[:3], greys(2), greys(4)[:2])]
    assert pictures == [*pairs, contact(greys(4), 16), contact(greys(4), 16)]


def test_the_chosen_checkpoint_is_marked_and_scores_are_told(text):
    (chosen,) = re.findall(r'<tr class="chosen">(.*?)</tr>', text, re.DOTALL)
    assert "<td>20.0</td>" in chosen
    assert "64 against 64 images" in text
    told = re.sub(r"\s+", " ", text)
    assert "15.0 above the floor" in told
    assert "the next is 10.0 further off" in told
    for kind in ("19.0 / 5.0", "21.0 / 5.0", "30.0 / 5.0"):  # CC, MLO, breast: mean and floor
        assert f"<td>{kind}</td>" in chosen


def test_what_comes_from_a_user_is_escaped():
    text = page(
        findings(
            title="<script>alert(1)</script>",
            facts=[("<b>", "a & b")],
            conditions=["<i>not for clinical use</i>"],
            losses=[("<u>", [TICK])],
        )
    )
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "a &amp; b" in text
    assert "&lt;i&gt;not for" in text


def test_a_run_of_one_checkpoint_without_journals_has_a_page():
    scores = [[], [score(1, 30.0)]]
    text = page(findings(scores=scores, losses=[], facts=[], conditions=["cite us"]))
    Elements(text)
    assert text.count('class="chosen"') == 1
    assert '<p class="note">cite us</p>' in text


def test_a_view_without_reals_and_ties_are_told():
    tied = scored.choice(score(2, 20.0, "second"), ties=[1000, 2000])
    text = page(findings(real=[greys(1), []], losses=[("5x4", []), ("10x8", [])], choice=tied))
    Elements(text)
    assert text.count("There are none.") == 1
    assert text.count("<img") == 5
    told = re.sub(r"\s+", " ", text)
    assert "Whoever is within 2 errors of the lowest ties with it" in told
    assert "it ties with 1 other, and the latest was taken" in told
    assert "further off" not in told


def test_what_the_distance_does_not_see_stands_beside_it_with_errors_nulls_and_notices():
    known = {"above_floor_error": 4.5, "measures": {"coverage": scored.measure(0.25), "anisotropy": NOWHERE}}
    power = scored.measure(0.5) | {"octaves": {"2-4px": 1.25, "4-8px": None}}
    one = scored.score(1000, 30.0, measures={"band-power": power}, checkpoint="first")
    other = scored.score(2000, 20.0, checkpoint="second", **known)
    chosen = scored.choice(
        other, measures=["swd", "coverage"], reason="by swd 2 tie", notices=["1 of 2 can't be chosen: <b>"]
    )
    text = page(findings(scores=[[one, other]], choice=chosen))
    Elements(text)
    told = re.sub(r"\s+", " ", text)
    assert "told apart by swd, then by coverage; swd is" in told
    assert "above the floor: by swd 2 tie." in told
    assert "can&#39;t be chosen: &lt;b&gt;" in told
    assert "<td>4.50</td>" in told
    assert "<td>(1.00)</td>" in told  # of a score that does not know its error
    assert "<td>0.25 &plusmn; 0.02 / 0.05</td>" in told
    assert "<td>2-4px &times; 1.25</td>" in told
    assert told.count("<td>&ndash;</td>") == 4


def test_numbers_that_are_not_finite_do_not_stop_the_page():
    broken = TICK | {"critic/penalty": float("nan"), "critic/wasserstein": float("inf")}
    Elements(page(findings(losses=[("5x4", [broken])], synthetic=[greys(200), greys(1)])))


def test_a_row_of_the_table_is_all_that_a_new_section_takes(monkeypatch):
    def carbon(findings):
        yield Section("carbon", "Carbon & heat", f"<p>{len(findings.losses)} stages</p>", "Carbon")

    monkeypatch.setitem(REPORT_SECTIONS, "carbon", carbon)
    text = page(findings())
    Elements(text)
    assert '<a href="#carbon">Carbon</a></nav>' in text
    assert '<h2 id="carbon">Carbon &amp; heat</h2>\n<p>2 stages</p>' in text
    assert text.index('id="training"') < text.index('id="carbon"')


def test_a_section_that_leaves_the_table_leaves_the_page(monkeypatch):
    monkeypatch.delitem(REPORT_SECTIONS, "pool")
    text = page(findings())
    assert "The pool" not in text and 'id="training"' in text


def test_the_top_links_to_the_sections_that_are_there(text):
    links = re.findall(r'<a href="#(\w+)">', text[text.index("<nav>") : text.index("</nav>")])
    assert links == ["sheets", "checkpoints", "training"]
    assert all(f'<h2 id="{link}">' in text for link in links)
