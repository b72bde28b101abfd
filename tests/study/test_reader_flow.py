"""What a participant meets, page by page: nothing twice, no way back, and no way to know."""

import re

import pytest

from mammogan.errors import ConfigError, DataError
from mammogan.study.reader.answer_tables import TABLES
from mammogan.study.reader.reading_plan import SIDES
from mammogan.study.reader.study_folder import CODES, SECRET, load_secret, load_study
from mammogan.study.reader.study_secret import normal_code
from mammogan.study.reader.study_service import StudyService
from mammogan.study.reader.study_site import make
from mammogan.study.web.answer_store import peek
from mammogan.study.web.image_store import PIXELS
from tests.study.asgi import Browser
from tests.study.made_study import answer, enter, finish, form_of, make_study, names_of, trial_of

CLOSED = {"enrolment": {"codes": 3}}


@pytest.fixture
def folder(tmp_path):
    make_study(tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def service(folder):
    opened = StudyService(folder)
    yield opened
    opened.store.close()


@pytest.fixture
def browser(service):
    return Browser(make(service))


def begin(browser, service, code=""):
    return enter(browser, service.secret.reader, code).text


def rows(folder, sql="SELECT participant, trial, side, confidence FROM answers ORDER BY trial"):
    return [tuple(row) for row in peek(folder, TABLES).rows(sql)]


def test_a_whole_run_keeps_one_row_for_every_pair(browser, service, folder):
    text = begin(browser, service)
    assert trial_of(text) == -2
    assert "Practice 1 of 2" in text
    text = answer(browser, answer(browser, text).text).text
    assert "Now it counts" in text
    text = browser.post("ready").text
    assert "1 of 10" in text
    text = finish(browser, text, lambda trial: SIDES[trial % 2])
    code = re.search(r'class="code">([\w-]+)<', text)[1]
    assert code == service.secret.erasure_code(rows(folder)[0][0])
    assert [(trial, side) for _, trial, side, _ in rows(folder)] == [
        (-2, "left"), (-1, "left"), *((n, SIDES[n % 2]) for n in range(1, 11)),
    ]  # fmt: skip
    about = rows(folder, "SELECT role, board, breast, years, volume, sees_dark, sees_light FROM participants")
    assert about == [("radiologist", "yes", "no", "12", "", "yes", "unsure")]


def test_every_address_shows_the_page_that_is_due(browser, service):
    pages = ("", "consent", "questions", "display", "ready", "pair", "thanks")

    def all_show(what):
        assert all(what in browser.get(url).text for url in pages)

    browser.get(f"?token={service.secret.reader}")
    all_show("I agree to take part")
    assert browser.get("pair", follow=False)["location"] == "consent"
    begin(browser, service)
    all_show('data-trial="-2"')
    text = answer(browser, answer(browser, browser.get().text).text).text
    all_show("Now it counts")
    text = finish(browser, browser.post("ready").text)
    assert "Thank you" in text
    all_show("Thank you")


def test_a_step_sent_twice_or_too_early_changes_nothing(browser, service, folder):
    browser.get(f"?token={service.secret.reader}")
    for url in ("questions", "display", "ready"):
        assert "I agree to take part" in browser.post(url, {"role": "other"}).text
    begin(browser, service)
    browser.post("questions", {"role": "other"})
    browser.post("ready")
    assert rows(folder, "SELECT role, ready FROM participants") == [("radiologist", None)]


def test_an_answer_sent_again_is_kept_once_and_any_other_is_refused(browser, service, folder):
    text = begin(browser, service)
    for _ in range(3):  # a browser that did not hear the answer sends the same again
        assert trial_of(answer(browser, text, "right", confidence="4").text) == -1
    kept = [(-2, "right", "4")]
    assert [row[1:] for row in rows(folder)] == kept
    for trial, side, confidence in [(-2, "left", "4"), (-2, "right", "5"), (1, "left", ""), (10, "left", "")]:
        refused = browser.post("answer", {"trial": trial, "side": side, "confidence": confidence})
        assert refused.status == 409
        assert "This pair is over" in refused.text
    for fields in ({}, {"trial": "-1"}, {"trial": "-1", "side": "both"}, {"trial": "x", "side": "left"}):
        assert browser.post("answer", fields).status == 400
    assert [row[1:] for row in rows(folder)] == kept


def test_a_wrong_log_loses_no_answer(browser, service, folder):
    text = begin(browser, service)
    wrong = {"rt_ms": "NaN", "max_zoom_l": "-1", "max_zoom_r": "1e9", "dpr": "2.50", "hidden_ms": "9" * 30}
    answer(
        browser, text, **wrong, wl_changes="3", device="touch <b>iOS</b>", viewport="10x20", confidence="9"
    )
    columns = "rt_ms, max_zoom_l, max_zoom_r, dpr, hidden_ms, wl_changes, device, viewport, confidence"
    assert rows(folder, f"SELECT {columns} FROM answers") == [
        ("", "", "", "2.5", "", "3", "touch biOSb", "10x20", "")
    ]


def test_consent_is_needed_and_a_form_sent_twice_enrols_one(browser, service, folder):
    consent = browser.get(f"?token={service.secret.reader}")
    assert browser.post("consent", form_of(consent.text)).status == 400
    fields = {**form_of(consent.text), "agree": "yes"}
    browser.post("consent", fields, follow=False)
    lost = Browser(browser.site)  # the first answer never came, cookie and all
    lost.get(f"?token={service.secret.reader}")
    lost.post("consent", fields)
    assert rows(folder, "SELECT number FROM participants") == [(0,)]
    event = service.store.events[0]
    assert event["consent_sha256"] == service.study.consent_sha256
    assert event["consent_version"] == "1"
    assert event["plan_hash"] == rows(folder, "SELECT plan_hash FROM participants")[0][0]


def test_two_participants_at_once_have_plans_and_answers_of_their_own(browser, service, folder):
    other = Browser(browser.site)
    one, two = begin(browser, service), begin(other, service)
    assert set(names_of(one)).isdisjoint(names_of(two))
    assert browser.get(names_of(two)[0]).status == 404
    one, two = answer(browser, one, "left").text, answer(other, two, "right").text
    finish(other, two, lambda trial: "right")
    finish(browser, one)
    by_person = {}
    for who, _, side, _ in rows(folder):
        by_person.setdefault(who, []).append(side)
    assert sorted(by_person.values()) == [["left"] * 12, ["right"] * 12]


def test_a_server_that_starts_again_goes_on_at_the_first_unanswered_pair(browser, service, folder):
    text = answer(browser, begin(browser, service)).text
    shown = names_of(text)
    service.store.close()
    again = StudyService(folder)
    browser.site = make(again)
    text = browser.get("pair").text
    assert trial_of(text) == -1
    assert names_of(text) == shown
    assert again.state(rows(folder)[0][0]).plan.sha256 == again._plans[0].sha256
    again.store.close()
    service.store = again.store
    again.store.close = lambda: None


def test_a_forged_or_foreign_session_is_nobody(browser, service):
    begin(browser, service)
    name = next(key for key in browser.cookies if key.startswith("reading"))
    who = browser.cookies[name].partition(".")[0]
    for forged in (who, f"{who}.", f"{who}.{'A' * 43}", ".", ""):
        browser.cookies[name] = forged
        assert "I agree to take part" in browser.get("pair").text


def test_pictures_are_of_the_current_and_the_next_pair_only(browser, service):
    text = begin(browser, service)
    names = names_of(text)
    assert len(names) == len(set(names)) == 4
    pictures = [browser.get(name) for name in names]
    plan = service.state(rows(service.folder, "SELECT participant FROM participants")[0][0]).plan
    keys = [pair.shown(side) for pair in plan.pairs[:2] for side in SIDES]
    records = {picture.key: number for number, picture in enumerate(service.image_store.pictures)}
    assert [picture.body for picture in pictures] == [service.image_store.read(records[key]) for key in keys]
    text = answer(browser, text).text
    assert names_of(text)[:2] == names[2:]
    assert [browser.get(name).status for name in names] == [404, 404, 200, 200]
    assert browser.get("p/none").status == 404


def test_pages_and_addresses_do_not_depend_on_which_picture_is_which(browser, service):
    text = begin(browser, service)
    plan = service.state(rows(service.folder, "SELECT participant FROM participants")[0][0]).plan

    def turned(pair):
        other = SIDES[pair.synthetic_side == "left"]
        return pair.model_copy(update={"synthetic_side": other})

    other = plan.model_copy(update={"pairs": tuple(map(turned, plan.pairs))})
    with service.store.transaction() as transaction:
        transaction._connection.execute("UPDATE participants SET plan = ?", (other.model_dump_json(),))
    assert browser.get("pair").text == text


def test_neither_markup_nor_addresses_name_a_source(browser, service):
    text, seen = begin(browser, service), []
    while "Thank you" not in text:
        markup = "".join(re.findall(r"<[^>]*>", text))
        seen.append(re.sub(r'content="[^"]*"', "", markup))
        text = browser.post("ready").text if trial_of(text) is None else answer(browser, text).text
    assert len(seen) == 13
    assert not re.search("real|synth|fake", "".join(seen), re.IGNORECASE)


def test_who_withdraws_leaves_nothing_but_a_count(browser, service, folder):
    text = finish(browser, begin(browser, service))
    who = rows(folder)[0][0]
    code = re.search(r'class="code">([\w-]+)<', text)[1]
    assert "not known" in browser.post("withdraw", {"code": "AAAA-AAAA"}).text
    gone = browser.post("withdraw", {"code": f" {code.lower().replace('-', ' ')} "})
    assert "Everything is erased" in gone.text
    assert rows(folder) == rows(folder, "SELECT * FROM participants") == []
    assert rows(folder, "SELECT number FROM erased") == [(0,)]
    for path in folder.iterdir():
        assert who.encode() not in path.read_bytes(), path
    assert "I agree to take part" in browser.get("pair").text
    begin(browser, service)
    assert rows(folder, "SELECT number FROM participants") == [(1,)]  # nobody gets an erased one's number


def test_invitation_codes_let_each_in_once_and_find_him_again(tmp_path):
    make_study(tmp_path / "study", CLOSED)
    lines = (tmp_path / "study" / CODES).read_text().splitlines()[1:]
    codes = [line.split(",")[1] for line in lines]
    assert len(set(codes)) == 3
    assert (tmp_path / "study" / CODES).stat().st_mode & 0o777 == 0o600
    service = StudyService(tmp_path / "study")
    site = make(service)
    one, again, wrong = Browser(site), Browser(site), Browser(site)
    text = answer(one, begin(one, service, codes[1])).text
    assert trial_of(begin(again, service, f" {codes[1].lower()}")) == trial_of(text) == -1
    consent = wrong.get(f"?token={service.secret.reader}")
    refused = wrong.post("consent", {**form_of(consent.text), "agree": "yes", "code": "ABCD-2345"})
    assert refused.status == 403 and "This code is not known" in refused.text
    assert rows(tmp_path / "study", "SELECT invitation FROM participants") == [(1,)]
    service.store.close()


def test_a_kiosk_makes_room_for_the_next(folder):
    service = StudyService(folder, kiosk=True)
    browser = Browser(make(service))
    text = finish(browser, begin(browser, service))
    assert "Next participant" in text and 'id="idle"' in text
    text = begin(browser, service)  # does nothing while somebody is signed in
    assert "Thank you" in text
    assert "I agree to take part" in browser.post("leave").text
    assert trial_of(begin(browser, service)) == -2
    assert rows(folder, "SELECT number FROM participants") == [(0,), (1,)]
    service.store.close()


def test_the_admin_sees_counts_and_nothing_of_what_was_right_until_locked(browser, service, folder):
    admin = Browser(browser.site)
    assert browser.get(f"?token={service.secret.reader}").status == 200
    for url in ("admin", "admin-lock", "admin-unblind"):
        assert browser.get(url).status == 404
        assert browser.post(url, {"sure": "lock"}).status == 404
    text = admin.get(f"admin?token={service.secret.admin}").text
    assert "Nobody yet" in text
    finish(browser, begin(browser, service))
    begin(Browser(browser.site), service)
    text = admin.get("admin").text
    assert re.findall(r"<dd>([^<]*)</dd>", text) == ["2", "1", "10", "0", "0.0", "hidden"]
    assert admin.post("admin-unblind").status == 409
    assert admin.post("admin-lock", {"sure": "yes"}).status == 400
    text = admin.post("admin-lock", {"sure": " Lock "}).text
    assert "Locked at" in text and "hidden" in text
    plan = service._plans[0]
    right = sum(pair.synthetic_side == "left" for pair in plan.pairs if pair.trial > 0)
    assert f"<dd>{right} of 10</dd>" in admin.post("admin-unblind").text
    kinds = [event["kind"] for event in service.store.events]
    assert kinds[-2:] == ["locked", "unblinded"]


def test_a_locked_study_takes_nothing_more_and_says_so(browser, service, folder):
    text = begin(browser, service)
    admin = Browser(browser.site)
    admin.get(f"admin?token={service.secret.admin}")
    admin.post("admin-lock", {"sure": "lock"})
    for refused in (answer(browser, text), browser.get("pair"), browser.get()):
        assert refused.status == 409 and "The study is closed" in refused.text
    assert rows(folder) == []


def test_places_end_where_the_numbers_do(folder):
    (folder / "pack.json").write_text('{"first": 40, "count": 1}')
    service = StudyService(folder)
    site = make(service)
    begin(Browser(site), service)
    assert rows(folder, "SELECT number FROM participants") == [(40,)]
    late = Browser(site)
    consent = late.get(f"?token={service.secret.reader}")
    assert "The study is full" in late.post("consent", {**form_of(consent.text), "agree": "yes"}).text
    service.store.close()


def test_what_is_no_study_or_not_the_same_is_told(tmp_path, folder):
    with pytest.raises(DataError, match="is no reader study: `mammogan study new` makes one"):
        StudyService(tmp_path)
    opened = StudyService(folder)
    with pytest.raises(ConfigError, match="open in another process"):
        StudyService(folder)
    opened.store.close()
    text = (folder / "study.json").read_text()
    (folder / "study.json").write_text(text.replace('"seed":1', '"seed":2').replace('"seed": 1', '"seed": 2'))
    with pytest.raises(DataError, match="participants would get other pairs"):
        StudyService(folder)
    (folder / "study.json").write_text(text.replace('"margin"', '"margins"'))
    with pytest.raises(DataError, match="is damaged, or of another version"):
        load_study(folder)
    (folder / "study.json").write_text(text)
    (folder / PIXELS).unlink()
    with pytest.raises(DataError, match="copy the study's folder anew"):
        StudyService(folder)
    (folder / SECRET).unlink()
    with pytest.raises(DataError, match="is missing: copy it from where it was made"):
        load_secret(folder)


def test_codes_are_read_as_people_type_them():
    assert normal_code(" abcd-2345\n") == normal_code("ABCD 2345") == "ABCD2345"
    assert normal_code("o1B8") == normal_code("01bb") == "OIBB"
