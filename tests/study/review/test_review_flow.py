"""A review as reviewers meet it: in their order, once each, taken back at will, and nothing lost or told."""

import json
import re

import pytest

from mammogan.errors import ConfigError, DataError
from mammogan.study.review.review_folder import load_review
from mammogan.study.review.review_service import ReviewService
from mammogan.study.review.review_site import make
from mammogan.study.review.verdicts import TABLES, verdicts
from mammogan.study.web.answer_store import JOURNAL, peek
from mammogan.study.web.event_journal import whole_lines
from tests.study.asgi import Browser
from tests.study.review.made_review import judge, make_review, state_of


@pytest.fixture
def folder(tmp_path):
    make_review(tmp_path / "review")
    return tmp_path / "review"


@pytest.fixture
def service(folder):
    opened = ReviewService(folder)
    yield opened
    opened.store.close()


@pytest.fixture
def browsers(service):
    """Give each reviewer's browser, the link opened."""
    site, found = make(service), []
    for number, token in enumerate(service.secret.reviewers, 1):
        browser = Browser(site)
        assert browser.get(f"as-{number}?token={token}").status == 200
        found.append(browser)
    return found


def test_a_whole_session(service, browsers):
    browser, series = browsers[0], service.plan.series[0]
    assert len(series) == 8 + 4  # all see the overlap, half of the other eight are the first reviewer's
    assert f"{len(series)} in all" in browser.get("as-1").text
    state = state_of(browser.get("look-1").text)
    for position in range(len(series)):
        assert (state["position"], state["total"]) == (position, len(series))
        kinds = ("seam", "checkerboard") if position % 3 == 0 else ()
        state = json.loads(judge(browser, 1, position, *kinds).text)
    assert (state["now"], state["next"]) == ("", "")
    page = browser.post("finish-1")
    assert "Thank you" in page.text
    assert "Thank you" in browser.get("look-1").text
    found = [v for v in verdicts(peek(service.folder, TABLES)) if v.reviewer == 0]
    assert [v.picture for v in found] == list(series)
    # Kinds are kept in the order of the taxonomy, whatever the order of fingers.
    assert {v.artefacts for v in found} == {(), ("checkerboard", "seam")}


def test_pictures_are_those_of_the_series_and_nobody_elses(service, browsers):
    state = state_of(browsers[0].get("look-1").text)
    numbers = {picture.key: number for number, picture in enumerate(service.image_store.pictures)}
    for name, position in (("now", 0), ("next", 1)):
        sent = browsers[0].get(state[name])
        assert sent.body == service.image_store.read(numbers[service.plan.series[0][position]])
        assert browsers[1].get(state[name]).status == 404
    assert browsers[0].get(f"p/{service.secret.picture(0, 2)}").status == 404
    assert browsers[0].get("p/x").status == 404


def test_nothing_tells_the_source(service, browsers):
    secrets = {picture.key for picture in service.image_store.pictures}
    secrets |= {picture.origin for picture in service.image_store.pictures}
    for position in range(4):
        for path in ("look-1", "as-1"):
            answer = browsers[0].get(path)
            said = answer.text + repr(answer.headers)
            assert not re.search(r"\breal\b|synth", said, re.IGNORECASE)
            assert not [secret for secret in secrets if secret in said]
        answer = judge(browsers[0], 1, position)
        assert not re.search("real|synth", answer.text, re.IGNORECASE)
        picture = browsers[0].get(state_of(browsers[0].get("look-1").text)["now"])
        assert {key for key, _ in picture.headers} == {key for key, _ in browsers[1].get("p/x").headers}
        assert len(picture.body) == service.image_store.bytes_each


def test_a_verdict_sent_twice_is_kept_once(service, browsers):
    first = judge(browsers[0], 1, 0, "seam")
    again = judge(browsers[0], 1, 0, "seam", rt_ms="9999")
    assert first.text == again.text
    assert len(whole_lines(service.folder / JOURNAL)[0]) == 1


def test_another_image_than_the_one_that_is_due_is_refused(service, browsers):
    judge(browsers[0], 1, 0)
    for position in (0, 2, 99, "x", ""):
        answer = judge(browsers[0], 1, position, "seam")
        assert answer.status == 409
        assert "This image is not due" in answer.text
    assert service.state(0)["position"] == 1


@pytest.mark.parametrize("said", ["", "nonsense", "none seam", "seam nonsense"])
def test_what_is_no_verdict_is_refused(service, browsers, said):
    answer = browsers[0].post("verdict-1", {"position": 0, "artefacts": said})
    assert answer.status == 400
    assert "Nothing was chosen" in answer.text
    assert service.state(0)["position"] == 0


