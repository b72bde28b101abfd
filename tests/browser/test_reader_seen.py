"""The reader study as people meet it: a real Chromium, real touches, a server that is killed."""

import os
import re

import pytest

from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.web.answer_store import peek
from tests.browser.gestures import Fingers, middle
from tests.study.made_study import make_study
from tests.study.served import Served

pytestmark = pytest.mark.browser
CONFIRM = "#answer [type=submit]"
LEFT, RIGHT = ".pane[data-side=left] canvas", ".pane[data-side=right] canvas"


SHOTS = os.environ.get("MAMMOGAN_SCREENSHOTS", "")
"""A folder for pictures of the pages, for a person to look at."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a study, once for this module; its first participants are those of all its tests."""
    folder = tmp_path_factory.mktemp("seen") / "study"
    make_study(folder, {"study": {"title": "Which one is synthetic?"}}, size=(160, 128))
    return folder


@pytest.fixture(scope="module")
def server(made):
    with Served(made) as started:
        yield started


def come(page, server):
    """Open the link, agree, and go through the questions to the first pair."""
    page.goto(f"{server.url}?token={server.tokens['reader']}")
    page.check("[name=agree]")
    page.click("text=Begin")
    page.check("[name=role][value=radiologist]", force=True)
    page.click("text=Go on")
    for name in ("sees_dark", "sees_light"):
        page.check(f"[name={name}][value=yes]", force=True)
    page.click("text=Go on")
    shown(page)


def shown(page):
    """Wait until a pair is shown; give its trial."""
    page.wait_for_selector("#pair [data-choose=left]:enabled")
    return int(page.get_attribute("#pair", "data-trial"))


def next_after(page, trial):
    """Wait for what follows a trial: the number of the next, or None for a page without a pair."""
    page.wait_for_selector(f"#pair:not([data-trial='{trial}']) [data-choose=left]:enabled, main.sheet h1")
    return shown(page) if page.query_selector("#pair") else None


def begin_scored(page):
    page.get_by_role("button", name="Show the first pair").click()
    assert shown(page) == 1


def answers_of(folder, number):
    snapshot = peek(folder, TABLES)
    rows = snapshot.rows(
        "SELECT a.* FROM answers a JOIN participants p USING (participant) WHERE p.number = ? ORDER BY trial",
        number,
    )
    return [dict(row) for row in rows]


def last_number(folder):
    return peek(folder, TABLES).value("SELECT max(number) FROM participants")


def zoom(page, side):
    text = page.inner_text(f".pane[data-side={side}] .mark")
    return float(text.removesuffix("×")) if text else 1.0


def switch(page, button, on):
    """Tap a button that stays down, and wait for it: the click of a tap comes a little later."""
    page.tap(button)
    page.wait_for_selector(f"{button}[aria-pressed={on}]")


def test_a_run_by_touch_with_pinches_pans_and_double_taps(tablet, server):
    page = tablet()
    come(page, server)
    number, fingers = last_number(server.folder), Fingers(page)
    trial, sides = shown(page), {}
    while trial is not None:
        fingers.pinch(middle(page, LEFT), 80, 240)
        assert 2 < zoom(page, "left") < 4
        assert zoom(page, "right") == 1  # each has its own until they are linked
        fingers.drag(middle(page, LEFT), tuple(c - 60 for c in middle(page, LEFT)))
        if trial == 3:
            fingers.tap(middle(page, LEFT), times=2)
            assert zoom(page, "left") == 1
            switch(page, "#link", "true")
            fingers.pinch(middle(page, RIGHT), 100, 150, drift=(30, 20))
            assert zoom(page, "left") == zoom(page, "right") > 1.2
            switch(page, "#link", "false")
        if trial == 4:
            switch(page, "#drag", "true")
            fingers.drag(middle(page, RIGHT), tuple(c + 40 for c in middle(page, RIGHT)))
            switch(page, "#drag", "false")
        sides[trial] = ("left", "right")[trial % 2]
        page.tap(f"[data-choose={sides[trial]}]")
        if trial % 3 == 0:
            page.locator("[name=confidence][value='4']").tap(force=True)
        page.tap(CONFIRM)
        trial = next_after(page, trial)
        if trial is None and "Now it counts" in page.content():
            begin_scored(page)
            trial = 1
    assert "Thank you" in page.content()
    rows = answers_of(server.folder, number)
    assert {row["trial"]: row["side"] for row in rows} == sides
    assert len(rows) == 12
    for row in rows:
        assert 2 < float(row["max_zoom_l"]) < 4
        assert row["device"] == "touch iOS"
        assert row["dpr"] == "2" and re.fullmatch(r"\d+x\d+", row["viewport"])
        assert 0 < float(row["rt_ms"]) < 60_000
        assert row["confidence"] == ("4" if row["trial"] % 3 == 0 else "")
    assert [row["wl_changes"] for row in rows if row["trial"] == 4] == ["1"]
    assert {row["wl_changes"] for row in rows if row["trial"] != 4} == {"0"}
    assert float(next(row for row in rows if row["trial"] == 3)["max_zoom_r"]) > 1.2


