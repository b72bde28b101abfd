"""A small review of computed pictures, and reviewers who go through it."""

import html
import json
import re

from mammogan.study.review.review_folder import create
from mammogan.study.review.review_settings import ReviewFile
from mammogan.study.web.image_store import Window, fill
from tests.study.made_study import everything, pictures


def make_review(folder, offered=None, **about):
    """Make a review in `folder`; `about` are keys of its table, `offered` pictures in place of small ones."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = ReviewFile.model_validate({"review": {"overlap": 8, **about}})
    index = fill(folder, offered or pictures(images_per_view=4), everything, Window(), settings.review.seed)
    return create(folder, settings, index, "0123456789ab", "test")


def state_of(text):
    """Read what a page with a picture was given."""
    return json.loads(html.unescape(re.search(r'data-state="([^"]*)"', text)[1]))


def judge(browser, number, position, *kinds, **more):
    """Give a verdict; no kinds are a clean picture."""
    fields = {"position": position, "artefacts": " ".join(kinds) or "none", "rt_ms": "800", **more}
    return browser.post(f"verdict-{number}", fields)


def go_through(service, verdict, reviewers=None):
    """Let reviewers judge all that is left to them, and end; `verdict` gives kinds for each picture."""
    for reviewer in reviewers if reviewers is not None else range(len(service.review.reviewers)):
        series = service.plan.series[reviewer]
        for position in range(service.state(reviewer)["position"], len(series)):
            kinds = verdict(reviewer, series[position])
            service.judge(reviewer, {"position": str(position), "artefacts": " ".join(kinds) or "none"})
        service.finish(reviewer)