def test_verdicts_can_be_taken_back_one_after_the_other_and_are_shown_again(service, browsers):
    browser = browsers[0]
    for position, kinds in enumerate([("seam",), (), ("other", "truncation")]):
        judge(browser, 1, position, *kinds)
    state = json.loads(browser.post("back-1", {"position": 2}).text)
    assert (state["position"], state["artefacts"], state["undone"]) == (2, ["truncation", "other"], 1)
    assert browser.post("back-1", {"position": 0}).status == 409
    for _ in range(2):  # the second is a browser's retry
        state = json.loads(browser.post("back-1", {"position": 1}).text)
    assert (state["position"], state["undone"]) == (1, 2)
    assert state["before"] and browser.get(state["before"]).status == 200
    judge(browser, 1, 1, "seam")
    found = verdicts(peek(service.folder, TABLES))
    assert [v.artefacts for v in found] == [("seam",), ("seam",)]
    assert browser.post("back-1", {"position": 5}).status == 409


def test_nothing_changes_once_the_session_has_ended(service, browsers):
    total = len(service.plan.series[0])
    early = browsers[0].post("finish-1")
    assert early.status == 409
    assert f"{total} images have no verdict yet" in early.text
    for position in range(total):
        judge(browsers[0], 1, position)
    browsers[0].post("finish-1")
    browsers[0].post("finish-1")
    for answer in (
        browsers[0].post("back-1", {"position": total - 1}),
        judge(browsers[0], 1, total - 1, "seam"),
    ):
        assert answer.status == 409
        assert "This session is over" in answer.text
    assert [e["kind"] for e in whole_lines(service.folder / JOURNAL)[0]].count("finished") == 1


def test_reviewers_have_each_their_own_pages(service, browsers):
    for path in ("as-2", "look-2", "as-3", "as-0", "admin"):
        assert browsers[0].get(path).status == 404
    assert judge(browsers[0], 2, 0).status == 404
    assert service.state(1)["position"] == 0
    assert browsers[0].get("").url.endswith("as-1")


def test_a_browser_with_two_links_asks_who_is_looking(service):
    shared = Browser(make(service))
    for number, token in enumerate(service.secret.reviewers, 1):
        shared.get(f"as-{number}?token={token}")
    assert "Who is looking?" in shared.get("").text
    judge(shared, 2, 0, "seam")
    assert (service.state(0)["position"], service.state(1)["position"]) == (0, 1)


def test_the_owner_sees_how_far_they_are_and_nothing_else(service, browsers):
    judge(browsers[0], 1, 0, "seam")
    owner = Browser(make(service))
    page = owner.get(f"?token={service.secret.admin}").text
    assert re.search(r"1, first reviewer</td><td>12</td><td>1</td><td>0</td>", page)
    assert "seam" not in page
    assert owner.get("look-1").status == 404


def test_strangers_stay_outside(service):
    stranger = Browser(make(service))
    for path in ("", "as-1", "look-1", "admin", "p/x"):
        assert stranger.get(path).status == 403


def test_logs_of_browsers_are_bounded(service, browsers):
    judge(browsers[0], 1, 0, rt_ms="1e9", max_zoom="3.456", wl_changes="-1", hidden_ms="<b>")
    row = peek(service.folder, TABLES).row("SELECT * FROM verdicts")
    assert [row[name] for name in ("rt_ms", "max_zoom", "wl_changes", "hidden_ms")] == ["", "3.46", "", ""]


def test_all_is_there_after_a_kill_whichever_copy_was_behind(folder):
    service = ReviewService(folder)
    for position in range(5):
        service.judge(0, {"position": str(position), "artefacts": "seam" if position % 2 else "none"})
    service.take_back(0, {"position": "4"})
    service.store.close()
    before = verdicts(peek(folder, TABLES))
    (folder / "answers.db").unlink()
    with (folder / JOURNAL).open("ab") as journal:
        journal.write(b'{"id": "torn')
    again = ReviewService(folder)
    assert verdicts(peek(folder, TABLES)) == before
    assert again.state(0)["position"] == 4
    again.store.close()


def test_a_folder_that_is_no_review_and_a_damaged_one_are_refused(folder, tmp_path):
    with pytest.raises(
        DataError, match=r"is no artefact review: it has no review.json. `mammogan review new`"
    ):
        ReviewService(tmp_path)
    path = folder / "review.json"
    text = path.read_text()
    for broken, told in (
        ("{", "review.json' is damaged"),
        ("[]", "Input should be an object"),
        (text.replace('"overlap": 8', '"overlap": "all"'), "'overlap': Input should be a valid integer"),
    ):
        path.write_text(broken)
        with pytest.raises(DataError, match=told):
            load_review(folder)
    path.write_text(text.replace('"seed": 1', '"seed": 2'))
    with pytest.raises(DataError, match=r"are not those that the review 'artefact-review-.*' was made with"):
        ReviewService(folder)


def test_two_processes_do_not_serve_one_review(service, folder):
    with pytest.raises(ConfigError, match="is open in another process"):
        ReviewService(folder)


def test_a_review_of_one_source_is_refused(tmp_path):
    from tests.study.made_study import pictures

    reals = [offer for offer in pictures(images_per_view=2) if offer[0].source == "real"]
    with pytest.raises(ConfigError, match="There is no synthetic image to review"):
        make_review(tmp_path / "one", reals)