def test_a_run_by_keyboard_alone(tablet, server):
    page = tablet("Desktop Chrome")
    come(page, server)
    number, trial = last_number(server.folder), shown(page)
    while trial is not None:
        for key in ("+", "+", "-", "]", "ArrowRight", "ArrowLeft", "ArrowRight", "2"):
            page.keyboard.press(key)
        assert page.get_attribute("[data-choose=right]", "aria-pressed") == "true"
        page.keyboard.press("Enter")
        trial = next_after(page, trial)
        if trial is None and "Now it counts" in page.content():
            page.keyboard.press("Enter")
            trial = shown(page)
    rows = answers_of(server.folder, number)
    assert [(row["trial"], row["side"], row["confidence"]) for row in rows] == [
        (trial, "right", "2") for trial in (-2, -1, *range(1, 11))
    ]
    assert {row["max_zoom_l"] for row in rows} == {row["max_zoom_r"] for row in rows} == {"1.56"}
    assert {row["device"] for row in rows} == {"mouse Windows"}


def test_a_server_killed_in_the_middle_loses_nothing_and_the_page_goes_on_by_itself(tablet, server):
    page = tablet()
    come(page, server)
    number, trial = last_number(server.folder), shown(page)
    for _ in range(5):
        page.tap("[data-choose=left]")
        if trial == 1:
            server.kill()
            page.tap(CONFIRM)
            page.wait_for_selector("text=No connection")
            server.start()
        else:
            page.tap(CONFIRM)
        trial = next_after(page, trial)
        if trial is None:
            begin_scored(page)
            trial = 1
    assert trial == 4
    server.kill()
    server.start()
    page.reload()
    assert shown(page) == 4
    page.goto(server.url)  # as after a crash of the browser: the cookie is kept for a month
    assert shown(page) == 4
    assert [row["trial"] for row in answers_of(server.folder, number)] == [-2, -1, 1, 2, 3]


def test_two_at_once_go_on_each_at_his_own(tablet, server):
    pages = [tablet(), tablet("Galaxy Tab S4 landscape")]
    numbers = []
    for page in pages:
        come(page, server)
        numbers.append(last_number(server.folder))
    for step in range(2):
        for page, side in zip(pages, ("left", "right"), strict=True):
            page.tap(f"[data-choose={side}]")
            page.tap(CONFIRM)
            next_after(page, step - 2)
    for number, side in zip(numbers, ("left", "right"), strict=True):
        assert [row["side"] for row in answers_of(server.folder, number)] == [side] * 2
    assert numbers[1] == numbers[0] + 1


def test_back_shows_the_current_pair_and_a_double_tap_on_confirm_is_one_answer(tablet, server):
    page = tablet()
    come(page, server)
    number = last_number(server.folder)
    page.tap("[data-choose=left]")
    page.evaluate(
        "() => { const f = document.getElementById('answer'); f.requestSubmit(); f.requestSubmit(); }"
    )
    assert next_after(page, -2) == -1
    page.tap("[data-choose=left]")
    page.tap(CONFIRM)
    page.wait_for_selector("text=Now it counts")
    begin_scored(page)
    for _ in range(3):
        page.go_back()
        assert shown(page) == 1
    assert [row["trial"] for row in answers_of(server.folder, number)] == [-2, -1]


def test_another_tab_that_is_further_on_is_told_apart(tablet, server):
    page = tablet()
    come(page, server)
    number = last_number(server.folder)
    other = page.context.new_page()
    other.goto(server.url)
    shown(other)
    other.tap("[data-choose=right]")
    other.tap(CONFIRM)
    assert next_after(other, -2) == -1
    page.tap("[data-choose=left]")
    page.tap(CONFIRM)  # the same pair, another answer
    assert next_after(page, -2) == -1
    assert [(row["trial"], row["side"]) for row in answers_of(server.folder, number)] == [(-2, "right")]


