"""Nobody comes in without a token, nothing is asked of other sites, and a prefix in front changes nothing."""

import re

import pytest
from fastapi import APIRouter, Request

from mammogan.errors import ConfigError
from mammogan.study.web.auth import HEADERS
from mammogan.study.web.web_app import MAX_FORM_BYTES, Fields, RefusalError, go, make_site, page
from mammogan.study.web.web_server import Address, listening
from tests.study.asgi import Browser

TOKENS = {"reader": "the-reader's-token", "admin": "the-admin's-token"}
PREFIXES = ("", "/node/host/8501")


def routes():
    router = APIRouter()

    @router.get("/")
    def home(request: Request):
        return {"roles": sorted(request.state.roles)}

    @router.post("/echo")
    def echo(fields: Fields):
        return fields

    @router.post("/forward")
    def forward():
        return go("page")

    @router.get("/page")
    def some_page():
        return page("refusal.html", title="A <title>", text="A text", link="", label="")

    @router.get("/refused")
    def refused():
        raise RefusalError(409, "Not now", "Because.")

    @router.get("/broken")
    def broken():
        raise ValueError("a secret")

    return router


def site(prefix=""):
    return make_site(routes(), TOKENS, "some-study", prefix)


def inside(prefix="", role="reader", strips=False):
    browser = Browser(site(prefix), f"http://host{'' if strips else prefix}/")
    browser.get(f"?token={TOKENS[role]}")
    return browser


def test_without_a_token_there_is_a_page_that_says_so_and_nothing_else():
    browser = Browser(site())
    for url in ("", "page", "broken", "nowhere", "?token=wrong", "?token="):
        answer = browser.get(url)
        assert answer.status == 403 and "A link is needed" in answer.text
    assert browser.post("echo", {"a": "b"}).status == 403
    assert browser.get("static/style.css").status == 200


def test_a_token_comes_once_in_the_url_and_stays_in_a_cookie():
    browser = Browser(site())
    answer = browser.get(f"?token={TOKENS['reader']}", follow=False)
    assert (answer.status, answer["location"]) == (303, "./")
    cookie = answer["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert "Path" not in cookie  # the browser takes the folder, whatever prefix that has
    assert "Max-Age" not in cookie and "expires" not in cookie.lower()
    assert TOKENS["reader"] not in cookie
    assert browser.get().text == '{"roles":["reader"]}'
    assert Browser(site()).get(f"page?token={TOKENS['reader']}", follow=False)["location"] == "page"


def test_roles_are_told_apart_and_add_up():
    browser = inside(role="admin")
    assert browser.get().text == '{"roles":["admin"]}'
    browser.get(f"?token={TOKENS['reader']}")
    assert browser.get().text == '{"roles":["admin","reader"]}'
    browser.cookies = dict(zip(browser.cookies, reversed(browser.cookies.values()), strict=True))
    assert browser.get().status == 403


@pytest.mark.parametrize("url", ["", "page", "refused", "nowhere", "static/style.css", "static/none.css"])
def test_every_answer_forbids_keeping_it_and_asking_others(url):
    answer = inside().get(url)
    assert {name: answer[name.lower()] for name in HEADERS} == HEADERS
    assert answer["cache-control"] == "no-store"
    assert "default-src 'none'" in answer["content-security-policy"]
    assert not {"etag", "last-modified", "server", "date"} & {key for key, _ in answer.headers}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("strips", [True, False])
def test_behind_a_prefix_all_is_as_without_whether_a_proxy_takes_it_off_or_not(prefix, strips):
    browser = inside(prefix, strips=strips)
    assert browser.get().text == '{"roles":["reader"]}'
    text = browser.post("forward").text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    assert links and all(not re.match(r"/|[a-z]+:", link) for link in links)
    for link in links:
        assert browser.get(link).status == 200, link


def test_the_prefix_alone_leads_to_the_folder_behind_it():
    answer = Browser(site("/a/b")).ask("GET", "http://host/a/b", follow=False)
    assert (answer.status, answer["location"]) == (307, "b/")


def test_what_goes_wrong_is_a_page_that_tells_no_secret():
    browser = inside()
    assert browser.get("refused").status == 409
    assert "Because." in browser.get("refused").text
    with pytest.raises(ValueError, match="a secret"):  # the server logs it, once the visitor has his page
        browser.get("broken")
    assert browser.get("nowhere").status == 404
    assert browser.get("echo").status == 404  # it takes forms only
    assert "A &lt;title&gt;" in browser.get("page").text


def test_forms_are_text_of_bounded_size_and_come_from_our_own_pages():
    browser = inside()
    assert browser.post("echo", {"a": "ä b"}).text == '{"a":"ä b"}'
    assert browser.post("echo", {"a": "x" * MAX_FORM_BYTES}).status == 400
    assert browser.post("echo", {"a": "b"}, headers=[("sec-fetch-site", "cross-site")]).status == 403
    assert browser.post("echo", {"a": "b"}, headers=[("sec-fetch-site", "same-origin")]).status == 200


def test_a_port_is_taken_before_it_is_told_and_a_taken_one_is_an_error():
    with listening("127.0.0.1", 0) as (_, address):
        assert address.port > 0 and not address.is_open
        assert address.link("t+/", "admin") == f"http://127.0.0.1:{address.port}/admin?token=t%2B%2F"
        assert re.fullmatch(rf"ssh -N -L {address.port}:127.0.0.1:{address.port} \S+@\S+", address.tunnel)
        with pytest.raises(ConfigError, match=r"can't be listened at.*--port 0 takes a free one"):
            with listening("127.0.0.1", address.port):
                pass
    everywhere = Address("0.0.0.0", 1)
    assert everywhere.is_open
    assert re.fullmatch(r"http://(?!127\.|0\.)[\w.-]+:1/\?token=t", everywhere.link("t"))
    assert Address("10.0.0.7", 2).link("t") == "http://10.0.0.7:2/?token=t"
