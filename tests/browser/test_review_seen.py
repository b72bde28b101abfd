"""The artefact review in a real Chromium: by touch, by keys, and with a server that is killed."""

import os

import pytest

from mammogan.study.review.verdicts import TABLES, verdicts
from mammogan.study.web.answer_store import peek
from tests.browser.gestures import Fingers, middle
from tests.study.made_study import pictures
from tests.study.review.made_review import make_review
from tests.study.served import Served

pytestmark = pytest.mark.browser
SIZE = (160, 128)
SHOTS = os.environ.get("MAMMOGAN_SCREENSHOTS", "")
"""A folder for pictures of the pages, for a person to look at."""


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "review"
    make_review(folder, pictures(images_per_view=2, size=SIZE), overlap=4)
    with Served(folder, command="review") as started:
        yield started


def come(page, server, number=1):
    """Open a reviewer's link and begin."""
    page.goto(f"{server.url}as-{number}?token={server.tokens['reviewers'][number - 1]}")
    page.click("a.primary")
    shown(page, 0)


def shown(page, position):
    page.wait_for_selector(f"#look[data-shown='{position}'] #keep:enabled")


def said(folder, reviewer=0):
    return [each.artefacts for each in verdicts(peek(folder, TABLES)) if each.reviewer == reviewer]


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/review-{name}.png")


def test_a_session_by_touch(tablet, server):
    page = tablet("iPad Pro 11")
    come(page, server)
    fingers, canvas = Fingers(page), middle(page, ".pane canvas")
    shot(page, "upright")
    fingers.pinch(canvas, 80, 240)
    assert 2 < float(page.inner_text(".pane .mark").removesuffix("×")) < 4
    fingers.tap(canvas, times=2)
    page.wait_for_selector(".pane .mark:empty", state="attached")
    page.tap("#keep")  # nothing is wrong
    shown(page, 1)
    page.tap("[data-kind=seam]")
    page.tap("[data-kind=other]")
    page.tap("[data-kind=other]")  # changed his mind
    page.tap("[data-kind=truncation]")
    assert page.inner_text("#question") == "2 kinds of artefacts"
    shot(page, "chosen")
    page.tap("#keep")
    shown(page, 2)
    assert page.locator(".kind[aria-pressed=true]").count() == 0
    page.tap("#undo")
    shown(page, 1)
    assert page.locator(".kind[aria-pressed=true]").count() == 2  # what had been said is shown
    page.tap("[data-kind=truncation]")
    page.tap("#keep")
    for position in range(2, 6):
        shown(page, position)
        page.tap("#keep")
    page.wait_for_selector("#end:not([hidden])")
    shot(page, "end")
    page.tap("#end [type=submit]")
    page.wait_for_selector("text=Thank you")
    assert said(server.folder) == [(), ("seam",), (), (), (), ()]
    rows = peek(server.folder, TABLES).rows("SELECT * FROM verdicts ORDER BY position")
    assert float(rows[0]["max_zoom"]) > 2
    assert all(float(row["rt_ms"]) > 0 for row in rows)


def test_a_session_by_keys_with_the_server_killed_in_between(tablet, server):
    page = tablet("Desktop Chrome", viewport={"width": 1366, "height": 768}, color_scheme="dark")
    come(page, server)
    shot(page, "laptop-dark")
    page.keyboard.press("n")
    shown(page, 1)
    page.keyboard.press("y")
    assert "Choose what kind" in page.inner_text("#alert")
    page.keyboard.press("Enter")
    assert "Press N if nothing is wrong" in page.inner_text("#alert")
    page.keyboard.press("1")
    page.keyboard.press("9")
    page.keyboard.press("Enter")
    shown(page, 2)
    page.keyboard.press("t")
    page.keyboard.press("n")  # takes the choice away, it does not say that all is well
    assert page.locator(".kind[aria-pressed=true]").count() == 0
    page.keyboard.press("+")
    assert page.inner_text(".pane .mark") == "1.3×"
    server.kill()
    page.keyboard.press("n")
    page.wait_for_selector("text=No connection")
    server.start()
    shown(page, 3)
    page.keyboard.press("ArrowLeft")
    shown(page, 2)
    page.keyboard.press("o")
    page.keyboard.press("ArrowRight")
    shown(page, 3)
    server.kill()
    server.start()
    page.reload()
    shown(page, 3)
    assert page.inner_text("#count") == "4 of 6"
    for position in range(3, 6):
        shown(page, position)
        page.keyboard.press("n")
    page.wait_for_selector("#end:not([hidden])")
    page.keyboard.press("u")
    shown(page, 5)
    page.keyboard.press("n")
    page.wait_for_selector("#end:not([hidden])")
    page.click("#end [type=submit]")
    page.wait_for_selector("text=Thank you")
    assert said(server.folder) == [(), ("checkerboard", "marker-ghost"), ("other",), (), (), ()]


def test_two_reviewers_at_once_and_a_link_that_goes_on_elsewhere(tablet, server):
    first, second = tablet("iPad Pro 11"), tablet("iPad Pro 11 landscape")
    come(first, server)
    come(second, server, 2)
    shot(second, "landscape")
    for position in range(2):
        first.tap("#keep")
        second.tap("[data-kind=seam]")
        second.tap("#keep")
        shown(first, position + 1)
        shown(second, position + 1)
    assert said(server.folder, 0) == [()] * 2
    assert said(server.folder, 1) == [("seam",)] * 2
    elsewhere = tablet("Desktop Chrome")
    elsewhere.goto(f"{server.url}as-1?token={server.tokens['reviewers'][0]}")
    elsewhere.click("text=Go on with image 3")
    shown(elsewhere, 2)
    elsewhere.keyboard.press("n")
    shown(elsewhere, 3)
    first.tap("#keep")  # a page that is behind is brought to where the reviewer is
    shown(first, 3)
    assert len(said(server.folder, 0)) == 3


def test_buttons_can_be_hit_and_nothing_is_cut_off(tablet, server):
    sizes = {
        "iPad Pro 11": {},
        "iPad Pro 11 landscape": {},
        "Pixel 7": {},
        "Desktop Chrome": {"viewport": {"width": 1366, "height": 768}},
        "Desktop Firefox": {"viewport": {"width": 1920, "height": 1080}},
    }
    for device, more in sizes.items():
        page = tablet(device, **more)
        come(page, server)
        shot(page, device.replace(" ", "-").lower())
        screen, touch = page.viewport_size, more == {}
        for button in page.query_selector_all("#verdict button"):
            box = button.bounding_box()
            assert box["y"] + box["height"] <= screen["height"] + 1, (device, button.inner_text())
            assert box["x"] + box["width"] <= screen["width"] + 1, (device, button.inner_text())
            assert box["height"] >= (44 if touch else 33), (device, button.inner_text())
        pane = page.locator(".pane").bounding_box()
        assert pane["height"] * pane["width"] > 0.35 * screen["height"] * screen["width"], device