def test_window_level_wheel_and_reset(tablet, server):
    page = tablet("Desktop Chrome")
    come(page, server)
    before = page.locator(RIGHT).screenshot()
    page.click("#tools summary")
    page.fill("#brightness", "60")
    assert page.locator(RIGHT).screenshot() != before  # both panes, though the sliders are one
    page.click("#reset")
    page.click("#tools summary")
    x, y = middle(page, LEFT)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -30)
    page.keyboard.up("Control")
    assert zoom(page, "left") > 1.5
    assert page.evaluate("visualViewport.scale") == 1  # the page itself stays
    page.click("#home")
    page.mouse.move(0, 0)
    assert zoom(page, "left") == 1
    assert page.locator(RIGHT).screenshot() == before


def test_a_touch_that_the_system_takes_away_leaves_no_finger_behind(tablet, server):
    page = tablet()
    come(page, server)
    fingers, (x, y) = Fingers(page), middle(page, LEFT)
    fingers.cancel([(x - 40, y), (x + 40, y)])
    fingers.drag((x, y), (x + 50, y))
    assert zoom(page, "left") == 1
    fingers.pinch((x, y), 60, 120)
    assert 1.5 < zoom(page, "left") < 2.6


def test_a_kiosk_asks_who_is_there_and_then_makes_room(tablet, tmp_path):
    made = tmp_path / "study"
    make_study(made)
    with Served(made, "--kiosk") as server:
        page = tablet()
        page.clock.install()
        come(page, server)
        page.clock.fast_forward("04:01")
        page.wait_for_selector("dialog[open]")
        page.tap("text=I am still here")
        page.wait_for_selector("dialog:not([open])", state="attached")  # a tap's click comes a little later
        page.clock.run_for(1000)
        page.clock.fast_forward("01:00")
        assert page.query_selector("dialog[open]") is None
        page.clock.fast_forward("03:20")
        page.wait_for_selector("dialog[open]")
        page.clock.fast_forward("00:50")
        page.wait_for_selector("text=I agree to take part")


def test_pages_are_whole_under_a_prefix(tablet, tmp_path):
    made = tmp_path / "study"
    make_study(made)
    with Served(made, "--root-path", "/node/gpu7/8501") as server:
        page = tablet()
        page.goto(f"{server.url}node/gpu7/8501/?token={server.tokens['reader']}")
        page.check("[name=agree]")
        page.click("text=Begin")
        page.wait_for_selector("[name=role]", state="attached")
        assert page.url == f"{server.url}node/gpu7/8501/questions"
        assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "14px"


def test_everything_of_a_pair_is_in_view_at_every_size(tablet, server):
    page = tablet()
    come(page, server)
    page.click("[data-choose=left]")
    for width, height in ((1194, 834), (834, 1194), (768, 1024), (1024, 768), (1440, 820), (1280, 600)):
        page.set_viewport_size({"width": width, "height": height})
        root = "document.documentElement"
        assert page.evaluate(f"[{root}.scrollWidth, {root}.scrollHeight]") == [width, height]
        boxes = {name: page.locator(name).bounding_box() for name in (LEFT, RIGHT, CONFIRM, "#tools")}
        for name, box in boxes.items():
            assert box["x"] >= 0 and box["y"] >= 0, name
            assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= height, name
        assert boxes[LEFT]["width"] == pytest.approx(boxes[RIGHT]["width"], abs=1)
        assert boxes[LEFT]["height"] > height / 2
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/study-{width}x{height}.png")
        for name in ("[data-choose=left]", CONFIRM, "#link"):
            assert page.locator(name).bounding_box()["height"] >= 44, name


def test_the_room_can_be_dark_or_light_whatever_the_device_says(tablet, server):
    page = tablet(color_scheme="light")
    page.goto(f"{server.url}?token={server.tokens['reader']}")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.tap("[data-theme-switch]")
    dark = page.evaluate(ground)
    page.reload()
    assert light == "rgb(243, 245, 246)" and dark == page.evaluate(ground) == "rgb(10, 13, 16)"


def test_what_is_shown_is_the_picture_grey_by_grey(tablet, made, server):
    from mammogan.study.reader.study_service import StudyService

    page = tablet("Desktop Chrome")
    come(page, server)
    page.wait_for_selector("#pair[data-shown]")
    painted = page.evaluate(
        """async () => {
          const {bytes} = await import(new URL("static/viewer.js", location).href);
          const main = document.getElementById("pair").dataset;
          return [...await bytes(main.left, main.height * main.width)];
        }"""
    )
    server.stop()
    service = StudyService(made)
    with service.store.transaction() as transaction:
        who = transaction.value("SELECT participant FROM participants ORDER BY number DESC")
    pair = service.state(who).plan.pairs[0]
    records = {picture.key: number for number, picture in enumerate(service.image_store.pictures)}
    assert bytes(painted) == service.image_store.read(records[pair.shown("left")])
    service.store.close()
    server.start()
