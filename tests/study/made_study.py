"""A small study of computed pictures, and people who go through it."""

import re
from functools import partial

import numpy as np

from mammogan.study.reader.study_folder import create
from mammogan.study.reader.study_settings import StudyFile
from mammogan.study.web.image_store import Picture, Window, fill

SIZE = (40, 32)
VIEWS = ("CC", "MLO")


def everything(image_HW):
    """Take every pixel that is not black for the breast."""
    return image_HW > 0


def breast(seed, size=SIZE):
    """Draw half an ellipse of grain at the left edge, on black."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / np.array(size).max()
    reach = rng.uniform(0.25, 0.4)
    inside = (x / reach) ** 2 + ((y - 0.5) / (1.2 * reach)) ** 2 < 1
    grain = rng.normal(30_000, 6_000, size)
    return np.where(inside, np.clip(grain, 1_000, 65_535), 0).astype(np.uint16)


def pictures(images_per_view=8, size=SIZE, laterality=""):
    """Give as many pictures of each view and source; which is which is not to be seen on them."""
    found = []
    for source in ("real", "synthetic"):
        for view in VIEWS:
            for number in range(images_per_view):
                key = f"{source[0]}{len(found):04d}"
                sides = laterality and laterality[number % len(laterality)]
                picture = Picture(key=key, source=source, view=view, laterality=sides, origin=f"from-{key}")
                found.append((picture, partial(breast, len(found), size)))
    return found


def make_study(folder, settings=None, **more):
    """Make a study in `folder`; `settings` are tables of its file, `more` goes to `pictures`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = StudyFile.model_validate(settings or {})
    index = fill(folder, pictures(**more), everything, Window(), 1)
    return create(folder, file, index, "0123456789ab", "test", filtered=False)


def form_of(text):
    """Read the hidden fields of a page's form."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text)
    return dict(inputs)


def enter(browser, token, code=""):
    """Go through all pages up to the first pair."""
    consent = browser.get(f"?token={token}")
    browser.post("consent", {**form_of(consent.text), "agree": "yes", "code": code})
    browser.post("questions", {"role": "radiologist", "board": "yes", "breast": "no", "years": "12"})
    return browser.post("display", {"sees_dark": "yes", "sees_light": "unsure"})


def trial_of(text):
    """Give the trial that a page asks about, None if it asks about none."""
    found = re.search(r'id="pair" data-trial="(-?\d+)"', text)
    return int(found[1]) if found else None


def names_of(text):
    """Give the addresses of the pictures of a page: left, right, next left, next right."""
    return re.findall(r'data-(?:next-)?(?:left|right)="([^"]*)"', text)


def answer(browser, text, side="left", **more):
    """Answer the pair of a page, and give the page that follows."""
    return browser.post("answer", {"trial": trial_of(text), "side": side, "rt_ms": "1234", **more})


def finish(browser, text, choose=lambda trial: "left"):
    """Answer all that is left; give the last page."""
    while "Thank you" not in text:
        trial = trial_of(text)
        page = browser.post("ready") if trial is None else answer(browser, text, choose(trial))
        text = page.text
    return text
