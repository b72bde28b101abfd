"""Simulated participants over HTTP: each with cookies of his own, and stubborn when nobody answers."""

import http.client
import random
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin

from tests.patience import PATIENCE_S
from tests.study.made_study import form_of, names_of, trial_of

BACKOFF_S = 0.1


class Person:
    """Goes through a whole study; `sides` are what was confirmed, by trial, `seen` what came of pictures."""

    def __init__(self, url, token, seed, looks=True):
        self.url, self.token, self.looks = url, token, looks
        self.random = random.Random(seed)
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.sides, self.seen, self.retries = {}, [], 0

    def ask(self, url, fields=None):
        """Ask until there is an answer, as a browser with a patient owner does."""
        data = urlencode(fields).encode() if fields is not None else None
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.opener.open(urljoin(self.url, url), data, timeout=PATIENCE_S) as answer:
                    return answer.read(), answer.headers
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > until:
                raise AssertionError(f"nobody answers '{url}'")
            self.retries += 1
            time.sleep(BACKOFF_S)

    def page(self, url, fields=None):
        return self.ask(url, fields)[0].decode()

    def run(self, told=lambda: None):
        """Take part; `told` is called after each answer that was confirmed."""
        text = self.page(f"?token={self.token}")
        self.page("consent", {**form_of(text), "agree": "yes"})
        about = {
            "role": self.random.choice(["radiologist", "other"]),
            "years": str(self.random.randrange(40)),
        }
        self.page("questions", about)
        text = self.page("display", {"sees_dark": "yes", "sees_light": "yes"})
        while (trial := trial_of(text)) is not None or "Now it counts" in text:
            if trial is None:
                text = self.page("ready", {})
                continue
            for side, name in zip(("left", "right"), names_of(text), strict=False):
                if self.looks:
                    begin = time.perf_counter()
                    body, headers = self.ask(name)
                    spent = time.perf_counter() - begin
                    self.seen.append((trial, side, name, body, headers, spent))
            side = self.random.choice(["left", "right"])
            fields = {"trial": trial, "side": side, "rt_ms": self.random.randrange(1000, 90_000)}
            fields["confidence"] = self.random.randrange(1, 6)
            text = self.page("answer", fields)
            self.sides[trial] = side
            if self.random.random() < 0.1:  # somebody who taps twice
                text = self.page("answer", fields)
            told()
        assert "Thank you" in text
        return self
