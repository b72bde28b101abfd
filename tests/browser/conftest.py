"""A real Chromium, where there is one.

It ends with each module: Playwright's event loop would be in the way of tests that run their own.
"""

import shutil

import pytest

from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def playwright():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright):
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def tablet(playwright, chromium):
    """Give a maker of tablets, each with cookies of its own; in the end none may have asked a stranger."""
    made, asked = [], []

    def make(device="iPad Pro 11 landscape", **more):
        context = chromium.new_context(**{**playwright.devices[device], **more})
        context.set_default_timeout(PATIENCE_S * 1000)
        made.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        return page

    yield make
    for context in made:
        context.close()
    strangers = [url for url in asked if not url.startswith("http://127.0.0.1:")]
    assert not strangers
